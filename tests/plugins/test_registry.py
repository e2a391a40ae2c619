import subprocess
import sys
from pathlib import Path

import pytest

from facestream.errors import ConfigError, ModelError
from facestream.plugins import catalogue, registry

CARD = """
from facestream.plugins.card import Card, Role
CARD = Card(name="mynet", role=Role.DETECT, model="mynet:MyNet", input_size=64, batch=1, licence="MIT", files=(),
            paper="-", accuracy="-")
class MyNet:
    name = "mynet"
    batch_size = 1
    load = pre_process = infer = post_process = print
    def __init__(self, *, size=None):
        self.size = size
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on the path that registers a model, as pip would lay it down."""
    info = tmp_path / "mynet-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mynet\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[facestream.plugins]\nmynet = mynet:CARD\n")
    (tmp_path / "mynet.py").write_text(CARD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    return tmp_path


def test_the_built_in_models_are_listed_by_role() -> None:
    assert {"yunet", "centerface"} <= set(registry.names("detect"))
    assert "mesh" in registry.names("align")


def test_names_are_unique() -> None:
    names = [card.name for card in registry.cards()]
    assert len(names) == len(set(names))


def test_listing_models_loads_neither_torch_nor_opencv() -> None:
    code = (
        "import sys; from facestream.plugins import catalogue; catalogue.listing();"
        "print(sorted({'torch', 'cv2', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_unknown_model_is_refused_with_the_choices() -> None:
    with pytest.raises(ModelError, match=r"unknown detect model 'yunnet': did you mean 'yunet'\?") as caught:
        registry.create("detect", "yunnet")
    assert "centerface" in str(caught.value)
    with pytest.raises(ModelError, match="unknown model 'nonsense'; choose from yunet"):
        catalogue.path("nonsense")


def test_an_unknown_option_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"unknown yunet option 'sise': did you mean 'size'\?"):
        registry.create("detect", "yunet", sise=3)


def test_an_option_of_none_means_the_cards_own() -> None:
    assert registry.create("detect", "yunet", size=None).size == registry.card("detect", "yunet").input_size


def test_the_default_detector_depends_on_the_device() -> None:
    assert registry.default("detect", "cpu") == "yunet"
    assert registry.default("detect", "cuda:1") == "centerface"
    assert registry.default("align", "cuda") == "mesh"


def test_an_installed_package_can_add_a_model(installed: Path) -> None:
    assert registry.names("detect")[-1] == "mynet"
    assert registry.create("detect", "mynet", size=7).size == 7


def test_a_package_cannot_take_a_built_in_name(installed: Path, caplog: pytest.LogCaptureFixture) -> None:
    (installed / "mynet.py").write_text(CARD.replace('name="mynet"', 'name="yunet"').replace('"MIT"', '"theirs"'))
    assert registry.card("detect", "yunet").licence == "MIT"
    assert registry.names("detect").count("yunet") == 1
    catalogue.listing()
    assert "yunet: mynet:CARD has the name of another detect model" in caplog.text
