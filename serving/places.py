"""Where a server is found: its address for a browser on this machine, and for those on others."""

from __future__ import annotations

import os
import socket
from typing import Final

_EVERY: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Hosts that stand for every address of this machine → the one by which it reaches itself."""

_IN_CONTAINERS: Final = ("/.dockerenv", "/run/.containerenv")  # Docker's and Podman's


def here(scheme: str, host: str, port: int) -> str:
    """The URL that works on this machine.

    Args:
        host: what is served.
    """
    name = _EVERY.get(host, host)
    return f"{scheme}://{f'[{name}]' if ':' in name and not name.startswith('[') else name}:{port}/"


def elsewhere(scheme: str, host: str, port: int, machine: str) -> str:
    """The URL for other machines, where :func:`here`'s isn't good for them and there is one; else "".

    Args:
        machine: this one's name; "" for one that has none elsewhere.
    """
    if host not in _EVERY or not machine or machine.split(".")[0] == "localhost":
        return ""
    return f"{scheme}://{machine}:{port}/"


def machine_name() -> str:
    """This machine's name; "" in a container, whose name nobody outside knows."""
    return "" if any(map(os.path.exists, _IN_CONTAINERS)) else socket.gethostname()
