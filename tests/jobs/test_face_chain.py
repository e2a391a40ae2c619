from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facestream.errors import ModelError
from facestream.jobs.face_chain import FoundFace, UnreadFace, run_over_faces
from facestream.stream.device import Bridge
from facestream.stream.stage import Stage
from facestream.testing.plugins import FakeIdentity, FakeMasker
from tests.jobs.face_folders import folder_of_faces


async def all_results(paths: list[Path], *models: FakeMasker | FakeIdentity) -> list[FoundFace | UnreadFace]:
    async with Bridge(torch_threads=1) as bridge:
        stages = [Stage.faces(model, bridge) for model in models]
        async with run_over_faces(paths, stages, bridge) as results:
            return [result async for result in results]


async def test_every_picture_comes_out_once_in_order_and_in_batches(tmp_path: Path) -> None:
    paths = folder_of_faces(tmp_path, [2, 1, 3, 1, 2])
    masker, identity = FakeMasker(batch_size=4), FakeIdentity(batch_size=3)
    found = await all_results(paths, masker, identity)
    assert [result.path for result in found] == paths
    for result in found:
        assert isinstance(result, FoundFace)
        assert result.faces.frame.name == result.path.name
        assert result.faces.masks["fake-masker"].present.all()
        assert np.array_equal(result.faces.identities["fake-identity"], result.faces.boxes)
    assert sum(masker.batches) == sum(identity.batches) == len(paths)
    assert max(masker.batches) > 1


async def test_what_is_no_face_is_told_in_its_place(tmp_path: Path) -> None:
    paths = folder_of_faces(tmp_path, [1, 1, 1])
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    gone = tmp_path / "gone.png"
    found = await all_results([gone, *paths, gone], FakeMasker())
    assert [type(result) for result in found] == [UnreadFace, FoundFace, UnreadFace, FoundFace, UnreadFace]
    assert isinstance(found[0], UnreadFace)
    assert found[0].reason == f"{gone}: can't be read: No such file or directory"
    assert isinstance(found[2], UnreadFace)
    assert paths[1].name in found[2].reason


async def test_progress_counts_every_picture(tmp_path: Path) -> None:
    paths = [*folder_of_faces(tmp_path, [1, 1]), tmp_path / "gone.png"]
    progress: list[tuple[int, int]] = []
    async with Bridge(torch_threads=1) as bridge:
        stages = [Stage.faces(FakeMasker(), bridge)]
        async with run_over_faces(paths, stages, bridge, advanced=lambda *step: progress.append(step)) as results:
            async for _ in results:
                pass
    assert progress == [(1, 3), (2, 3), (3, 3)]


async def test_without_models_pictures_are_read(tmp_path: Path) -> None:
    paths = folder_of_faces(tmp_path, [1, 2])
    assert [result.path for result in await all_results(paths)] == paths
    assert await all_results([]) == []


async def test_a_models_error_surfaces_as_itself(tmp_path: Path) -> None:
    paths = folder_of_faces(tmp_path, [3, 3, 3])
    with pytest.raises(ModelError, match="broken"):
        await all_results(paths, FakeMasker(error=ModelError("broken"), batch_size=1))


async def test_leaving_early_ends_everything(tmp_path: Path) -> None:
    paths = folder_of_faces(tmp_path, [3, 3, 3])
    async with Bridge(torch_threads=1) as bridge:
        stages = [Stage.faces(FakeMasker(batch_size=1), bridge)]
        async with run_over_faces(paths, stages, bridge) as results:
            async for result in results:
                assert result.path == paths[0]
                break
