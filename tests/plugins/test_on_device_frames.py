import gc

import numpy as np
import torch

from facestream.plugins.on_device_frames import UploadedFrames
from facestream.plugins.on_device_sharing import share_uploads
from facestream.stream.types import Image

CPU = torch.device("cpu")
OTHER = torch.device("meta")


def frames_of(count: int, size: int = 4) -> list[Image]:
    return [np.full((size, size, 3), shade, np.uint8) for shade in range(count)]


def shades(uploads: UploadedFrames, images: list[Image]) -> list[int]:
    placed = uploads.of(uploads.staged(images, CPU), CPU)
    return [int(one.pictures[one.row, 0, 0, 0]) for one in placed]


def test_a_frame_is_brought_once() -> None:
    uploads, images = UploadedFrames(), frames_of(3)
    assert [len(rows) for rows, _ in uploads.staged(images, CPU).groups] == [3]
    assert shades(uploads, images) == [0, 1, 2]
    assert not uploads.staged(images, CPU).groups
    assert shades(uploads, images[::-1]) == [2, 1, 0]


def test_frames_of_one_size_come_together_and_one_given_twice_comes_once() -> None:
    uploads = UploadedFrames()
    small, large = frames_of(2), frames_of(2, 5)
    staged = uploads.staged([small[0], large[0], small[1], small[0]], CPU)
    assert [rows for rows, _ in staged.groups] == [[0, 2], [1]]
    placed = uploads.of(staged, CPU)
    assert placed[0].pictures is placed[2].pictures
    assert placed[3].row == placed[0].row


def test_what_was_copied_is_the_frame_as_it_was() -> None:
    uploads, (image,) = UploadedFrames(), frames_of(1)
    staged = uploads.staged([image], CPU)
    image[:] = 9
    assert int(uploads.of(staged, CPU)[0].pictures.max()) == 0


def test_frames_that_cannot_be_written_or_lie_backwards_come_as_they_look() -> None:
    whole = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    locked, backwards = whole.copy(), whole[::-1, ::-1]
    locked.flags.writeable = False
    uploads = UploadedFrames()
    for one, image in zip(uploads.of(uploads.staged([locked, backwards], CPU), CPU), (locked, backwards)):
        np.testing.assert_array_equal(one.pictures[one.row].numpy(), image)


def test_what_is_on_the_device_goes_with_the_frame() -> None:
    uploads, images = UploadedFrames(), frames_of(3)
    shades(uploads, images)
    assert len(uploads) == 3
    del images[1:]
    gc.collect()
    assert len(uploads) == 1


def test_the_oldest_make_room_and_are_brought_again() -> None:
    images = frames_of(5)
    uploads = UploadedFrames(limit=2 * images[0].nbytes)
    for image in images:
        shades(uploads, [image])
    assert len(uploads) == 2
    assert shades(uploads, images) == [0, 1, 2, 3, 4]  # more than there is room for, and all of them usable


def test_each_device_has_its_own() -> None:
    uploads, images = UploadedFrames(), frames_of(1)
    shades(uploads, images)
    assert uploads.staged(images, OTHER).groups


def test_frames_may_outlive_what_held_them() -> None:
    images = frames_of(1)
    shades(UploadedFrames(), images)
    gc.collect()
    images.clear()  # nobody is left to be told


def test_models_share_what_one_of_them_has_brought() -> None:
    class Model:
        def __init__(self) -> None:
            self.uploads = UploadedFrames()

    first, second = Model(), Model()
    share_uploads([None, first, object(), second])
    assert second.uploads is first.uploads
    share_uploads([])
