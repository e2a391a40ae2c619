import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from facestream.errors import UnusableDevice
from facestream.plugins import base, registry
from facestream.plugins.openvino_network import SHAPES, OpenVinoNetwork, agreeing_network, converted

pytest.importorskip("openvino")

PLAIN = np.zeros(3, np.float32), np.ones(3, np.float32)


class Small(nn.Module):
    """(B, 3, H, W) → (B, 2, H / 2, W / 2) and the mean of each picture (B, 1)."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, stride=2, padding=1)
        self.gain = gain

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(x).relu() * self.gain, x.mean(dim=(1, 2, 3))[:, None]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    path.write_bytes(b"weights")
    return path


def pictures(count: int, height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, height, width, 3)).astype(np.uint8)


def by_torch(net: nn.Module, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
    with torch.no_grad():
        return tuple(out.numpy() for out in net(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()))


def test_the_numbers_are_torchs_at_any_size(weights: Path, tmp_path: Path) -> None:
    net = Small().eval()
    fast = OpenVinoNetwork(converted(net, None, weights, tmp_path / "cache"), *PLAIN, threads=1)
    for height, width in ((64, 96), (32, 320), (96, 32)):
        pixels = pictures(2, height, width)
        for found, expected in zip(fast(pixels), by_torch(net, pixels), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_a_samples_result_does_not_depend_on_its_neighbours(weights: Path, tmp_path: Path) -> None:
    fast = OpenVinoNetwork(converted(Small().eval(), 64, weights, tmp_path), *PLAIN, threads=2)
    pixels = pictures(5, 64, 64)
    together = fast(pixels)
    for row, picture in enumerate(pixels):
        for alone, all_ in zip(fast(picture[None]), together):
            np.testing.assert_array_equal(alone[0], all_[row])


@pytest.mark.parametrize("of_mean", [0, 1])
@pytest.mark.parametrize("of_scale", [0, 1])
def test_a_networks_own_normalisation_is_done(of_mean: int, of_scale: int, weights: Path, tmp_path: Path) -> None:
    mean, scale = of_mean * np.float32([104, 117, 123]), np.float32([2, 4, 8]) ** of_scale
    net = Small().eval()
    fast = OpenVinoNetwork(converted(net, 64, weights, tmp_path), mean, scale, threads=1)
    pixels = pictures(1, 64, 64)
    with torch.no_grad():
        expected = net(torch.from_numpy((pixels - mean) / scale).permute(0, 3, 1, 2))
    np.testing.assert_allclose(fast(pixels)[0], expected[0].numpy(), rtol=1e-4, atol=1e-3)


def test_only_so_many_shapes_stay_compiled(weights: Path, tmp_path: Path) -> None:
    fast = OpenVinoNetwork(converted(Small().eval(), None, weights, tmp_path), *PLAIN, threads=1)
    for rows in range(1, SHAPES + 4):
        fast(pictures(1, 32 * rows, 32))
    assert len(fast._shapes) == SHAPES


def test_a_network_is_converted_once(weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    net = Small().eval()
    for _ in range(2):
        converted(net, 64, weights, tmp_path / "cache")
    assert caplog.text.count("converting") == 1


def test_what_the_cache_lost_or_another_version_made_is_made_anew(weights: Path, tmp_path: Path) -> None:
    net = Small().eval()
    converted(net, 64, weights, tmp_path)
    (kept,) = tmp_path.glob("*.xml")
    kept.write_text("<net")
    (tmp_path / "small-64-0123.xml").touch()
    converted(net, 64, weights, tmp_path)
    assert [path.name for path in tmp_path.glob("*.xml")] == [kept.name]
    assert kept.stat().st_size > 1000


def test_a_cached_network_that_is_not_this_one_is_converted_again(weights: Path, tmp_path: Path) -> None:
    converted(Small(gain=2).eval(), 64, weights, tmp_path)
    net = Small(gain=3).eval()
    fast = agreeing_network(
        "small", net, weights, tmp_path, size=64, normalised=PLAIN, expected=lambda pixels: by_torch(net, pixels)
    )
    assert fast is not None


def test_a_network_that_disagrees_is_not_used(weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fast = agreeing_network(
        *("small", Small().eval(), weights, tmp_path),
        size=64,
        normalised=PLAIN,
        expected=lambda pixels: by_torch(Small(gain=5).eval(), pixels),
    )
    assert fast is None
    assert "small runs on torch, OpenVINO can't run it: its results differ" in caplog.text


def test_a_detector_finds_the_same_on_either(monkeypatch: pytest.MonkeyPatch) -> None:
    image = pictures(1, 270, 480)
    found = []
    for backend in ("torch", "openvino"):
        detector = registry.create("detect", "yunet", threshold=0.01)
        detector.backend = backend
        detector.load("cpu")
        feed = detector.pre_process(list(image))
        found.append(detector.infer(feed))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_asking_for_it_where_it_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "openvino_version", lambda: None)
    detector = registry.create("detect", "yunet")
    detector.backend = "openvino"
    with pytest.raises(UnusableDevice, match="pip install 'facestream\\[openvino\\]'"):
        detector.load("cpu")


def test_a_signal_is_survived_after_networks_were_let_go_in_the_order_they_came(tmp_path: Path) -> None:
    code = f"""if True:
        import os, signal
        from pathlib import Path
        from tests.plugins.test_openvino_network import PLAIN, OpenVinoNetwork, Small, converted, pictures
        weights = Path({str(tmp_path)!r}) / "small.safetensors"
        weights.write_bytes(b"weights")
        networks = [
            OpenVinoNetwork(converted(Small().eval(), 64, weights, weights.parent), *PLAIN, threads=1) for _ in range(3)
        ]
        for network in networks:
            network(pictures(1, 64, 64))
        while networks:
            del network
            network = networks.pop(0)
        del network
        signal.signal(signal.SIGTERM, lambda *signal: print("heard"))
        os.kill(os.getpid(), signal.SIGTERM)
        """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout.strip(), ended.returncode) == ("heard", 0), ended.stderr


def test_it_reports_to_nobody() -> None:
    code = (
        "import sys, facestream.plugins.openvino_network as net; net._imported();"
        "print([name for name in sys.modules if 'openvino_telemetry' in name])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
