"""The network front of facestream, from :mod:`facestream.serving`. ``python server.py …`` serves."""

from __future__ import annotations

import sys

from facestream.serving.server import Server, serve

__all__ = ["Server", "serve"]


def main() -> None:
    from facestream.cli import main as run_command

    sys.argv[1:1] = ["serve"]
    run_command()


if __name__ == "__main__":
    main()
