import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from facestream.errors import ConfigError, ModelError, WeightsCorrupt, WeightsMissing
from facestream.plugins import catalogue, registry, weights
from facestream.plugins.align.hrnet import HrNetNetwork
from facestream.plugins.card import UrlFile

UNSEEN = {"s3fd": "detect", "retinaface": "detect", "fan": "align", "hrnet": "align"}
UNSEEN |= {"unet-dfl": "mask", "vgg-clear": "mask", "vgg-obstructed": "mask"}
UNSEEN |= {"t-face": "identity", "t-face-ir-50": "identity", "vggface2": "identity"}
A_HASH = "ab" * 32


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FACESTREAM_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as hrnet's might be published: the right keys and shapes, of no use otherwise."""
    file = tmp_path_factory.mktemp("release") / "hrnet_landmark_v2.pth"
    with torch.device("meta"):
        state = HrNetNetwork().state_dict()
    torch.save({key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in state.items()}, file)
    return file


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(release: Path) -> Iterator[str]:
    """Where the release is served, on this machine."""
    handler = partial(Quiet, directory=str(release.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{release.name}"
        server.shutdown()
        thread.join()


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", UNSEEN)
def test_the_card_of_a_model_without_a_hash_names_an_https_address(name: str) -> None:
    (card,) = (card for card in registry.unverified(UNSEEN[name]) if card.name == name)
    (file,) = card.files
    assert isinstance(file, UrlFile)
    assert file.url.startswith("https://")
    assert file.sha256 == ""


@pytest.mark.parametrize("name", UNSEEN)
def test_a_model_without_a_hash_is_neither_fetched_nor_loaded_and_says_what_to_do(name: str, cache: Path) -> None:
    assert name not in registry.names(UNSEEN[name])
    with pytest.raises(WeightsMissing, match=f"run `facestream models pull {name} --sha256 HEX`"):
        registry.create(UNSEEN[name], name).load("cpu")
    with pytest.raises(WeightsMissing, match=f"run `facestream models pull {name} --sha256 HEX`"):
        catalogue.pull([name])
    with pytest.raises(WeightsMissing, match=f"run `facestream models pull {name} --sha256 HEX`"):
        catalogue.path(name)
    assert not cache.exists()


def test_the_listing_tells_models_without_a_hash() -> None:
    assert {entry.card.name for entry in catalogue.listing() if not entry.hashed} == set(UNSEEN)


def test_a_file_that_its_user_vouches_for_is_loaded_then_and_later(release: Path) -> None:
    path = catalogue.pull_vouched("hrnet", sha256(release), str(release))
    assert "hrnet" in registry.names("align")
    assert catalogue.path("hrnet") == path
    assert next(entry for entry in catalogue.listing() if entry.card.name == "hrnet").cached == path
    model = registry.create("align", "hrnet")
    model.backend = "torch"  # the weights are what matters, not how fast they run
    model.load("cpu")


def test_it_may_be_at_another_address_which_is_remembered(release: Path, address: str) -> None:
    path = catalogue.pull_vouched("hrnet", f"SHA256:{sha256(release).upper()}", address)
    path.unlink()
    assert catalogue.pull(["hrnet"]) == {"hrnet": path}
    (file,) = registry.cards("align")[-1].files
    assert file == UrlFile(address, sha256(release), release.stat().st_size)


def test_another_file_than_the_vouched_one_is_refused_and_nothing_remembered(release: Path, address: str) -> None:
    for source in (str(release), address):
        with pytest.raises(WeightsCorrupt, match=f"has sha256 {sha256(release)}, not {A_HASH}"):
            catalogue.pull_vouched("hrnet", A_HASH, source)
    assert "hrnet" not in registry.names("align")


def test_a_vouched_file_of_another_network_is_refused_and_nothing_remembered(release: Path) -> None:
    with pytest.raises(WeightsCorrupt, match="lacks conv1_1"):
        catalogue.pull_vouched("s3fd", sha256(release), str(release))
    assert "s3fd" not in registry.names("detect")


def test_a_file_without_its_hash_is_told_its_hash(release: Path) -> None:
    with pytest.raises(WeightsMissing, match=f"has sha256 {sha256(release)}: if you trust it, add --sha256"):
        catalogue.pull_vouched("hrnet", None, str(release))


def test_a_newer_vouched_hash_replaces_the_older(release: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.pth"
    torch.save({**torch.load(release, weights_only=True), "conv1.weight": torch.ones(64, 3, 3, 3)}, newer)
    for file in (release, newer):
        catalogue.pull_vouched("hrnet", sha256(file), str(file))
        assert registry.cards("align")[-1].files[0].sha256 == sha256(file)
        assert weights.cached_weights(registry.card("align", "hrnet")) is not None


def test_wrong_claims_are_refused(release: Path) -> None:
    with pytest.raises(ConfigError, match="this project knows the hash"):
        catalogue.pull_vouched("yunet", sha256(release), str(release))
    with pytest.raises(ConfigError, match="isn't a sha256"):
        catalogue.pull_vouched("hrnet", "123", str(release))
    with pytest.raises(WeightsMissing, match=r"nowhere\.pth can't be read"):
        catalogue.pull_vouched("hrnet", A_HASH, "nowhere.pth")
    with pytest.raises(ModelError, match="unknown model 'hrnett'"):
        catalogue.pull_vouched("hrnett", A_HASH)


def test_a_damaged_memory_is_as_good_as_none(release: Path, cache: Path) -> None:
    cache.mkdir()
    (cache / "vouched.json").write_text("{rubbish")
    assert "hrnet" not in registry.names("align")
    catalogue.pull_vouched("hrnet", sha256(release), str(release))
    assert "hrnet" in registry.names("align")
