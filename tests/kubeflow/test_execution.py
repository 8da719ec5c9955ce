"""The compiled package, really executed: every container's command as a process, until a model is pushed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.simulate import simulate
from tests.kubeflow.conftest import Compiled
from tests.kubeflow.launcher import Cluster, Done, TaskFailedError

SMALL = "; ".join(
    [
        "evaluation.min_rows=50",
        "evaluation.thresholds.average_auc.min=0.3",
        "evaluation.thresholds.overall_auc.min=0.5",
        "evaluation.thresholds.average_auc.max_drop=0.2",
        "evaluation.thresholds.overall_auc.max_drop=0.2",
        "training.validation_min_rows=50",
    ]
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feed in a folder of a volume."""
    volume = tmp_path_factory.mktemp("volume")
    simulate(volume / "2024-05-05", domains=6, rows=30_000, days=14, seed=3)
    return volume


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The same for all runs."""
    return Cluster(tmp_path_factory.mktemp("cluster"))


def _arguments(data: Path, **changes: object) -> dict[str, object]:
    return {
        "data_dir": f"{data}/2024-05-05",
        "push_destination": str(data / "serving"),
        "epochs": 2,
        "settings": SMALL,
        **changes,
    }


@pytest.fixture(scope="module")
def first_run(cluster: Cluster, kubeflow_package: Compiled, data: Path) -> dict[str, Done]:
    """The first run: nothing is served yet."""
    return cluster.run(kubeflow_package, _arguments(data))


def _versions(data: Path) -> list[Path]:
    return sorted(path for path in (data / "serving" / "dfei").iterdir() if path.name.isdigit())


def test_every_task_runs_and_a_model_is_pushed(first_run: dict[str, Done], data: Path) -> None:
    assert not any(done.cached for done in first_run.values())
    assert first_run["Evaluator"].outputs["blessing"]["metadata"]["blessed"] == 1
    assert first_run["SignatureCheck"].outputs["blessing"]["metadata"]["blessed"] == 1
    assert first_run["AtomicPusher"].outputs["pushed_model"]["metadata"]["pushed"] == 1
    [version] = _versions(data)
    model = tf.saved_model.load(str(version))
    assert {"serving_default", "examples"} <= set(model.signatures)


def test_the_store_has_every_artifact_and_no_local_path(
    first_run: dict[str, Done], cluster: Cluster, data: Path
) -> None:
    for done in first_run.values():
        for output in done.outputs.values():
            assert output["uri"].startswith("minio://mlpipeline/v2/artifacts/dfei-simulated/run-1/")
    report = cluster.stored(first_run["DeclaredExampleGen"].outputs["examples"]["uri"]) / "ingest_report.json"
    facts = json.loads(report.read_text())
    assert facts["train"] > facts["eval"] > 0
    assert facts["rows_read"] == 30_000


def test_runtime_parameters_reached_the_trainer(first_run: dict[str, Done], cluster: Cluster) -> None:
    run = cluster.stored(first_run["Trainer"].outputs["model_run"]["uri"])
    training = json.loads(next(run.rglob("training.json")).read_text())
    assert max(entry["epoch"] for entry in training["result"]["history"]) <= 2


def test_another_learning_rate_reruns_only_what_it_touches_and_meets_a_baseline(
    first_run: dict[str, Done], cluster: Cluster, kubeflow_package: Compiled, data: Path
) -> None:
    done = cluster.run(kubeflow_package, _arguments(data, learning_rate=0.004))
    cached = {name for name, task in done.items() if task.cached}
    assert cached == {
        "DeclaredExampleGen",
        "StatisticsGen",
        "ImportSchemaGen",
        "StrictExampleValidator",
        "Transform",
    }
    before = first_run["baseline"].outputs["model"]["metadata"]
    after = done["baseline"].outputs["model"]["metadata"]
    assert before["absent"] == 1
    assert "absent" not in after
    blessing = done["Evaluator"].outputs["blessing"]["metadata"]
    assert blessing["current_model_id"] == done["Trainer"].outputs["model"]["name"]
    assert blessing["baseline_model_id"] == done["baseline"].outputs["model"]["name"]
    assert len(_versions(data)) == 1 + int(blessing["blessed"])


def test_a_folder_that_is_not_there_ends_the_run_with_code_2(
    cluster: Cluster, kubeflow_package: Compiled, data: Path
) -> None:
    with pytest.raises(TaskFailedError) as caught:
        cluster.run(kubeflow_package, _arguments(data, data_dir=f"{data}/2024-05-06"))
    assert (caught.value.task, caught.value.code) == ("DeclaredExampleGen", 2)
    assert "2024-05-06" in caught.value.output


def test_a_model_below_its_threshold_is_not_pushed(
    first_run: dict[str, Done], cluster: Cluster, kubeflow_package: Compiled, data: Path, tmp_path: Path
) -> None:
    settings = SMALL.replace("overall_auc.min=0.5", "overall_auc.min=0.999")
    served = tmp_path / "serving"
    with pytest.raises(TaskFailedError) as caught:
        cluster.run(kubeflow_package, _arguments(data, settings=settings, push_destination=str(served)))
    # The Pusher ended well, with nothing pushed: it is the last task that turns the run red, with the reason.
    assert (caught.value.task, caught.value.code) == ("CloseRun", 1)
    assert "is below the threshold 0.999" in caught.value.output
    assert not served.exists() or not list(served.rglob("saved_model.pb"))
    shutil.rmtree(served, ignore_errors=True)
