"""Detect → align → identity with everything made on the device, against the default path."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from facestream.plugins import registry
from facestream.plugins.align.normalize import Normalization
from facestream.plugins.on_device_frames import UploadedFrames
from facestream.stream.stage import DetectRole, FaceRole
from facestream.stream.types import ExtractBatch, Extracted, Frame, Image
from tests.plugins.conftest import Load, batch_of, detect

PIXELS = 0.5
OF_EYE_DISTANCE = 0.005

Place = Callable[[Any, bool], Any]


@pytest.fixture(scope="module")
def place(load: Load) -> Place:
    """``place(model, on_device)``: the same loaded model either way; its networks on torch, so that they are alike."""

    def placed(model: Any, on_device: bool) -> Any:
        model._prepares_on_device = on_device
        model._fast = None
        model.uploads = UploadedFrames()
        return model

    return placed


class Models(dict[str, Any]):
    """Each is loaded when it is first asked for: whoever hasn't agreed to the terms of one can test the others."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load

    def __missing__(self, name: str) -> Any:
        roles = {"yunet": "detect", "centerface": "detect", "mesh": "align", "sface": "identity", "bisenet-fp": "mask"}
        self[name] = self._load(roles[name], name)
        return self[name]


@pytest.fixture(scope="module")
def models(load: Load) -> Models:
    return Models(load)


@pytest.fixture(scope="module")
def frames(photo: Image) -> list[Frame]:
    """The photo, smaller, mirrored and with nobody in it."""
    smaller = np.asarray(cv2.resize(photo, None, fx=0.6, fy=0.6), np.uint8)
    pictures = [photo, smaller, np.ascontiguousarray(photo[:, ::-1]), np.full_like(photo, 90)]
    return [Frame("photo", 0, seq, 0.0, 0.0, picture) for seq, picture in enumerate(pictures)]


def through(frames: list[Frame], *models: Any) -> ExtractBatch:
    batch = ExtractBatch(frames=frames)
    for role in (DetectRole(models[0]), *map(FaceRole, models[1:])):
        feed = role.pre_process(batch)
        role.post_process(role.infer(feed), feed, batch)
    return batch


def test_boxes_landmarks_and_embeddings_are_those_of_the_host(
    models: Models, frames: list[Frame], place: Place
) -> None:
    chain = [models[name] for name in ("yunet", "mesh", "sface")]
    here = through(frames, *(place(model, False) for model in chain))
    there = through(frames, *(place(model, True) for model in chain))
    assert here.frame_ids.tolist() == there.frame_ids.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert np.abs(there.boxes - here.boxes).max() < PIXELS
    assert np.abs(there.points - here.points).max() < PIXELS
    eyes = np.linalg.norm(here.landmarks[:, 36] - here.landmarks[:, 45], axis=1)
    apart = np.linalg.norm(there.landmarks - here.landmarks, axis=2).max(1)
    assert (apart < OF_EYE_DISTANCE * eyes).all()
    assert ((there.identities["sface"] * here.identities["sface"]).sum(1) > 0.999).all()


@pytest.mark.parametrize("name", ["yunet", "centerface"])
def test_a_detectors_cells_say_what_its_decoding_says(
    name: str, models: Models, frames: list[Frame], place: Place
) -> None:
    images = [frame.image for frame in frames]
    here, there = (detect(place(models[name], on_device), *images) for on_device in (False, True))
    for one, other in zip(here, there, strict=True):
        assert one.boxes.shape == other.boxes.shape
        for field in ("boxes", "scores", "points"):
            np.testing.assert_allclose(getattr(other, field), getattr(one, field), atol=0.1)


def test_a_frame_is_brought_to_the_device_once_for_the_whole_chain(
    models: Models, frames: list[Frame], place: Place
) -> None:
    chain = [place(models[name], True) for name in ("yunet", "mesh", "sface")]
    shared = CountingUploads()
    for model in chain:
        model.uploads = shared
    through(frames, *chain)
    assert shared.brought == len(frames)


def test_masks_are_those_of_the_host(models: Models, frames: list[Frame], place: Place) -> None:
    chain = [place(models[name], False) for name in ("yunet", "mesh")]
    batch = through(frames[1:2], *chain)
    batch.keep(slice(1))
    masks = []
    for on_device in (False, True):
        role = FaceRole(place(models["bisenet-fp"], on_device))
        feed = role.pre_process(batch)
        role.post_process(role.infer(feed), feed, batch)
        (found,) = batch.masks.values()
        masks.append(found.masks.astype(int))
    assert np.abs(masks[0] - masks[1]).mean() < 0.2


def test_crops_that_are_evened_out_are_made_on_the_host(
    models: Models, photo: Image, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = place(models["mesh"], True)
    monkeypatch.setattr(mesh, "normalization", Normalization.HIST)
    (found,) = detect(place(models["yunet"], False), photo)
    assert isinstance(mesh.pre_process(batch_of(photo, found)).pixels, np.ndarray)


def test_face_pictures_are_cut_on_the_host_as_their_edge_goes_on(models: Models, photo: Image, place: Place) -> None:
    batch = through(
        [Frame("photo", 0, 0, 0.0, 0.0, photo)], *(place(models[name], False) for name in ("yunet", "mesh"))
    )
    batch.frames[0].extracted = Extracted(np.eye(3), (1000, 667), batch.boxes[0])
    assert isinstance(place(models["sface"], True).pre_process(batch).pixels, np.ndarray)


@pytest.mark.parametrize("name", ["yunet", "mesh", "sface", "bisenet-fp"])
def test_nothing_to_look_at_is_no_work(name: str, models: Models, place: Place) -> None:
    model = place(models[name], True)
    if name in registry.names("detect"):
        assert detect(model) == []
        return
    batch = ExtractBatch(frames=[])
    feed = model.pre_process(batch)
    model.post_process(model.infer(feed), feed, batch)


@pytest.mark.parametrize("name", ["yunet", "centerface", "mesh", "sface"])
def test_a_model_loads_that_way(name: str, models: Models) -> None:
    model = registry.create(models[name].card.role, name)
    model._prepares_on_device, model.backend = True, "torch"
    model.load("cpu")
    assert model.on_device


class CountingUploads(UploadedFrames):
    """Counts the frames that come."""

    def __init__(self) -> None:
        super().__init__()
        self.brought = 0

    def _upload(self, images: Any, *rest: Any) -> Any:
        self.brought += len(images)
        return super()._upload(images, *rest)
