"""A model from somebody else's package, installed as pip installs it, and packages in which something is broken."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facestream.errors import ConfigError, ModelError
from facestream.jobs.loading import load_checked
from facestream.jobs.models import ModelOptions, load_plugins
from facestream.plugins import catalogue, registry
from facestream.stream.device import Bridge
from facestream.stream.types import ExtractBatch, Image, Masks
from facestream.testing.conformance import check_detector
from facestream.testing.plugins import FakeAligner

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_detector"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's package, installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(EXAMPLE, folder / "source")  # building leaves files in the source
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run(
        [*install, "--disable-pip-version-check", "--target", str(folder / "site"), str(folder / "source")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


def facestream(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facestream", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=False,
    )


@pytest.fixture
def photo_file(five_faces: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(five_faces, tmp_path / "people.jpg"))


def test_an_installed_detector_finds_faces_for_extract(site: Path, photo_file: Path) -> None:
    done = facestream(site, "extract", photo_file, "--detector", "skin", "--aligner", "none", "--jsonl", "-", "-q")
    assert done.returncode == 0, done.stderr
    (line,) = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
    assert len(line["faces"]) >= 2
    assert all(0.4 <= face["score"] <= 1 for face in line["faces"])


def test_it_is_listed_and_has_nothing_to_pull(site: Path) -> None:
    listed = facestream(site, "models", "list").stdout.splitlines()
    assert ["detect", "skin", "-", "-", "Apache-2.0"] in [line.split() for line in listed]
    pulled = facestream(site, "models", "pull", "skin")
    assert (pulled.returncode, pulled.stdout) == (0, "")


def test_it_conforms(site: Path, five_faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    detector = registry.create("detect", "skin")
    detector.load("cpu")
    check_detector(detector, cv2.imread(str(five_faces)))


def test_its_own_tests_run_the_suite(site: Path, five_faces: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


CARD = """
from facestream.plugins.card import Card, Role
CARD = Card(name="mynet", role=Role.DETECT, model="mynet.net:MyNet", input_size=64, batch=1, licence="MIT", files=(),
            paper="-", accuracy="-")
"""
NET = """
import numpy as np
from facestream.stream.types import Detections
class MyNet:
    name = "mynet"
    batch_size = 2
    def load(self, device): pass
    def pre_process(self, images): return images
    def infer(self, feed): return [None] * len(feed)
    def post_process(self, raw, feed):
        return [Detections(np.array([[1, 2, 30, 40]], np.float32), np.ones(1, np.float32)) for _ in raw]
"""


@pytest.fixture
def mynet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as pip lays it down; returns its folder, in which a test breaks something."""
    info = tmp_path / "mynet-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mynet\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[facestream.plugins]\nmynet = mynet.card:CARD\n")
    package = tmp_path / "mynet"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "card.py").write_text(CARD)
    (package / "net.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    for module in [name for name in sys.modules if name.partition(".")[0] == "mynet"]:
        monkeypatch.delitem(sys.modules, module)
    return package


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("card.py", "import no_such_module", r"mynet\.card:CARD of mynet can't be imported: No module named"),
        ("card.py", "1 / 0", "can't be imported: ZeroDivisionError: division by zero"),
        ("card.py", "def (", "can't be imported: SyntaxError"),
        ("card.py", "OTHER = 1", "can't be imported: AttributeError"),
        ("card.py", "CARD = 1", r"isn't a facestream\.plugins\.card\.Card"),
        ("net.py", "import no_such_module", r"mynet\.net:MyNet can't be imported: No module named"),
        ("net.py", "raise OSError('no\\nlibrary')", "can't be imported: OSError: no library"),
        ("net.py", "MyNet = 1", r"mynet\.net:MyNet isn't a class"),
        ("net.py", NET.replace("def infer", "def inferr"), "lacks infer; see docs/plugins.md"),
        ("net.py", NET.replace("batch_size = 2", "def __init__(self): 1 / 0"), "can't be made: ZeroDivisionError"),
    ],
)
def test_what_is_broken_about_a_model_is_one_line_that_names_it(
    mynet: Path, file: str, text: str, complaint: str
) -> None:
    (mynet / file).write_text(text)
    with pytest.raises(ModelError, match=f"^mynet:? .*{complaint}") as caught:
        registry.create("detect", "mynet")
    assert "\n" not in str(caught.value)


def test_a_broken_package_keeps_nobody_from_using_other_models(mynet: Path, caplog: pytest.LogCaptureFixture) -> None:
    (mynet / "card.py").write_text("raise RuntimeError('out of order')")
    assert "yunet" in registry.names("detect")
    assert "mynet" not in registry.names("detect")
    assert caplog.text == ""
    catalogue.listing()
    assert "mynet: mynet.card:CARD of mynet can't be imported: RuntimeError: out of order" in caplog.text


def test_an_option_that_it_does_not_have_is_refused(mynet: Path) -> None:
    with pytest.raises(ConfigError, match="unknown mynet option 'size'; choose from none"):
        registry.create("detect", "mynet", size=3)


def test_a_package_that_is_not_broken_works(mynet: Path, five_faces: Path) -> None:
    model: Any = registry.create("detect", "mynet")
    image: Image = cv2.imread(str(five_faces))
    assert len(model.post_process(model.infer([image]), [image])) == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("[[1, 2, 30, 40]]", "[[1, 2, 30]]"), r"boxes are float32 \(1, 3\), not float32 \(1, 4\)"),
        (("np.array([[1, 2, 30, 40]], np.float32)", "[[1, 2, 30, 40]]"), "boxes are list, not float32"),
        (("np.ones(1, np.float32)", "np.ones(3, np.float32)"), r"scores are float32 \(3,\), not float32 \(1,\)"),
        (("np.ones(1, np.float32)", "np.ones(1)"), r"scores are float64 \(1,\)"),
        (("np.ones(1, np.float32)", "np.float32([np.nan])"), "scores aren't finite"),
        (("np.ones(1, np.float32)", "np.float32([99])"), r"scores must lie in 0\.\.1, not 99\.\.99"),
        (("for _ in raw", "for _ in raw[1:]"), "1 results for 2 frames"),
        (("[Detections(np", "[(np"), "fails on a blank frame: AttributeError"),
        (
            ("def load(self, device): pass", "def load(self, device): open('/no/file')"),
            "can't be loaded on cpu: .*/no/file",
        ),
        (("return images", "return images[2]"), "fails on a blank frame: IndexError"),
    ],
)
async def test_a_model_that_breaks_its_contract_is_one_line_that_names_it(
    mynet: Path, change: tuple[str, str], complaint: str
) -> None:
    assert change[0] in NET
    (mynet / "net.py").write_text(NET.replace(*change))
    async with Bridge("cpu", cpu_workers=1) as bridge:
        with pytest.raises(ModelError, match=f"^mynet:? .*{complaint}") as caught:
            await load_plugins(ModelOptions(detector="mynet", aligner=None), bridge)
    assert "\n" not in str(caught.value)


def test_a_command_ends_with_that_line(mynet: Path, photo_file: Path) -> None:
    (mynet / "net.py").write_text(NET.replace("[[1, 2, 30, 40]]", "[[1, 2, 30]]"))
    done = facestream(mynet.parent, "extract", photo_file, "--detector", "mynet", "--aligner", "none", "--jsonl", "-")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "facestream: mynet: boxes are float32 (1, 3), not float32 (1, 4)"


class Writes(FakeAligner):
    """Writes something of its own into the batch."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(name="mynet")
        self._fields = fields

    def post_process(self, raw: Any, feed: Any, batch: ExtractBatch) -> None:
        for name, value in self._fields.items():
            setattr(batch, name, value)


EYE = np.eye(3, dtype=np.float32)[None]
SPOT = np.zeros((1, 68, 2), np.float32)


@pytest.mark.parametrize(
    ("role", "fields", "complaint"),
    [
        ("align", {"landmarks": None}, "wrote no landmarks"),
        ("align", {"landmarks": np.zeros((1, 30, 2), np.float32)}, r"landmarks are float32 \(1, 30, 2\)"),
        ("align", {"landmarks": SPOT, "landmark_scores": np.float32([7])}, r"landmark scores must lie in 0\.\.1"),
        ("mask", {}, "wrote no masks"),
        (
            "mask",
            {"masks": {"m": Masks("face", EYE, np.zeros((1, 9, 8), np.uint8))}},
            r"mask 'm': masks are uint8 \(1, 9, 8\)",
        ),
        ("identity", {}, "wrote no identities"),
        ("identity", {"identities": {"i": np.zeros((2, 8), np.float32)}}, r"identity 'i' are float32 \(2, 8\)"),
    ],
)
def test_what_a_model_writes_wrongly_about_faces_is_told(role: str, fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ModelError, match=f"^mynet: {complaint}"):
        load_checked(Writes(**fields), role, "cpu")


@pytest.mark.parametrize(
    ("role", "fields"),
    [
        ("align", {"landmarks": np.zeros((1, 98, 2), np.float32)}),
        ("mask", {"masks": {"m": Masks("face", EYE, np.zeros((1, 9, 9), np.uint8))}}),
        ("identity", {"identities": {"i": np.zeros((1, 8), np.float32)}}),
    ],
)
def test_what_a_model_writes_as_it_should_is_accepted(role: str, fields: dict[str, Any]) -> None:
    load_checked(Writes(**fields), role, "cpu")
