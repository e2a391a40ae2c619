"""The files in ``deploy/`` name what there is."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facestream.config import from_file
from tests.serving.test_metrics import everything

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PARTS = r"_(bucket|count|sum)$"
ELSEWHERE = {"up"}  # Prometheus' own


def samples() -> set[str]:
    """The names that a query may use."""
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(everything().render().decode())
    return {sample.name for family in families for sample in family.samples}


def used(text: str) -> set[str]:
    return set(re.findall(r"\b(?:facestream|process)_[a-z_]+\b", text))


def expressions(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["expr"]] if "expr" in node else []
        return own + [found for value in node.values() for found in expressions(value)]
    return [found for value in node for found in expressions(value)] if isinstance(node, list) else []


def test_every_query_of_the_dashboard_is_about_metrics_that_there_are():
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    queries = expressions(dashboard)
    assert len(queries) >= 20
    for query in queries:
        assert used(query) <= samples(), query
        assert query.count("(") == query.count(")"), query


def test_the_dashboard_s_panels_do_not_overlap():
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_alerts_are_about_metrics_that_there_are():
    text = (DEPLOY / "prometheus.yml").read_text()
    assert used("\n".join(line for line in text.splitlines() if "expr:" in line)) <= samples()


def test_the_example_settings_are_good():
    from facestream.cli_settings import SETTINGS

    assert from_file(DEPLOY / "facestream.toml", SETTINGS).check()


def test_the_unit_gives_the_server_the_time_that_it_takes():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(DEPLOY / "facestream.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["TimeoutStopSec"]) > 2 * 10  # [server] drain, twice
    assert int(service["WatchdogSec"]) > 15  # stuck_after


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_understands_the_unit(tmp_path: Path):
    text = (DEPLOY / "facestream.service").read_text().replace("/opt/facestream/bin/facestream", sys.executable)
    unit = tmp_path / "facestream.service"
    unit.write_text(text)
    verdict = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert "facestream.service" not in verdict.stderr


def test_containers_run_as_nobody_special_and_ask_for_a_token():
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER facestream$", dockerfile, re.MULTILINE)
    assert "HEALTHCHECK" in dockerfile
    assert "${FACESTREAM_TOKEN:?" in (DEPLOY / "compose.yaml").read_text()
