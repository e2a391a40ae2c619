"""Events of a live session: who arrives, is recognised and leaves."""

from __future__ import annotations

from facestream.jobs.event_options import EventOptions, WebhookOptions

__all__ = ["EventOptions", "WebhookOptions"]
