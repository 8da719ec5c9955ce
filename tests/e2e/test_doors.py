"""A pushed KuaiRand model answers 10,000 real rows as its evaluation did, whichever door they come through."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from components.dataset.loader import load_declaration
from components.signature_check.real_rows import named_rows, read_serialized
from components.trainer.raw_inputs import request_features
from pipeline.client import ServingClient, connect
from pipeline.predict import predict_rows
from pipeline.serving.config_files import BatchingParameters
from pipeline.serving.server import ModelServer
from pipeline.serving.settings import ModelSettings
from tests.e2e.conftest import metrics
from tests.pipeline.serving.conftest import settings_for

pytestmark = pytest.mark.slow
ROWS, BATCH = 10_000, 500
# Scores are float32: how rows are grouped decides in which order their sums are taken.
TOLERANCE = 2e-6


@dataclass(frozen=True)
class Evaluated:
    """Rows of the evaluation days, and the scores that the Evaluator's way of asking gives them."""

    serialized: list[bytes]
    columns: dict[str, np.ndarray]
    labels: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Doors:
    """A server with the model, and what asks it."""

    base: Path
    rest: str
    grpc: str
    clients: dict[str, ServingClient]


@pytest.fixture(scope="module")
def base(kuairand_root: Path) -> Path:
    """The directory that was pushed to, with the one version of the run."""
    return Path(metrics(kuairand_root)["pushed_to"]).parent


@pytest.fixture(scope="module")
def evaluated(kuairand_root: Path, base: Path) -> Evaluated:
    """All rows of the evaluation days."""
    examples = (kuairand_root / "artifacts" / "DeclaredExampleGen" / "examples").iterdir()
    split = max(examples, key=lambda path: int(path.name)) / "Split-eval"
    serialized = read_serialized([str(path) for path in split.iterdir()], 1 << 20)
    model = tf.saved_model.load(str(max(base.glob("[0-9]*"), key=lambda path: int(path.name))))
    ask = model.signatures["examples"]
    scores = [
        ask(examples=tf.constant(serialized[start : start + BATCH]))["click_probability"].numpy()
        for start in range(0, len(serialized), BATCH)
    ]
    labels = [
        tf.train.Example.FromString(record).features.feature["is_click"].int64_list.value[0]
        for record in serialized
    ]
    columns = named_rows(serialized, request_features(load_declaration("kuairand-pure")))
    return Evaluated(serialized, columns, np.array(labels), np.concatenate(scores))


@pytest.fixture(
    scope="module", params=[None, BatchingParameters(max_batch_size=512, batch_timeout_seconds=0.001)]
)
def doors(base: Path, request: pytest.FixtureRequest) -> Iterator[Doors]:
    """A server, without and with batching."""
    model = ModelSettings(base.name, str(base))
    with ModelServer(settings_for(base, model=model, batching=request.param)) as server:
        rest, grpc = f"http://127.0.0.1:{server.rest_port}", f"grpc://127.0.0.1:{server.grpc_port}"
        with connect(rest, base.name, 120.0) as over_rest, connect(grpc, base.name, 120.0) as over_grpc:
            yield Doors(base, rest, grpc, {"REST": over_rest, "gRPC": over_grpc})


def _in_batches(ask: Callable[[slice], np.ndarray], rows: int = ROWS) -> np.ndarray:
    return np.concatenate([ask(slice(start, start + BATCH)) for start in range(0, rows, BATCH)])


def test_the_scores_are_those_behind_the_metrics_of_the_run(
    evaluated: Evaluated, doors: Doors, kuairand_root: Path
) -> None:
    rows = len(evaluated.labels)
    served = _in_batches(
        lambda part: doors.clients["gRPC"].predict({n: c[part] for n, c in evaluated.columns.items()})[
            "click_probability"
        ],
        rows,
    )
    result = metrics(kuairand_root)
    assert rows == result["rows"]["eval"]
    assert log_loss(evaluated.labels, served.astype(np.float64)) == pytest.approx(
        result["log_loss"], abs=1e-6
    )
    assert roc_auc_score(evaluated.labels, served) == pytest.approx(result["overall_auc"], abs=1e-5)
    np.testing.assert_allclose(served, evaluated.scores, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_raw_features(evaluated: Evaluated, doors: Doors, protocol: str) -> None:
    served = _in_batches(
        lambda part: doors.clients[protocol].predict({n: c[part] for n, c in evaluated.columns.items()})[
            "click_probability"
        ]
    )
    np.testing.assert_allclose(served, evaluated.scores[:ROWS], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_examples(evaluated: Evaluated, doors: Doors, protocol: str) -> None:
    client = doors.clients[protocol]
    served = _in_batches(
        lambda part: client.predict({"examples": evaluated.serialized[part]}, signature="examples")[
            "click_probability"
        ]
    )
    np.testing.assert_allclose(served, evaluated.scores[:ROWS], rtol=0, atol=TOLERANCE)
    regressed = _in_batches(lambda part: client.regress(evaluated.serialized[part], signature="examples"))
    np.testing.assert_allclose(regressed, evaluated.scores[:ROWS], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("protocol", ["gRPC", "REST"])
def test_ranking_each_users_rows_as_candidates(evaluated: Evaluated, doors: Doors, protocol: str) -> None:
    columns = {name: column[:ROWS] for name, column in evaluated.columns.items()}
    served = np.full(ROWS, np.nan)
    for user in np.unique(columns["user_id"]):
        rows = np.flatnonzero(columns["user_id"] == user)
        domains, own = np.unique(columns["tab"][rows], return_inverse=True)
        shared, items = {}, {}
        for name, column in columns.items():
            values = column[rows]
            if name == "tab":
                continue
            if name == "user_id" or (len(rows) > 1 and name != "video_id" and (values == values[0]).all()):
                shared[name] = values[:1]
            else:
                items[name] = values
        ranked = doors.clients[protocol].rank(shared, items, {"tab": domains})
        assert ranked.shape == (len(domains), len(rows))
        served[rows] = ranked[own, np.arange(len(rows))]
    np.testing.assert_allclose(served, evaluated.scores[:ROWS], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("door", ["gRPC", "REST", "model directory"])
def test_predict(evaluated: Evaluated, doors: Doors, door: str, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "scored.jsonl"
    with source.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(evaluated.columns)
        writer.writerows(zip(*(_cells(column[:ROWS]) for column in evaluated.columns.values()), strict=True))
    where: dict[str, Any] = {
        "gRPC": {"url": f"{doors.grpc}/{doors.base.name}"},
        "REST": {"url": doors.rest, "model": doors.base.name},
        "model directory": {"model_dir": doors.base},
    }[door]
    assert predict_rows(source, output=output, **where).rows == ROWS
    served = [json.loads(line)["click_probability"] for line in output.read_text().splitlines()]
    np.testing.assert_allclose(served, evaluated.scores[:ROWS], rtol=0, atol=TOLERANCE)


def _cells(column: np.ndarray) -> list[Any]:
    """Values as a log file has them: nothing where a value is missing."""
    if column.dtype == object:
        return [value.decode() for value in column]
    if column.dtype == np.int64:
        return ["" if value == -1 else value for value in column.tolist()]
    return ["" if np.isnan(value) else repr(float(value)) for value in column]
