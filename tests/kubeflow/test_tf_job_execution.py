"""A package with two workers, really executed: the Trainer's step makes a TFJob, one of whose pods is lost."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from kubeflow.compile import compile_package
from pipeline.request import declared
from pipeline.simulate import simulate
from tests.kubeflow.conftest import Compiled, request
from tests.kubeflow.launcher import Cluster
from tests.kubeflow.test_execution import SMALL
from tests.kubeflow.training_operator import Operator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def test_a_model_is_pushed_though_a_worker_is_lost(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    simulate(volume / "data", domains=6, rows=30_000, days=14, seed=3)
    output = tmp_path / "dfei.yaml"
    settings = ["training.strategy=multi_worker", "training.checkpoint_steps=20"]
    compile_package(
        request(
            output,
            declaration=declared("simulated", settings, None),
            volumes=(f"impressions:{volume}",),
            trainer_workers=2,
            trainer_work=f"{volume}/training",
        )
    )
    killed: list[int] = []

    def kill_once(operator: Operator) -> None:
        while not list((volume / "training").rglob("checkpoints/*.index")):
            time.sleep(0.1)
        operator.kill(1)
        killed.append(1)

    with Operator(tmp_path) as operator:
        cluster = Cluster(tmp_path / "cluster", KUBECONFIG=str(operator.kubeconfig))
        threading.Thread(target=kill_once, args=(operator,), daemon=True).start()
        done = cluster.run(
            Compiled.read(output),
            {
                "data_dir": f"{volume}/data",
                "push_destination": f"{volume}/serving",
                "epochs": 2,
                "settings": SMALL,
            },
        )
        logs = [operator.log(index) for index in range(2)]
    assert killed and operator.restarts >= 1
    assert "training, epoch" in logs[0]
    assert "Restarting" in done["Trainer"].log and "Succeeded" in done["Trainer"].log
    run = cluster.stored(done["Trainer"].outputs["model_run"]["uri"])
    assert json.loads(next(run.rglob("training.json")).read_text())["replicas"] == 2
    assert done["AtomicPusher"].outputs["pushed_model"]["metadata"]["pushed"] == 1
    assert not list((volume / "training").iterdir())
