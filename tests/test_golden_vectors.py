"""The golden vectors of the specification, §21, that belong to no single module; and where the others are tests.

===============================================  ===================================================================
landmarks, matrices, offsets, pose, measures     ``faces/test_aligned.py``
adjusted matrices, ROIs, sizes of sub-crops      ``faces/test_crops.py``
rotation and translation                         ``faces/test_pose.py``
masks drawn from landmarks                       ``faces/test_masks.py``
four points                                      ``faces/test_aligned.py``, ``faces/test_umeyama.py``
DARK                                             ``plugins/align/test_heatmaps.py``
rotation arguments                               ``plugins/detect/test_rotation.py``
batches made anew                                ``stream/test_batching.py``
clustering                                       ``faces/test_clustering.py``
opcodes of the alignments file                   ``io/test_fsa.py``
===============================================  ===================================================================
"""

from __future__ import annotations

import cv2
import numpy as np

from facestream.io.faces import face_header, with_header
from facestream.stream.batching import FaceBatcher
from facestream.testing.sessions import some_faces
from tests.stream.build import batch


def test_frames_without_faces_are_released_at_once_when_they_arrive_singly() -> None:
    """faceswap holds up to 2 × batch size of them back (groups of 4, 4, 2); we hold back none."""
    batcher = FaceBatcher(2)
    released = []
    for seq in range(10):
        batcher.put(batch([0], first=seq))
        taken = batcher.take()
        assert taken is not None
        assert not batcher
        released += [frame.seq for frame in taken.frames]
    assert released == list(range(10))


def test_frames_without_faces_that_wait_together_leave_together() -> None:
    batcher = FaceBatcher(2)
    for seq in range(10):
        batcher.put(batch([0], first=seq))
    taken = batcher.take()
    assert taken is not None
    assert (len(taken.frames), len(taken), batcher.take()) == (10, 0, None)


def test_the_first_bytes_of_a_face_picture() -> None:
    picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    faces = some_faces()
    content = with_header(picture, face_header(faces, 0, "door_000001"))
    after_ihdr = content[8 + 12 + 13 :]
    length = int.from_bytes(after_ihdr[:4], "big")
    assert after_ihdr[4:].startswith(b"iTXtfaceswap\0\0\0\0\0{'alignments': {'x': 10, ")
    assert after_ihdr[8 : 8 + length].endswith(b"}")
