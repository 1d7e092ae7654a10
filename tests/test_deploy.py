"""The Grafana board and the alerts ask for nothing that voxline does not tell."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from telephony.lines.metrics import Metrics

DEPLOY = Path(__file__).parents[1] / "deploy"
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "voxline.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "voxline.yml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
ASKED = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]] + [rule["expr"] for rule in RULES]
FROM_PROMETHEUS = {"instance", "le", "job"}


def labels() -> dict[str, set[str]]:
    """Every sample that /metrics has, by its name, with its labels."""
    known: dict[str, set[str]] = {}
    registry: CollectorRegistry = Metrics().registry
    for family in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        for suffix in suffixes:
            known[family.name + suffix] = {name for sample in family.samples for name in sample.labels}
    for collector in {id(each): each for each in registry._names_to_collectors.values()}.values():
        if isinstance(collector, MetricWrapperBase):  # those that have counted nothing yet show no samples
            for name in known:
                if name.startswith(collector._name):
                    known[name] |= set(collector._labelnames)
    return known


KNOWN = labels()


@pytest.mark.parametrize("expression", ASKED)
def test_all_that_is_asked_for_is_told(expression: str) -> None:
    for name, selected in re.findall(r"\b(voxline_\w+)(?:\{([^}]*)\})?", expression):
        assert name in KNOWN
        assert set(re.findall(r"(\w+)\s*[=!]~?", selected)) <= KNOWN[name] | FROM_PROMETHEUS
    names = re.findall(r"\bvoxline_\w+", expression)
    told = set().union(*(KNOWN[name] for name in names), FROM_PROMETHEUS)
    for listed in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {name.strip() for name in listed.split(",")} <= told


def test_every_metric_is_on_the_board() -> None:
    shown = {name for expression in ASKED for name in re.findall(r"\bvoxline_\w+", expression)}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    left_out = {re.sub(r"_(bucket|sum|count)$", "", name) for name in KNOWN} - bases
    # the greeting, what is only context of others, and what an operator reads
    assert left_out <= {
        "voxline_greeting_seconds",
        "voxline_frames_total",
        "voxline_frames_duplicate_total",
        "voxline_gap_milliseconds_total",
        "voxline_events_unknown_total",
        "voxline_marks_lost_total",
        "voxline_replies_wasted_total",
        "voxline_live_audio_dropped_milliseconds_total",
    }


def test_panels_do_not_lie_over_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert max(x for x, _ in taken) < 24


def test_each_alert_says_what_is_wrong() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        asked = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        aggregated = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
        kept = {name.strip() for name in aggregated[0].split(",")} if aggregated else None
        assert kept is None or asked <= kept
