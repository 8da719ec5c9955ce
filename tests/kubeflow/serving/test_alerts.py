"""The alerts are rules that Prometheus takes, on metrics that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.serving.metrics import Metrics
from pipeline.serving.versions import VersionState

ALERTS = Path(__file__).parents[3] / "kubeflow" / "serving" / "alerts"
DOCS = Path(__file__).parents[3] / "docs"
# What tensorflow_model_server exports beside what `dfei serve` has under the same names.
THEIRS = {":tensorflow:cc:saved_model:load_attempt_count"}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ALERTS / "rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_rule_says_what_happened_and_what_to_do() -> None:
    for rule in rules():
        assert rule.keys() >= {"alert", "expr", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}
    named = [re.search(r'handover\.md, "(.*?)"', rule["annotations"]["description"]) for rule in rules()]
    page = (DOCS / "handover.md").read_text()
    assert {found.group(1) for found in named if found} == {"No new version"}
    assert "No new version" in page


def test_the_metrics_of_the_rules_are_exported() -> None:
    metrics = Metrics(lambda: {"dfei": {1_700_000_000: VersionState("AVAILABLE"), 3: VersionState("END")}})
    metrics.request("dfei", "OK")
    metrics.latency("dfei", "Predict", "REST", 0.01)
    metrics.unknown_domains("dfei", 2)
    page = metrics.page().decode()
    assert 'dfei_served_version{model_name="dfei"} 1.7e+09' in page
    used = {name for rule in rules() for name in re.findall(r"(?::tensorflow:|dfei_)[\w:]+", rule["expr"])}
    assert used > THEIRS
    for name in used - THEIRS:
        assert f"\n{name}{{" in page, name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is in Debian's package prometheus")
@pytest.mark.parametrize("command", [("check", "rules.yaml"), ("test", "rules_test.yaml")])
def test_prometheus_takes_them_and_they_fire_when_they_should(command: tuple[str, str]) -> None:
    verb, file = command
    done = subprocess.run(
        ["promtool", verb, "rules", file], cwd=ALERTS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
