"""``facestream people …``: one small function a command. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def in_gallery(command: Command) -> Command:
    """``--people``, which every command has."""
    return click.option(
        "--people",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The gallery's file; by default people.db in FACESTREAM_USER_DATA, or in your data folder.",
    )(command)


def with_events(command: Command) -> Command:
    """``--event-store``, for commands that change names in events as well."""
    return click.option(
        "--event-store",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="FACESTREAM_EVENT_STORE",
        help="The file with stored events; by default events.db in FACESTREAM_USER_DATA, or in your data folder.",
    )(command)


@click.group()
def people() -> None:
    """Look after the gallery: the people whom facestream recognises, by the names that you give them.

    It holds names and numbers by which a model recognises faces, never a picture; it stays on this machine.
    """


@people.command()
@click.argument("name")
@click.argument("photos", metavar="PICTURE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--largest", is_flag=True, help="Of several faces in a picture take the largest.")
@click.option("--force", is_flag=True, help="Add also pictures that don't look like most of them.")
@in_gallery
@click.option("--identity", default="sface", show_default=True, help="Identity model; serve needs the same.")
@click.option("--aligner", default="mesh", show_default=True, help="Landmark model.")
@click.option("--detector", help="Detector; yunet on a CPU and centerface on a GPU by default.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
def add(**options: Any) -> None:
    """Add a person called NAME, or give a person further PICTUREs: photos, face pictures, or folders of either.

    A few that differ in light and pose are better than one. Each should show that person alone. Those that don't look
    like most of them are left out.
    """
    from facestream.jobs.people_command import AddOptions, add

    asyncio.run(add(AddOptions(**options), say=click.echo))


@people.command("list")
@in_gallery
@click.option("--json", is_flag=True, help="As JSON.")
def list_people(people: Path | None, json: bool) -> None:
    """Show who is in the gallery, since when, and by how many pictures and which models."""
    from facestream.jobs.people_command import as_json, as_table, everybody

    found = everybody(people)
    if json:
        click.echo(as_json(found))
    elif found:
        click.echo("\n".join(as_table(found)))
    else:
        click.echo("Nobody yet: facestream people add NAME PICTURE", err=True)


@people.command()
@click.argument("names", nargs=-1, required=True)
@in_gallery
@with_events
def remove(names: tuple[str, ...], people: Path | None, event_store: Path | None) -> None:
    """Forget NAMES, with every trace of them in the gallery; in stored events they have no name any more."""
    from facestream.jobs.people_command import remove_people

    remove_people(people, names, event_store)
    click.echo(f"forgotten: {', '.join(names)}")


@people.command()
@click.argument("name")
@click.argument("to")
@in_gallery
@with_events
def rename(name: str, to: str, people: Path | None, event_store: Path | None) -> None:
    """Call NAME something else, in stored events as well."""
    from facestream.jobs.people_command import rename_person

    rename_person(people, name, to, event_store)
    click.echo(f"{name} is called {to} now")


@people.command()
@click.argument("name")
@click.argument("into")
@in_gallery
@with_events
def merge(name: str, into: str, people: Path | None, event_store: Path | None) -> None:
    """Make one person of two: all that NAME has becomes INTO's, and NAME is gone."""
    from facestream.jobs.people_command import merge_people

    merge_people(people, name, into, event_store)
    click.echo(f"{name} is {into} now")


@people.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@in_gallery
def export_gallery(file: Path, overwrite: bool, people: Path | None) -> None:
    """Write everybody into FILE, as JSON. It is as private as the gallery itself."""
    from facestream.jobs.people_command import export_to

    click.echo(export_to(people, file, overwrite=overwrite))


@people.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--no-merge", is_flag=True, help="Import nobody if somebody of one of the names is there.")
@in_gallery
def import_gallery(file: Path, no_merge: bool, people: Path | None) -> None:
    """Add everybody in FILE, which `people export` has written. Who is there already gets what is new."""
    from facestream.jobs.people_command import import_from

    click.echo(import_from(people, file, merge=not no_merge))
