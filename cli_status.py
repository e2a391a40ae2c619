"""``facestream status`` and ``facestream top``. Nothing heavy is imported until a command runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def _of_a_server(command: Command) -> Command:
    """Which server is meant."""
    for option in (
        click.option(
            "--ca",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="FACESTREAM_CA",
            help="PEM file with the certificate to trust, of a server that signed its own.",
        ),
        click.option("--token", envvar="FACESTREAM_TOKEN", help="A token that may view, if the server asks for one."),
        click.option(
            "--url",
            default="http://127.0.0.1:8765",
            show_default=True,
            envvar="FACESTREAM_URL",
            help="The server's address.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@_of_a_server
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(url: str, token: str | None, ca: Path | None, as_json: bool) -> int:
    """Say how a running server and its sources are.

    The exit code is 0 when all is well, and 1 when something isn't or nobody answers.
    """
    from facestream.jobs.remote import Remote
    from facestream.jobs.status_command import status_command

    return status_command(Remote(url, token, ca), as_json=as_json, say=click.echo)


@click.command()
@_of_a_server
@click.option(
    "--interval", type=click.FloatRange(0.2, 60), default=2.0, show_default=True, help="Seconds between two looks."
)
def top(url: str, token: str | None, ca: Path | None, interval: float) -> int:
    """Watch what a running server does: its sources, models and readers. q quits.

    Written to a file or a pipe it is one look.
    """
    from facestream.jobs.remote import Remote
    from facestream.jobs.status_command import top_command

    return top_command(Remote(url, token, ca), interval=interval, say=click.echo)
