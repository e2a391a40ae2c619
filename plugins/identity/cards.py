"""The data cards of the identity models, side by side."""

from __future__ import annotations

from facestream.plugins.card import Card

CARDS: tuple[Card, ...] = ()
