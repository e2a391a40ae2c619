from __future__ import annotations

import os
import pickle
import pickletools
import stat
import subprocess
import sys
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facestream.errors import AlignmentsError
from facestream.io.fsa import Limits, read_fsa, write_fsa
from tests.io import alignment_files as files

AT = datetime(2026, 3, 1, 14, 5, 9)

faceswap_files = pytest.mark.skipif(not files.COMPAT.is_dir(), reason="needs files that faceswap itself made")


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def read(path: Path) -> dict[str, Any]:
    return files.dicts(read_fsa(path)[1])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_file_is_read_with_every_field(tmp_path: Path, protocol: int) -> None:
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(2.4, files.frames()), protocol))
    assert read_fsa(path)[0] == 2.4
    assert read(path) == files.frames()
    assert list(read(path)["clip_000001.mp4"]["faces"][0]) == list(files.face())


def test_what_is_written_is_what_faceswap_would_unpickle(tmp_path: Path) -> None:
    write_fsa(tmp_path / "a.fsa", files.entries().items())
    assert files.unpacked(tmp_path / "a.fsa") == files.of_version(2.4, files.frames())
    assert read(tmp_path / "a.fsa") == files.frames()


def test_what_is_written_names_nothing_and_calls_nothing(tmp_path: Path) -> None:
    write_fsa(tmp_path / "a.fsa", files.entries().items())
    content = zlib.decompress((tmp_path / "a.fsa").read_bytes())
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(content)}
    assert not opcodes & {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ"}


def test_the_same_frames_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.fsa", "b.fsa"):
        write_fsa(tmp_path / name, files.entries().items())
    assert (tmp_path / "a.fsa").read_bytes() == (tmp_path / "b.fsa").read_bytes()


def test_lists_longer_than_a_picklers_batch_survive(tmp_path: Path) -> None:
    face = files.face() | {"identity": {"x": np.arange(2500.0).tolist()}, "thumb": [255] * 5001}
    data = {"a.png": {"faces": [face], "video_meta": {}}}
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(2.4, data)))
    assert read(path) == data
    write_fsa(path, read_fsa(path)[1].items())
    assert files.unpacked(path)["__data__"] == data


@faceswap_files
@pytest.mark.parametrize(
    "name", ["faceswap_2.4_images/alignments.fsa", "faceswap_2.4_video/Aishwarya_Rai0_alignments.fsa"]
)
def test_faceswaps_own_files_are_read_and_rewritten_with_equal_values(tmp_path: Path, name: str) -> None:
    original = files.unpacked(files.COMPAT / name)
    assert read(files.COMPAT / name) == original["__data__"]
    write_fsa(tmp_path / "a.fsa", read_fsa(files.COMPAT / name)[1].items())
    assert files.unpacked(tmp_path / "a.fsa") == original
    assert read(tmp_path / "a.fsa") == original["__data__"]


@faceswap_files
@pytest.mark.parametrize(
    "path", sorted(files.COMPAT.glob("faceswap_1.0_legacy/**/*.fsa")), ids=lambda path: path.parent.name
)
def test_faceswaps_files_of_2020_are_refused_with_advice(path: Path) -> None:
    with pytest.raises(AlignmentsError, match=r"faceswap 1 .* extract the faces again"):
        read_fsa(path)


# Versions


@pytest.mark.parametrize("version", [2.0, 2.1, 2.2, 2.3])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_older_file_with_numpys_arrays_is_upgraded(tmp_path: Path, version: float, protocol: int) -> None:
    old, new = files.older_face(version)
    frame: dict[str, Any] = {"faces": [old]} if version < 2.3 else {"faces": [old], "video_meta": {}}
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(version, {"a.png": frame}), protocol))
    assert read_fsa(path)[0] == version
    assert read(path) == {"a.png": {"faces": [new], "video_meta": {}}}


def test_an_older_frame_may_be_a_list_and_a_thumbnail_a_column(tmp_path: Path) -> None:
    old, new = files.older_face(2.0)
    old["landmarksXY"] = old.pop("landmarks_xy").astype(np.float32)
    old["thumb"] = np.array(new["thumb"], np.uint8)[:, None].tolist()
    new["landmarks_xy"] = old["landmarksXY"].astype(np.float64).tolist()
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(2.0, {"a.png": [old]})))
    assert read(path) == {"a.png": {"faces": [new], "video_meta": {}}}


def test_arrays_in_fortrans_order_keep_their_places(tmp_path: Path) -> None:
    old, new = files.older_face(2.3)
    old["landmarks_xy"] = np.asfortranarray(old["landmarks_xy"])
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(2.3, {"a.png": {"faces": [old], "video_meta": {}}})))
    assert read(path)["a.png"]["faces"] == [new]


def test_a_matrix_of_two_rows_is_kept_so_and_used_as_three(tmp_path: Path) -> None:
    face = files.face()
    del face["mask"]["custom_face"]["affine_matrix"][2]
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(2.4, {"a.png": {"faces": [face], "video_meta": {}}})))
    (record,) = read_fsa(path)[1]["a.png"].faces
    assert record.to_dict() == face
    assert record.mask["custom_face"].matrix()[2].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ({}, "faceswap 1 .*extract the faces again"),
        ({"a.png": [{"x": 1, "landmarks_xy": np.zeros((68, 2), np.float32)}]}, "faceswap 1 .*extract the faces again"),
        (files.of_version(1.0, {}), "version 1.0.*extract the faces again"),
        (files.of_version(2.5, {}), "version 2.5.*update"),
        (files.of_version(float("nan"), {}), "version nan"),
        (files.of_version(2.4, []), "no alignments"),
        ({"__meta__": {}, "__data__": {}}, "no version"),
        ([1, 2], "no alignments"),
        (files.of_version(2.4, {"../a.png": {"faces": [], "video_meta": {}}}), "impossible name"),
        (files.of_version(2.4, {"a\n.png": {"faces": [], "video_meta": {}}}), "impossible name"),
        (files.of_version(2.4, {"a.png": {"faces": []}}), r"'a.png': the frame lacks video_meta"),
        (files.of_version(2.4, {"a.png": {"faces": [{}], "video_meta": {}}}), "face 0: the face lacks x"),
        (files.of_version(2.4, {"a.png": {"faces": 3, "video_meta": {}}}), "faces is a int"),
        (files.of_version(2.4, {1: {}}), "int as a key"),
    ],
)
def test_what_isnt_an_alignments_file_of_2_is_refused(tmp_path: Path, root: Any, message: str) -> None:
    path = save(tmp_path / "a.fsa", files.packed(root))
    with pytest.raises(AlignmentsError, match=message) as error:
        read_fsa(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hash": "abc"}, "unknown key 'hash'"),
        ({"x": 1.5}, "x is 1.5"),
        ({"x": True}, "x is True"),
        ({"x": 1 << 40}, "x is 1099511627776"),
        ({"landmarks_xy": [[1.0, 2.0]] * 67}, "landmarks_xy is"),
        ({"landmarks_xy": [[1.0, float("nan")]] * 68}, "isn't finite"),
        ({"landmarks_xy": [[1.0, 2.0]] * 67 + [[1.0]]}, "isn't a regular list"),
        ({"landmarks_xy": [["1", "2"]] * 68}, "something else than numbers"),
        ({"landmarks_xy": "abc"}, "landmarks_xy is a str"),
        ({"thumb": [1, 2, 256]}, "thumb isn't"),
        ({"thumb": "abc"}, "thumb isn't"),
        ({"mask": []}, "mask is a bytearray|mask is a list"),
        ({"mask": {"m": {}}}, "'m': the mask lacks mask"),
        ({"identity": {"m": [[1.0]]}}, "identity is"),
        ({"identity": {"m": None}}, "identity is a NoneType"),
    ],
)
def test_a_damaged_face_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    data = {"a.png": {"faces": [files.face(), files.face() | change], "video_meta": {}}}
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(2.4, data)))
    with pytest.raises(AlignmentsError, match=rf"frame 'a.png': face 1: .*({message})"):
        read_fsa(path)


# Hostile files


class Call:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ((os.system, ("true",)), "posix.system|nt.system"),
        ((eval, ("1",)), "builtins.eval|__builtin__.eval"),
        ((subprocess.run, (["true"],)), "(subprocess|commands).run"),
        ((np.load, ("x",)), r"numpy(\.lib.*)?\.load"),
        ((getattr, (1, "real")), r"(builtins|__builtin__)\.getattr"),
    ],
)
def test_a_file_that_would_run_something_is_refused_by_its_name(
    tmp_path: Path, protocol: int, call: tuple[Any, ...], name: str
) -> None:
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(2.4, {"a.png": Call(*call)}), protocol))
    with pytest.raises(AlignmentsError, match=rf"names ({name}), which could run a program"):
        read_fsa(path)


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    array = np.array([{}, None], object)
    path = save(tmp_path / "a.fsa", files.packed(files.of_version(2.3, {"a.png": array})))
    with pytest.raises(AlignmentsError, match="NumPy array of numbers"):
        read_fsa(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04}\x94r\xff\xff\xff\xff.",  # the memo's place 2³² - 1
        b"\x80\x04B\xff\xff\xff\xffabc.",  # 4 GB of bytes that aren't there
        b"\x80\x04\x8e" + b"\xff" * 8 + b".",
        b"\x80\x04\x95" + b"\xff" * 8 + b"}.",
        b"\x80\x04" + b"(" * 1000,  # marks without end
        b"\x80\x04]" + b"]" * 1000 + b"a" * 1000 + b".",  # a list in a list in a list …
        b"\x80\x04\x8a\xff" + b"\x7f" * 255 + b".",  # a huge integer
        b"\x80\x04h\x05.",
        b"\x80\x04e.",
        b"\x80\x04K\x05\x94.",
        b"\x80\x04(K\x01K\x02.",
        b"\x80\x00}.",
        b"\x80\x04P1\n.",
        b"\x80\x04cos\n" + b"x" * 500 + b"\n.",
        b"\x80\x04\x8c\x02\xff\xff.",
        b"\x80\x04}}.",
        b"\x80\x04}. and more",
        b"(dp0\n.",  # protocol 0
        b"",
    ],
)
def test_impossible_instructions_are_refused(tmp_path: Path, content: bytes) -> None:
    path = save(tmp_path / "a.fsa", zlib.compress(content))
    with pytest.raises(AlignmentsError, match=r"a\.fsa"):
        read_fsa(path)


def test_every_list_of_a_file_may_be_one_but_not_too_often(tmp_path: Path) -> None:
    row: Any = [0.0, 1.0]
    path = tmp_path / "a.fsa"
    face = files.face() | {"landmarks_xy": [row] * 68}
    data = {"a.png": {"faces": [face] * 20, "video_meta": {}}}
    assert read(save(path, files.packed(files.of_version(2.4, data)))) == data
    faces = [face] * 1_000
    data = {f"{n}.png": {"faces": faces, "video_meta": {}} for n in range(1_000)}
    with pytest.raises(AlignmentsError, match="MB of memory"):
        read_fsa(save(path, files.packed(files.of_version(2.4, data))))


RANDOM = np.random.default_rng(0).bytes(600_000)  # makes the file, and with it the limits, larger
START = b"\x80\x04B" + len(RANDOM).to_bytes(4, "little") + RANDOM
FULL = bool(os.environ.get("FACESTREAM_FULL"))

BOMBS = {  # start, what is repeated, how often, end
    "zeros": (RANDOM, b"\0", 512 << 20, b""),
    "lists": (START, b"]", 45 << 20, b""),
    "dicts": (START, b"}", 45 << 20, b""),
    "filled": (START, b"}\x8c\x01aNs", 7 << 20, b""),
    "nothings": (START, b"N", 45 << 20, b""),
    "remembered": (START, b"N\x94", 22 << 20, b""),
    "frames": (START, b"\x95" + bytes(8), 5 << 20, b""),
    "thumbnails": (START + b"](", b"Ka", 22 << 20, b"e."),
    "numbers": (START, b"](KaNe", 7 << 20, b""),
    "one": (START, b"](Kae", 9 << 20, b""),
    "floats": (START + b"](", b"Gabcdefgh", 5 << 20, b"e."),
    "mixed": (START + b"](", b"KaN", 15 << 20, b"e."),
    "pairs": (START, b"](GabcdefghGabcdefghe", 2 << 20, b""),
    "text": (START + b"}(", b"X\x0a\0\0\0aaaaaaaaaa]", 2 << 20, b"u."),
    "references": (START + b"]\x94", b"h\0", 22 << 20, b""),
    "tuples": (START, b")\x85", 22 << 20, b""),
    "arrays": (
        START + b"cnumpy.core.multiarray\n_reconstruct\n\x94cnumpy\nndarray\n\x94",
        b"h\0h\1K\0\x85C\1b\x87R",
        3 << 20,
        b"",
    ),
}


def bomb(start: bytes, repeated: bytes, times: int, end: bytes) -> bytes:
    packer = zlib.compressobj()
    piece = repeated * (1 << 20)
    pieces = [packer.compress(start), *(packer.compress(piece) for _ in range(times >> 20))]
    return b"".join((*pieces, packer.compress(end), packer.flush()))


READ_ALL = """
import sys
from pathlib import Path
from facestream.errors import AlignmentsError
from facestream.io.fsa import read_fsa
for path in sys.argv[1:]:
    try:
        read_fsa(path)
    except AlignmentsError as error:
        assert path in str(error), error
    else:
        raise SystemExit(path + " was read")
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_bombs_end_in_an_error_within_500_megabytes(tmp_path: Path) -> None:
    names = BOMBS if FULL else ("zeros", "remembered", "arrays")
    paths = [save(tmp_path / f"{name}.fsa", bomb(*BOMBS[name])) for name in names]
    done = subprocess.run([sys.executable, "-c", READ_ALL, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500 * 1024


def test_the_limits_grow_with_the_file() -> None:
    small, large = Limits.of_file(1000), Limits.of_file(1 << 30)
    assert small.content < 100 << 20 < 10 << 30 < large.content
    assert small.memory < 200 << 20


def test_a_long_video_without_faces_is_within_the_limits(tmp_path: Path) -> None:
    data = {f"clip_{n:06d}.mp4": {"faces": [], "video_meta": {}} for n in range(50_000)}
    assert len(read_fsa(save(tmp_path / "a.fsa", files.packed(files.of_version(2.4, data))))[1]) == 50_000


# Damaged files


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-10], "cut short"),
        (lambda data: data[:100], "cut short"),
        (lambda data: b"", "cut short"),
        (lambda data: data + b"more", "goes on behind its end"),
        (lambda data: data[:200] + b"\0\0\0\0" + data[204:], "is damaged"),
        (lambda data: data[:-1] + b"\0", "is damaged"),
        (lambda data: b"\x89PNG" + data, "isn't an alignments file"),
        (lambda data: zlib.decompress(data), "isn't an alignments file"),
        (lambda data: zlib.compress(zlib.decompress(data)[:-50]), "damaged or cut short"),
    ],
)
def test_a_damaged_file_is_called_so(tmp_path: Path, damage: Any, message: str) -> None:
    path = save(tmp_path / "a.fsa", damage(files.packed(files.of_version(2.4, files.frames()))))
    with pytest.raises(AlignmentsError, match=message):
        read_fsa(path)


def test_a_file_that_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlignmentsError, match=r"none\.fsa can't be read: No such file"):
        read_fsa(tmp_path / "none.fsa")


# Writing


def test_a_replaced_file_is_kept_under_its_date(tmp_path: Path) -> None:
    path = tmp_path / "a.fsa"
    assert write_fsa(path, [], backup_at=AT) is None
    first = path.read_bytes()
    backup = write_fsa(path, files.entries().items(), backup_at=AT)
    assert backup == tmp_path / "a_bk_2026-03-01_14.05.09.fsa"
    assert backup.read_bytes() == first
    assert write_fsa(path, [], backup_at=AT) == tmp_path / "a_bk_2026-03-01_14.05.09(1).fsa"
    write_fsa(path, [])
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_that_stays_the_same_needs_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "a.fsa"
    for _ in range(2):
        assert write_fsa(path, files.entries().items(), backup_at=AT) is None
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.fsa"
    write_fsa(path, files.entries().items())
    content = path.read_bytes()

    def failing() -> Any:
        yield "a.png", files.entry()
        raise KeyError("half-way")

    with pytest.raises(KeyError):
        write_fsa(path, failing(), backup_at=AT)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cant_be_written_to_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(AlignmentsError, match=r"a\.fsa can't be written: Permission denied"):
        write_fsa(tmp_path / "a.fsa", [])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlignmentsError, match="can't be written: No such file"):
        write_fsa(tmp_path / "none" / "a.fsa", [])


def test_names_of_any_language_and_bytes_survive(tmp_path: Path) -> None:
    names = ["naïve 顔 👩‍🚀.png", "a\u00a0b.jpg", b"caf\xe9.png".decode("utf-8", "surrogateescape")]
    write_fsa(tmp_path / "a.fsa", [(name, files.entry()) for name in names])
    assert list(read(tmp_path / "a.fsa")) == names
    assert pickle.loads(zlib.decompress((tmp_path / "a.fsa").read_bytes()))["__data__"].keys() == set(names)
