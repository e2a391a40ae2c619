"""``facestream tokens …``: one small function a command. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def in_file(command: Command) -> Command:
    """``--tokens``, which every command has."""
    return click.option(
        "--tokens",
        "path",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="FACESTREAM_TOKENS",
        help="The file of tokens; by default tokens.json in FACESTREAM_USER_DATA, or in your data folder.",
    )(command)


@click.group()
def tokens() -> None:
    """Look after the server's tokens: who may see, send pictures, or control.

    Where there is a token the server asks for one, on this machine too. A server that runs takes a new one at once, and
    turns a removed one's holders away within seconds.
    """


@tokens.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    type=click.Choice(["view", "push", "control"]),
    multiple=True,
    required=True,
    help="view: see everything. push: send pictures, and see what is found in them. control: all of this, and change "
    "sources and people. Repeat it for view and push.",
)
@click.option("--expires", metavar="30d", help="Time after which it is no good any more: 12h, 30d, 8w; never without.")
@in_file
def add(name: str, roles: tuple[str, ...], expires: str | None, path: Path | None) -> None:
    """Make a token called NAME, and print it: this once, as only its hash is kept."""
    from facestream.io.user_data import tokens_file
    from facestream.serving.routes import Role
    from facestream.serving.token_file import add_token
    from facestream.serving.tokens import lifetime_of, new_token

    lifetime = lifetime_of(expires) if expires is not None else None
    secret, token = new_token(name, [Role(role) for role in roles], now=time.time(), lifetime=lifetime)
    add_token(path or tokens_file(), token)
    click.echo(secret)
    click.echo("Keep it now: it can't be shown again.", err=True)


@tokens.command("list")
@click.option("--json", is_flag=True, help="As JSON.")
@in_file
def list_tokens(json: bool, path: Path | None) -> None:
    """Show the tokens' names, what each may do, and since and until when. The tokens themselves nobody knows."""
    import msgspec

    from facestream.io.user_data import tokens_file
    from facestream.serving.token_file import read_tokens

    path = path or tokens_file()
    found = read_tokens(path)
    if json:
        shown = [
            {"name": token.name, "roles": token.roles, "created_at": token.created_at, "expires_at": token.expires_at}
            for token in found
        ]
        click.echo(msgspec.json.encode(shown).decode())
        return
    if not found:
        click.echo(f"{path} has no tokens; `facestream tokens add NAME --role view` makes one.", err=True)
        return
    rows = [("NAME", "MAY", "SINCE", "UNTIL")]
    for token in found:
        may = ", ".join(role.value for role in token.roles)
        until = "ever" if token.expires_at is None else _minute(token.expires_at)
        rows.append((token.name, may, _minute(token.created_at), until + " (over)" * token.expired(time.time())))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


@tokens.command()
@click.argument("name")
@in_file
def remove(name: str, path: Path | None) -> None:
    """Forget the token called NAME: it is no good any more, and who has come in with it is hung up on."""
    from facestream.io.user_data import tokens_file
    from facestream.serving.token_file import remove_token

    remove_token(path or tokens_file(), name)
    click.echo(f"Removed {name}.")


def _minute(at: float) -> str:
    """A time as people here write it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
