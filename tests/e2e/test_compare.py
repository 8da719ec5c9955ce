"""`dfei compare` end to end: what is trained, what comes from the cache, what the result says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from tests.e2e.conftest import HOUSE, SMALL, Finished, dfei

SETTINGS = [part for setting in (*SMALL, "model.layers=[16,8]") for part in ("--set", setting)]


def compare(feed: Path, root: Path, *options: str) -> Finished:
    return dfei("compare", "--dataset", "simulated", "--data", feed, "--root", root, *SETTINGS, *options)


def result(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((root / "comparison.json").read_text())
    return content


def states(root: Path) -> dict[str, str]:
    """The state of every component's execution in the latest run, by component id, from the metadata store."""
    config = metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
    store = metadata_store.MetadataStore(config)
    latest = max(
        store.get_contexts_by_type("pipeline_run"), key=lambda context: context.create_time_since_epoch
    )
    found = {}
    for execution in store.get_executions_by_context(latest.id):
        [node] = [c for c in store.get_contexts_by_execution(execution.id) if c.type == "node"]
        state = metadata_store_pb2.Execution.State.Name(execution.last_known_state)
        found[node.name.rpartition("simulated.")[2]] = state
    return found


def ran(root: Path) -> set[str]:
    """The components that did not come from the cache; importers and resolvers left out."""
    return {
        node
        for node, state in states(root).items()
        if state == "COMPLETE" and node not in ("ImportSchemaGen", "champion")
    }


def auc(label: np.ndarray, score: np.ndarray) -> float:
    positive, negative = score[label == 1], score[label == 0]
    return float(
        ((positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])).mean()
    )


@pytest.fixture(scope="module")
def root(small_feed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DFEI and gradient-boosted trees, one seed, two trials, the champion pushed."""
    root = tmp_path_factory.mktemp("compare") / "root"
    options = ("--models", "dfei,lightgbm", "--seeds", "1", "--trials", "2", "--push")
    finished = compare(small_feed, root, *options)
    assert finished.code == 0, finished.text + "".join(
        log.read_text(errors="replace")[-5000:] for log in (root / "logs").glob("*.log")
    )
    assert "average AUC" in finished.text
    assert "Traceback" not in finished.text
    return root


@pytest.mark.slow
def test_the_numbers_are_those_of_the_stored_predictions(root: Path, small_feed: Path) -> None:
    """Recomputed without the product's metrics: label, user and domain from the feed's own files."""
    [rows] = (root / "artifacts" / "DecodedRows" / "rows").iterdir()
    label = np.fromfile(rows / "Split-eval" / "label", np.float32)
    domain, user = (np.load(rows / "Split-eval" / f"{name}.npy") for name in ("domain_value", "user"))
    lines = [
        line.split(",")
        for file in sorted((small_feed / "impressions").glob("*.csv"))[-2:]
        for line in file.read_text().splitlines()
    ]
    header = lines[0]
    table = np.array([line for line in lines if line != header])
    logged = {name: table[:, header.index(name)] for name in ("user_id", "domain_id", "click")}
    assert sorted(zip(user, domain, label.astype(int).astype(str), strict=True)) == sorted(
        zip(logged["user_id"], logged["domain_id"], logged["click"], strict=True)
    )
    found = result(root)
    assert {m["name"] for m in found["models"]} == {"dfei", "lightgbm"}
    assert found["rows"]["eval"] == len(label)
    for model in found["models"]:
        [scores] = (root / "artifacts" / f"Trainer.{model['name']}.1" / "model_run").glob("*/scores.npy")
        score = np.load(scores)
        aucs = {
            name: auc(label[domain == name], score[domain == name])
            for name, facts in found["domains"].items()
            if facts["counts"]
        }
        [trained] = model["trained"]
        assert trained["average_auc"] == pytest.approx(np.mean(list(aucs.values())))
        assert trained["overall_auc"] == pytest.approx(auc(label, score))
        assert trained["evaluator_average_auc"] == pytest.approx(trained["average_auc"], abs=1e-4)
        assert {name: model["domain_auc"][name] for name in aucs} == pytest.approx(aucs)
        assert trained["log_loss"] == pytest.approx(
            -np.mean(np.log(np.where(label == 1, score, 1 - score))), rel=1e-4
        )
        assert model["below_best"] == pytest.approx(
            found["best_possible_average_auc"] - model["average_auc"]["mean"]
        )
        assert model["latency"]["1"]["median_ms"] > 0
        assert len(model["trials"]) == 2
        assert model["trials"][0]["settings"] == []
        assert found["models"][model["rank"] - 1] == model


@pytest.mark.slow
def test_the_champion_validated_best_and_is_served(root: Path) -> None:
    found = result(root)
    best = max(found["models"], key=lambda model: model["validation_average_auc"]["mean"])
    champion = found["champion"]
    assert champion["name"] == best["name"]
    pushed = Path(champion["pushed_to"])
    assert pushed.parent == root / "serving" / "champion"
    facts = json.loads((pushed / "assets.extra" / "pushed.json").read_text())
    assert facts["model"] == best["trained"][0]["model_uri"]
    assert (pushed / "saved_model.pb").is_file()


@pytest.mark.slow
def test_a_model_and_a_seed_more_train_only_that(root: Path, small_feed: Path) -> None:
    tuned = {model["name"]: model["tuned"] for model in result(root)["models"]}
    again = compare(small_feed, root, "--models", "dfei,lightgbm", "--trials", "2", "--seeds", "1", "--push")
    assert again.code == 0, again.text
    assert ran(root) == set()
    assert len(list((root / "serving" / "champion").glob("[0-9]*"))) == 1

    options = ("--models", "dfei,lightgbm,dfei-without-dfe", "--trials", "2", "--seeds", "1")
    assert compare(small_feed, root, *options).code == 0
    new = "dfei-without-dfe"
    assert ran(root) == {f"Tuner.{new}", f"Trainer.{new}.1", f"Evaluator.{new}.1", f"Latency.{new}"}

    options = ("--models", "dfei,lightgbm", "--trials", "2", "--seeds", "2", "--jobs", "1")
    assert compare(small_feed, root, *options).code == 0
    assert ran(root) == {f"{kind}.{name}.2" for kind in ("Trainer", "Evaluator") for name in tuned}
    found = result(root)
    assert {model["name"]: model["tuned"] for model in found["models"]} == tuned
    for model in found["models"]:
        averages = [trained["average_auc"] for trained in model["trained"]]
        assert model["average_auc"]["mean"] == pytest.approx(np.mean(averages))
        assert model["average_auc"]["sd"] == pytest.approx(np.std(averages, ddof=1))


@pytest.mark.slow
def test_killed_it_goes_on_and_comes_out_the_same(root: Path, small_feed: Path, tmp_path: Path) -> None:
    options = ("--models", "dfei,lightgbm", "--seeds", "1", "--trials", "2")
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "compare",
        "--dataset",
        "simulated",
        "--data",
        str(small_feed),
    ]
    command += ["--root", str(tmp_path / "root"), *SETTINGS, *options]
    process = subprocess.Popen(
        command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    work = tmp_path / "root" / "work"
    while process.poll() is None and not list(work.glob("trainer-*/checkpoints/*")):
        time.sleep(0.5)
    # Only the parent: its workers must notice that they are alone.
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "root" / "comparison.json").exists()
    finished = compare(small_feed, tmp_path / "root", *options)
    assert finished.code == 0, finished.text
    assert "from the cache: ExampleGen" in finished.text
    whole, resumed = result(root), result(tmp_path / "root")
    for name in ("dfei", "lightgbm"):
        one, two = (next(m for m in r["models"] if m["name"] == name) for r in (whole, resumed))
        assert two["trained"][0]["average_auc"] == pytest.approx(one["trained"][0]["average_auc"], abs=1e-9)
        assert two["trials"] == one["trials"]


@pytest.mark.slow
def test_what_no_model_passes_pushes_nothing(root: Path, small_feed: Path) -> None:
    before = sorted((root / "serving" / "champion").iterdir())
    options = ("--models", "mlp,lightgbm", "--seeds", "1", "--trials", "2", "--push")
    refused = compare(small_feed, root, *options, "--set", "evaluation.thresholds.average_auc.min=0.99")
    assert refused.code == 1
    assert "no model passed its gates" in refused.text
    assert sorted((root / "serving" / "champion").iterdir()) == before


def test_a_wrong_name_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = compare(tmp_path, tmp_path / "root", "--models", "dfie")
    assert done.code == 2
    assert "Did you mean dfei?" in done.text
    done = compare(tmp_path, tmp_path / "root", "--seeds", "0")
    assert done.code == 2
    assert "--seeds 0" in done.text
    done = compare(tmp_path, tmp_path / "root", "--set", "moving_average.eval_state=daily")
    assert done.code == 2
    assert "as they are served" in done.text
