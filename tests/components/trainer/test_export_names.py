"""Columns with spaces, signs and letters beyond ASCII: every door takes them by the names of requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_transform as tft

from components.trainer import export
from components.transform.row_layout import read_layout
from models.registry import build_model
from pipeline.client import CallError, connect, serialize_example
from pipeline.serving.server import ModelServer
from pipeline.serving.settings import ModelSettings, ServerSettings
from tests.components.transform import helpers
from tests.models.helpers import off_zero

DECLARED = helpers.declaration(
    domain="Tab Nr.",
    user="Nutzer ID",
    item="пункт",
    features={
        "Tab Nr.": {"type": "int", "treatment": "vocabulary"},
        "Nutzer ID": {"type": "int", "treatment": "vocabulary"},
        "пункт": {"type": "string", "treatment": "vocabulary"},
        "mots-clés": {"type": "string", "treatment": "vocabulary", "separator": ";", "max_length": 3},
        "Prix (€)": {"type": "float", "treatment": "normalise"},
        "2nd price": {"type": "float", "treatment": "as_is"},
    },
    model={"layers": [8, 4]},
)
REQUESTED = {
    "Tab Nr.": "Tab_Nr",
    "Nutzer ID": "Nutzer_ID",
    "пункт": "column",
    "mots-clés": "mots_cles",
    "Prix (€)": "Prix",
    "2nd price": "column_2nd_price",
}


def _rows(count: int) -> list[dict[str, Any]]:
    chance = np.random.default_rng(1)
    return [
        {
            "Tab Nr.": int(chance.integers(0, 3)),
            "Nutzer ID": int(chance.integers(0, 9)),
            "пункт": f"вещь {chance.integers(0, 9)}",
            "mots-clés": [f"é{tag}" for tag in chance.integers(0, 5, chance.integers(1, 4))],
            "Prix (€)": float(np.float32(chance.random() * 100)),
            "2nd price": float(np.float32(chance.random())),
            "click": int(chance.integers(0, 2)),
            "behaviour.click": float(chance.integers(0, 2)),
            "behaviour.like": float(chance.integers(0, 2)),
            "local_time_ms": 86_400_000 * (number // 50),
        }
        for number in range(count)
    ]


def _requested(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    columns = {REQUESTED[name]: [row[name] for row in rows] for name in REQUESTED}
    columns["mots_cles"] = [";".join(tags) for tags in columns["mots_cles"]]
    return columns


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    types = DECLARED.example_columns()
    records = [helpers.encode(row, types) for row in _rows(200)]
    graph = helpers.run_transform(folder, DECLARED, [records[:150]], [records[150:]])
    layout = read_layout(graph, DECLARED)
    model = build_model(layout, DECLARED.model, seed=1)
    off_zero(model)
    served = export.ServedModel(model, tft.TFTransformOutput(str(graph)), layout, DECLARED)
    export.save(served, folder / "dfei" / "1")
    return folder / "dfei"


def test_every_door_takes_them(base: Path) -> None:
    rows = _rows(12)
    for row in rows:
        row["Nutzer ID"] = 4
    named = _requested(rows)
    settings = ServerSettings(
        models=(ModelSettings("dfei", str(base)),), rest_port=0, grpc_port=0, settle_seconds=0.0
    )
    kept = {name: [row[name] for row in rows] for name in REQUESTED}
    examples = [
        serialize_example({name: kept[name][number] for name in REQUESTED}) for number in range(len(rows))
    ]
    scores = []
    with ModelServer(settings) as server:
        for url in (f"grpc://127.0.0.1:{server.grpc_port}", f"http://127.0.0.1:{server.rest_port}"):
            with connect(url, "dfei") as client:
                client.wait_until_ready()
                inputs = client.metadata().signature("serving_default").inputs
                assert set(inputs) == set(REQUESTED.values())
                scores.append(client.predict(named)["click_probability"])
                scores.append(
                    client.predict({"examples": examples}, signature="examples")["click_probability"]
                )
                items = {
                    name: values for name, values in named.items() if name not in ("Tab_Nr", "Nutzer_ID")
                }
                ranked = client.rank(user={"Nutzer_ID": 4}, items=items, domains={"Tab_Nr": [0, 1, 2]})
                scores.append(ranked[named["Tab_Nr"], np.arange(len(rows))])
                with pytest.raises(CallError, match="mots_cles"):
                    client.predict({**named, "mots_cles": list(range(12))})
    for answer in scores:
        np.testing.assert_allclose(answer, scores[0], atol=2e-6)
    assert scores[0].std() > 0
