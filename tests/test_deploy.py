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

from facestream.cli import WRONG_USAGE
from facestream.config import from_file
from tests.serving.test_metrics import everything

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
ELSEWHERE = {"up"}  # Prometheus' own
SINCE_254 = re.compile("Unknown key '(RestartSteps|RestartMaxDelaySec)'")  # older systemd does without


def samples() -> set[str]:
    """The names that a query may use."""
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(everything().render().decode())
    return {sample.name for family in families for sample in family.samples}


def labels() -> set[str]:
    """The labels that a query may use, and those that Prometheus adds."""
    from prometheus_client.parser import text_string_to_metric_families

    families = text_string_to_metric_families(everything().render().decode())
    return {label for family in families for sample in family.samples for label in sample.labels} | {"instance", "job"}


def used(text: str) -> set[str]:
    return set(re.findall(r"\b(?:facestream|process)_[a-z_]+\b", text))


def labels_used(text: str) -> set[str]:
    chosen = re.findall(r"([a-z_]+)(?:=~|!~|!=|=)\"", text)
    grouped = [
        name for names in re.findall(r"\b(?:by|without|on|ignoring) \(([^)]*)\)", text) for name in names.split(",")
    ]
    return {name.strip() for name in (*chosen, *grouped)}


def expressions(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["expr"]] if "expr" in node else []
        return own + [found for value in node.values() for found in expressions(value)]
    return [found for value in node for found in expressions(value)] if isinstance(node, list) else []


def test_every_query_of_the_dashboard_is_about_metrics_that_there_are():
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    queries = expressions(dashboard)
    assert len(queries) >= 20
    there, known = samples(), labels()
    for query in queries:
        assert used(query), query
        assert used(query) <= there, query
        assert labels_used(query) <= known, query
        assert query.count("(") == query.count(")"), query


def test_what_the_dashboard_lets_one_choose_is_of_metrics_that_there_are():
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    choices = [variable["definition"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    assert choices
    for choice in choices:
        assert used(choice), choice
        assert used(choice) <= samples(), choice
        assert choice.rpartition(", ")[2].removesuffix(")") in labels(), choice


def test_frames_that_were_not_wanted_are_not_shown_as_dropped():
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    dropped = [query for query in expressions(dashboard) if "facestream_source_frames_dropped_total" in query]
    assert dropped
    reasons = re.findall(r'frames_dropped_total{.*reason="([a-z_]+)"', everything().render().decode())
    for query in dropped:
        (left_out,) = re.findall(r'reason!="([a-z_]+)"', query)
        assert left_out == "rate_limit"
        assert left_out in reasons


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
    alerts = [line for line in (DEPLOY / "prometheus.yml").read_text().splitlines() if "expr:" in line]
    assert alerts
    for alert in alerts:
        assert used(alert) <= samples(), alert
        assert used(alert) or ELSEWHERE & set(re.findall(r"\w+", alert)), alert
        assert labels_used(alert) <= labels(), alert


def test_the_example_settings_are_good():
    from facestream.cli_settings import SETTINGS

    assert from_file(DEPLOY / "facestream.toml", SETTINGS).check()


def unit() -> configparser.ConfigParser:
    """The systemd unit; of keys that are there several times, the last."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(DEPLOY / "facestream.service")
    return unit


def test_the_unit_gives_the_server_the_time_that_it_takes():
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert int(service["TimeoutStopSec"]) > 2 * 10  # [server] drain, twice
    assert int(service["WatchdogSec"]) > 15  # stuck_after


def test_the_unit_comes_back_whatever_the_number_of_failures_but_not_with_wrong_settings():
    service = unit()["Service"]
    assert unit()["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["Restart"] == "on-failure"
    assert int(service["RestartSec"]) < int(service["RestartMaxDelaySec"])
    assert int(service["RestartSteps"]) > 0
    assert int(service["RestartPreventExitStatus"]) == WRONG_USAGE


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_understands_the_unit(tmp_path: Path):
    text = (DEPLOY / "facestream.service").read_text().replace("/opt/facestream/bin/facestream", sys.executable)
    unit = tmp_path / "facestream.service"
    unit.write_text(text)
    verdict = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    complaints = [line for line in verdict.stderr.splitlines() if "facestream.service" in line]
    assert [line for line in complaints if not SINCE_254.search(line)] == []


def test_containers_run_as_nobody_special_and_ask_for_a_token():
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER facestream$", dockerfile, re.MULTILINE)
    assert "HEALTHCHECK" in dockerfile
    assert "${FACESTREAM_TOKEN:?" in (DEPLOY / "compose.yaml").read_text()
