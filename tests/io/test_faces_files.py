import ast
import os
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facestream.errors import FaceHeaderError
from facestream.io.faces import FrameStems, face_header, read_header, update_header, with_header, write_atomically
from facestream.io.literal import parse_literal
from facestream.stream.types import Frame, FrameFaces, Masks


def frame(source: str = "door", epoch: int = 0, seq: int = 0, name: str | None = None) -> Frame:
    return Frame(source, epoch, seq, 0.0, 0.0, np.zeros((360, 640, 3), np.uint8), name)


def frame_faces(name: str | None = "group.jpg") -> FrameFaces:
    noise = np.random.default_rng(3)
    masks = Masks("face", np.eye(3, dtype=np.float32)[None] * 0.5, np.full((1, 64, 64), 7, np.uint8))
    return FrameFaces(
        frame=frame(name=name),
        boxes=np.array([[10.4, 20.6, 110.2, 150.9]], np.float32),
        scores=np.array([0.9], np.float32),
        landmarks=noise.uniform(0, 300, (1, 68, 2)).astype(np.float32),
        masks={"custom_face": masks},
        identities={"sface": noise.normal(size=(1, 128)).astype(np.float32)},
    )


def header() -> dict[str, Any]:
    return face_header(frame_faces(), 0, "group")


def png(*, text: bytes | None = None) -> bytes:
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    content = cv2.imencode(".png", picture)[1].tobytes()
    return content if text is None else content[:33] + chunk(b"iTXt", text) + content[33:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def hostile(text: str) -> bytes:
    return png(text=b"faceswap\0\0\0\0\0" + text.encode())


class TestStems:
    def test_a_picture_keeps_its_own_name(self) -> None:
        assert FrameStems().stem(frame("photos", seq=7, name="summer 2019.final.jpg")) == "summer 2019.final"

    def test_a_streams_frames_count_from_1_with_six_digits(self) -> None:
        stems = FrameStems()
        names = [stems.stem(frame("clip", seq=seq)) for seq in (0, 1, 41, 999_999)]
        assert names == ["clip_000001", "clip_000002", "clip_000042", "clip_1000000"]

    def test_a_reconnection_shows_in_the_name(self) -> None:
        stems = FrameStems()
        names = [stems.stem(frame("door", epoch, 0)) for epoch in (0, 1, 2)]
        assert names == ["door_000001", "door-e1_000001", "door-e2_000001"]

    def test_pictures_of_one_name_get_a_number(self) -> None:
        stems = FrameStems()
        names = [stems.stem(frame(name=name)) for name in ("a.jpg", "A.png", "a.bmp", "a-2.jpg")]
        assert names == ["a", "A-2", "a-3", "a-2-2"]

    def test_a_source_that_starts_over_is_another_one(self) -> None:
        stems = FrameStems()
        names = [stems.stem(frame("door", epoch, seq)) for epoch, seq in ((0, 0), (1, 5), (0, 0), (0, 1), (1, 0))]
        assert names == ["door_000001", "door-e1_000006", "door-2_000001", "door-2_000002", "door-2-e1_000001"]

    def test_sources_that_look_alike_stay_apart(self) -> None:
        stems = FrameStems()
        names = [
            stems.stem(frame(source, epoch))
            for source, epoch in (("Door", 0), ("door", 0), ("door-e1", 0), ("Door", 1))
        ]
        assert names == ["Door_000001", "door-2_000001", "door-e1_000001", "Door-e1-2_000001"]

    @pytest.mark.parametrize("picture_first", [True, False])
    def test_a_picture_named_like_a_streams_frame_stays_apart(self, picture_first: bool) -> None:
        stems = FrameStems()
        frames = [frame("folder", name="clip_000001.png"), frame("clip")]
        names = {stems.stem(one) for one in (frames if picture_first else reversed(frames))}
        assert len(names) == 2

    def test_names_of_earlier_files_are_taken(self) -> None:
        stems = FrameStems()
        for stem in ("door_000777", "group"):
            stems.take(stem)
        assert stems.stem(frame("door")) == "door-2_000001"
        assert stems.stem(frame(name="group.jpg")) == "group-2"

    @pytest.mark.parametrize(
        "name",
        ["../../etc/passwd", "..", ".", "", "a/b\\c:d", "\0\n", ".hidden", "x" * 400, "ü" * 300, "\udcff", "con?*"],
    )
    def test_no_name_leaves_the_folder(self, name: str) -> None:
        for stem in (FrameStems().stem(frame(name)), FrameStems().stem(frame(name=name + ".jpg"))):
            assert stem == os.path.basename(stem)
            assert not stem.startswith(".")
            assert not set(stem) & set('/\\:*?"<>|\0\n')
            assert 0 < len(f"{stem}_99.png".encode()) <= 255

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "A", "a-2", "a-e1", "a_000001", "b", "../a"]),
                st.integers(0, 2),
                st.integers(0, 2),
                st.sampled_from([None, "a.jpg", "a.png", "a-2.jpg", "a_000001.jpg", "a-2_000002.png", "B_000001.jpg"]),
            ),
            max_size=30,
        )
    )
    def test_no_two_frames_ever_share_a_name(self, frames: list[tuple[str, int, int, str | None]]) -> None:
        stems = FrameStems()
        names = [stems.stem(frame(*one)).casefold() for one in frames]
        assert len(set(names)) == len(names)


class TestHeader:
    def test_what_is_written_is_read(self) -> None:
        assert read_header(with_header(png(), header())) == header()

    def test_it_is_the_first_chunk_before_the_picture_and_the_literal_of_a_dict(self) -> None:
        content = with_header(png(), header())
        assert content[37:50] == b"iTXtfaceswap\0"
        length = int.from_bytes(content[33:37], "big")
        text = content[41 + 13 : 41 + length].decode()
        assert text.startswith("{'alignments': {'x': 10, 'y': 21, 'w': 100, 'h': 130, 'landmarks_xy': [[")
        assert ast.literal_eval(text) == header()
        assert content[41 + length + 4 + 4 :][:4] == b"IDAT"

    def test_the_picture_stays_what_it_was(self) -> None:
        picture = np.frombuffer(with_header(png(), header()), np.uint8)
        before = np.frombuffer(png(), np.uint8)
        np.testing.assert_array_equal(cv2.imdecode(picture, 1), cv2.imdecode(before, 1))

    def test_it_describes_the_face(self) -> None:
        faces = frame_faces()
        alignments = header()["alignments"]
        assert faces.landmarks is not None
        np.testing.assert_array_equal(np.array(alignments["landmarks_xy"], np.float32), faces.landmarks[0])
        mask = alignments["mask"]["custom_face"]
        assert zlib.decompress(mask["mask"]) == b"\x07" * 64 * 64
        assert (mask["stored_size"], mask["stored_centering"]) == (64, "face")
        assert mask["interpolator"] == cv2.INTER_LINEAR
        np.testing.assert_allclose(alignments["identity"]["sface"], faces.identities["sface"][0])

    def test_it_names_its_source(self) -> None:
        assert header()["source"] == {
            "alignments_version": 2.4,
            "original_filename": "group_0.png",
            "face_index": 0,
            "source_filename": "group.jpg",
            "source_is_video": False,
            "source_frame_dims": (360, 640),
        }
        video = face_header(frame_faces(name=None), 0, "clip_000001", video_suffix=".mp4")["source"]
        assert (video["source_filename"], video["source_is_video"]) == ("clip_000001.mp4", True)

    def test_an_embedding_that_is_not_finite_is_left_out(self) -> None:
        faces = frame_faces()
        faces.identities["sface"][0, 3] = np.nan
        assert face_header(faces, 0, "group")["alignments"]["identity"] == {}

    def test_a_new_header_replaces_the_old_one(self) -> None:
        twice = with_header(with_header(png(), header() | {"source": header()["source"] | {"face_index": 9}}), header())
        assert twice == with_header(png(), header())

    def test_foreign_text_stays(self) -> None:
        foreign = chunk(b"iTXt", b"Comment\0\0\0\0\0hello")
        content = png(text=b"Comment\0\0\0\0\0hello")
        assert foreign in with_header(content, header())
        assert read_header(with_header(content, header())) == header()

    def test_a_file_is_updated_in_place(self, tmp_path: Path) -> None:
        path = tmp_path / "a_0.png"
        path.write_bytes(png())
        update_header(path, header())
        assert path.read_bytes() == with_header(png(), header())
        assert read_header(path) == header()
        assert os.listdir(tmp_path) == ["a_0.png"]

    def test_through_a_link_the_picture_itself_is_updated(self, tmp_path: Path) -> None:
        (tmp_path / "face.png").write_bytes(with_header(png(), header()))
        (tmp_path / "link.png").symlink_to("face.png")
        changed = header()
        changed["source"]["face_index"] = 3
        update_header(tmp_path / "link.png", changed)
        assert (tmp_path / "link.png").is_symlink()
        assert read_header(tmp_path / "face.png")["source"]["face_index"] == 3

    def test_a_refused_update_leaves_the_file_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "a_0.png"
        path.write_bytes(png())
        with pytest.raises(FaceHeaderError, match=r"a_0\.png"):
            update_header(path, {"alignments": {}, "source": {}})
        assert path.read_bytes() == png()

    def test_old_files_may_lack_masks_and_identities_and_write_dims_as_a_list(self) -> None:
        old = header()
        del old["alignments"]["mask"], old["alignments"]["identity"]
        old["source"]["source_frame_dims"] = [360, 640]
        read = read_header(hostile(repr(old)))
        assert read["alignments"]["mask"] == {}
        assert read["alignments"]["identity"] == {}
        assert read["source"]["source_frame_dims"] == (360, 640)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "isn't a PNG"),
            (b"\xff\xd8\xff\xe0 a JPEG", "isn't a PNG"),
            (png(), "no faceswap header"),
            (png()[:-20], "no faceswap header"),
            (with_header(png(), header())[:200], "damaged"),
            (with_header(png(), header()).replace(b"'x': 10", b"'x': 11"), "damaged"),
            (png(text=b"faceswap\0\x01\0\0\0" + zlib.compress(b"{}")), "compressed"),
            (png(text=b"faceswap\0\0\0\0\0\xff\xfe"), "utf-8"),
            (hostile("{}"), "alignments and source"),
            (hostile("[1, 2"), "no comma"),
            (hostile("__import__('os').system('true')"), "literal"),
            (hostile("[" * 100_000), "nested"),
            (hostile("-" * 100_000 + "1"), "literal"),
            (hostile("1" * 100_000), "digits"),
            (hostile("1" + "+1" * 100_000), "unexpected"),
            (hostile("'" + "a" * 100_000), "literal"),
            (hostile("[" + "0," * 200_000 + "]"), "values"),
            (hostile("{[]: 1}"), "key"),
            (hostile(repr(header()).replace("'w'", "'width'")), "lacks w"),
            (hostile(repr(header()).replace("'mask'", "'mark'")), "unknown 'mark'"),
            (hostile(repr(header()).replace("'x': 10", "'x': 1e999")), "x is a float"),
            (hostile(repr(header()).replace("'x': 10", "'x': True")), "x is a bool"),
            (hostile(repr(header()).replace("(360, 640)", "(360,)")), "source_frame_dims"),
            (hostile(repr(header()).replace("[[", "[[1e999, 0.0], [")), "landmarks_xy"),
        ],
    )
    def test_a_header_that_cannot_be_trusted_is_refused(self, content: bytes, reason: str) -> None:
        with pytest.raises(FaceHeaderError, match=reason):
            read_header(content)

    def test_a_header_of_any_size_is_refused_unread(self) -> None:
        with pytest.raises(FaceHeaderError, match="bytes, more than"):
            read_header(hostile("[" + "0," * (5 << 20) + "]"))

    def test_the_error_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "plain.png"
        path.write_bytes(png())
        with pytest.raises(FaceHeaderError, match=r"plain\.png: has no faceswap header"):
            read_header(path)

    @pytest.mark.parametrize("broken", [png()[:60], b"", png()[:-12]])
    def test_a_broken_png_gets_no_header(self, broken: bytes) -> None:
        with pytest.raises(FaceHeaderError):
            with_header(broken, header())


literals = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(literals)
def test_every_literal_that_python_writes_is_read(value: object) -> None:
    assert parse_literal(repr(value)) == value


@pytest.mark.parametrize("value", [["]"], [","], (")", ","), {"}": ":"}, {":": "}"}, [b"]", b"'", "'\""], ("",)])
def test_marks_inside_strings_mark_nothing(value: object) -> None:
    assert parse_literal(repr(value)) == value


@given(st.text("[](){},:'\"\\ bTrueNone+-1.e\n", max_size=30))
def test_no_text_is_read_otherwise_than_python_reads_it(text: str) -> None:
    try:
        value = parse_literal(text)
    except ValueError:
        return
    assert repr(ast.literal_eval(text.strip())) == repr(value)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = tmp_path / "face_0.png"
    taken.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(taken, b"content")
    assert os.listdir(tmp_path) == ["face_0.png"]
