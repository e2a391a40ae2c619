from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from facestream.faces.crops import crop, crop_matrices
from facestream.faces.extracted import extracted_face
from facestream.plugins import registry
from facestream.plugins.identity.sface import SFaceNetwork
from facestream.stream.joining import batch_of as joined
from facestream.stream.stage import derive
from facestream.stream.types import ExtractBatch, Faces, Floats, Frame, Image
from tests.plugins.conftest import Load, align, batch_of, detect_scaled

# The first five of the leftmost and rightmost face's 128 numbers. The network's outputs were compared with ONNX's
# reference implementation on the published file: they agree to 4e-6.
FIRST_FIVE = {0: [-0.0116, -0.2396, 0.0792, -0.0722, 0.1422], 4: [-0.1429, -0.0315, -0.0205, 0.0039, 0.0247]}


@pytest.fixture(scope="module")
def sface(load: Load) -> Any:
    return load("identity", "sface")


@pytest.fixture(scope="module")
def people(load: Load, photo: Image) -> ExtractBatch:
    """Five faces with landmarks, from left to right."""
    found = detect_scaled(load("detect", "yunet", size=320), photo, 320)
    batch = batch_of(photo, found)
    align(load("align", "mesh"), batch)
    batch.keep(np.argsort(batch.boxes[:, 0]))
    return batch


def embeddings(model: Any, batch: ExtractBatch) -> Floats:
    derive(batch)
    feed = model.pre_process(batch)
    model.post_process(model.infer(feed), feed, batch)
    return np.asarray(batch.identities["sface"])


def of_faces(people: ExtractBatch, index: slice = slice(None), image: Image | None = None) -> ExtractBatch:
    """The same faces afresh."""
    frame = people.frames[0] if image is None else Frame("photo", 0, 0, 0.0, 0.0, image)
    fields = {name: getattr(people, name)[index] for name in ("boxes", "scores", "points", "landmarks")}
    return ExtractBatch(frames=[frame], frame_ids=people.frame_ids[index], **fields)


def test_gives_the_numbers_that_it_gave_before(sface: Any, people: ExtractBatch) -> None:
    found = embeddings(sface, of_faces(people))
    assert found.shape == (5, 128)
    for face, numbers in FIRST_FIVE.items():
        np.testing.assert_allclose(found[face, :5], numbers, atol=0.01)


def test_embeddings_have_length_one(sface: Any, people: ExtractBatch) -> None:
    np.testing.assert_allclose(np.linalg.norm(embeddings(sface, of_faces(people)), axis=1), 1, atol=1e-5)


def test_five_people_are_five_people(sface: Any, people: ExtractBatch) -> None:
    found = embeddings(sface, of_faces(people))
    cosines = (found @ found.T)[~np.eye(5, dtype=bool)]
    assert cosines.max() < 0.5  # two of them look alike: 0.39, more than the card's threshold
    assert np.median(cosines) < 0.15


def test_a_mirror_image_and_a_smaller_picture_show_the_same_people(sface: Any, people: ExtractBatch) -> None:
    image = people.frames[0].image
    smaller = of_faces(people, image=np.ascontiguousarray(image[::2, ::2]))
    assert smaller.landmarks is not None
    smaller.landmarks = smaller.landmarks / np.float32(2)
    same = (embeddings(sface, of_faces(people)) * embeddings(sface, smaller)).sum(axis=1)
    assert same.min() > 0.6


def test_the_detectors_points_do_without_landmarks(sface: Any, people: ExtractBatch) -> None:
    by_points = of_faces(people)
    by_points.landmarks = None
    same = (embeddings(sface, of_faces(people)) * embeddings(sface, by_points)).sum(axis=1)
    assert same.min() > 0.6


def test_a_batch_equals_its_singles(sface: Any, people: ExtractBatch) -> None:
    together = embeddings(sface, of_faces(people))
    for face in range(5):
        alone = embeddings(sface, of_faces(people, slice(face, face + 1)))
        np.testing.assert_allclose(alone[0], together[face], atol=1e-4)


def test_a_face_picture_gives_what_the_frame_gives(sface: Any, people: ExtractBatch) -> None:
    image, landmarks = people.frames[0].image, people.landmarks
    assert landmarks is not None
    height, width = image.shape[:2]
    for face in range(2):
        batch = of_faces(people, slice(face, face + 1))
        derive(batch)
        assert batch.aligned is not None
        picture = crop(image, crop_matrices(batch.aligned, 512)[0], 512)
        known = Faces(boxes=batch.boxes, scores=batch.scores, landmarks=batch.landmarks)
        frame = Frame("faces", 0, 0, 0.0, 0.0, picture)
        found = embeddings(sface, joined([extracted_face(frame, known, (width, height))]))
        assert (found @ embeddings(sface, batch).T).item() > 0.97


def test_no_faces_are_no_embeddings(sface: Any, people: ExtractBatch) -> None:
    assert len(embeddings(sface, of_faces(people, slice(0)))) == 0


def test_it_looks_at_red_first(sface: Any, people: ExtractBatch) -> None:
    feed = sface.pre_process(of_faces(people, image=np.full((667, 1000, 3), (1, 2, 3), np.uint8)))
    assert feed.pixels.shape == (5, 112, 112, 3)
    assert feed.pixels[0, 56, 56].tolist() == [3, 2, 1]


def test_the_network_has_the_published_shape() -> None:
    network = SFaceNetwork().eval()
    assert sum(isinstance(module, torch.nn.Conv2d) for module in network.modules()) == 27
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 112, 112)).shape == (2, 128)


def test_its_card_needs_no_torch_and_names_a_free_licence() -> None:
    card = registry.card("identity", "sface")
    assert (card.licence, card.limits, card.threshold) == ("Apache-2.0", "", 0.363)
