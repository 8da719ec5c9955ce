"""Three days of a feed through the compiled package, every container's command as a process, and a day refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tensorflow as tf

from pipeline.daily.book import Book
from pipeline.daily.rollback import rollback
from pipeline.layout import RunLayout
from pipeline.simulate import simulate
from tests.kubeflow.conftest import Compiled
from tests.kubeflow.launcher import Cluster, TaskFailedError

SMALL = "; ".join(
    [
        "evaluation.min_rows=50",
        "evaluation.thresholds.average_auc=null",
        "evaluation.thresholds.overall_auc={min: 0.3, max_drop: 0.5}",
        "training.validation_min_rows=50",
        "training.epochs=1",
        "model.layers=[8]",
        "daily.gates.min_rows=100000",
        "daily.gates.deviations=8",
    ]
)
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


class Volume:
    """What every pod mounts: the logs that have arrived, the feed's root, the served models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        whole = folder / "whole"
        simulate(whole, days=len(DAYS), rows=6_000, domains=3, eval_days=1)
        self.files = sorted((whole / "impressions").glob("*.csv"))
        (folder / "logs" / "impressions").mkdir(parents=True)
        for table in ("users.csv", "items.csv"):
            (folder / "logs" / table).write_bytes((whole / table).read_bytes())

    def deliver(self, day: int, **columns: pl.Expr) -> None:
        source = self.files[day]
        frame = pl.read_csv(source).with_columns(**columns)
        frame.write_csv(self.folder / "logs" / "impressions" / source.name)

    def arguments(self) -> dict[str, object]:
        return {
            "data_dir": str(self.folder / "logs"),
            "root": str(self.folder / "feed"),
            "push_destination": str(self.folder / "serving"),
            "settings": SMALL,
        }

    def history(self) -> dict[str, dict[str, Any]]:
        document = json.loads((self.folder / "feed" / "history.json").read_text())
        return {day["day"]: day for day in document["days"]}

    def versions(self) -> list[Path]:
        return sorted(path for path in (self.folder / "serving/dfei").glob("*") if path.name.isdigit())


def test_three_days_a_refusal_and_nothing_due(tmp_path: Path, daily_package: Compiled) -> None:
    volume, cluster = Volume(tmp_path / "volume"), Cluster(tmp_path / "cluster")
    volume.deliver(0)
    first = cluster.run(daily_package, volume.arguments())
    assert first["Transform"].outputs["state"]["metadata"].get("absent") is None
    assert first["Candidate"].outputs["model"]["metadata"]["absent"] == 1
    assert "the first day fills the averages" in volume.history()[DAYS[0]]["reasons"][0]
    assert volume.versions() == []

    volume.deliver(1)
    second = cluster.run(daily_package, volume.arguments())
    assert second["Progressive"].outputs["evaluation"]["metadata"]["absent"] == 1
    found = volume.history()[DAYS[1]]
    assert (found["status"], found["pushed_to"]) == ("pushed", str(volume.versions()[-1]))

    volume.deliver(2)
    third = cluster.run(daily_package, volume.arguments())
    found = volume.history()[DAYS[2]]
    assert found["status"] == "pushed"
    assert 0.3 < found["progressive"]["overall_auc"] < 1
    # Judged against the model in service, and learned from its weights: nothing is trained from nothing.
    blessing = third["Evaluator"].outputs["blessing"]["metadata"]
    assert blessing["baseline_model_id"] == third["ResolveDay"].outputs["service"]["name"]
    assert "absent" not in third["ResolveDay"].outputs["earlier_run"]["metadata"]
    assert not [note for note in found["notes"] if "from nothing" in note]
    assert len(volume.versions()) == 2
    assert "serving_default" in tf.saved_model.load(str(volume.versions()[-1])).signatures

    volume.deliver(3, click=pl.lit(0))
    with pytest.raises(TaskFailedError) as caught:
        cluster.run(daily_package, volume.arguments())
    assert (caught.value.task, caught.value.code) == ("CloseDay", 1)
    found = volume.history()[DAYS[3]]
    assert found["status"] == "refused"
    assert "the label click is 0" in found["reasons"][0]
    assert len(volume.versions()) == 2

    done = cluster.run(daily_package, volume.arguments())
    assert done["CloseDay"].outputs["entry"]["metadata"]["absent"] == 1

    # The book is that of `dfei daily`, and so are its commands.
    book = Book(RunLayout(tmp_path / "volume/feed"))
    back = rollback(book, tmp_path / "volume/serving/dfei", None)
    assert (back.day, len(volume.versions())) == (DAYS[1], 3)
