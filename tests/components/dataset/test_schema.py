"""The schema accepts what the data set may hold, and flags what it may not, through TFDV itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.dataset import Declaration, dataset_names, load_declaration
from components.dataset.schema import declared_schema, draft_schema, schema_text
from components.errors import InputError

Rows = dict[str, list[Any]]


def sound_rows(declaration: Declaration, count: int = 40) -> Rows:
    """Examples as lists of values, None where a value is missing."""
    rows: Rows = {}
    for name, kind in declaration.example_columns().items():
        filler = {
            "int": lambda i: [i % 3],
            "float": lambda i: [i / 100],
            "string": lambda i: [f"v{i % 4}".encode()],
        }[kind]
        rows[name] = [filler(i) for i in range(count)]
    rows[declaration.label] = [[i % 2] for i in range(count)]
    rows["local_time_ms"] = [[1_650_000_000_000 + i] for i in range(count)]
    for name in declaration.behaviour_columns():
        rows[name] = [[float(i % 2)] for i in range(count)]
    if "position" in rows:
        rows["position"] = [[1 + i % 20] for i in range(count)]
    return rows


def anomalies(rows: Rows, declaration: Declaration, environment: str | None = None) -> dict[str, str]:
    kinds = {bytes: pa.large_binary(), int: pa.int64(), float: pa.float32()}
    arrays, names = [], []
    for name, values in rows.items():
        filled = next((value[0] for value in values if value), None)
        if filled is None:
            continue
        arrays.append(pa.array(values, pa.large_list(kinds[type(filled)])))
        names.append(name)
    statistics = _statistics(pa.RecordBatch.from_arrays(arrays, names))
    found = tfdv.validate_statistics(statistics, declared_schema(declaration), environment=environment)
    # TFDV quotes a name with a dot.
    return {name.strip("'"): info.short_description for name, info in found.anomaly_info.items()}


def _statistics(batch: pa.RecordBatch) -> statistics_pb2.DatasetFeatureStatisticsList:
    from tensorflow_data_validation.statistics import stats_impl, stats_options

    return stats_impl.generate_statistics_in_memory(batch, stats_options.StatsOptions())


@pytest.mark.parametrize("name", dataset_names())
def test_curated_schema_has_the_columns_of_the_examples(name: str) -> None:
    declaration = load_declaration(name)
    drafted = {f.name: (f.type, f.value_count.max) for f in draft_schema(declaration).feature}
    assert {f.name: (f.type, f.value_count.max) for f in declared_schema(declaration).feature} == drafted
    assert schema_text(declaration) == schema_text(declaration)


@pytest.mark.parametrize("name", dataset_names())
def test_sound_rows_pass(name: str) -> None:
    declaration = load_declaration(name)
    assert anomalies(sound_rows(declaration), declaration) == {}


@pytest.mark.parametrize("name", dataset_names())
def test_request_rows_pass_in_the_serving_environment(name: str) -> None:
    declaration = load_declaration(name)
    rows = sound_rows(declaration)
    request = {column: rows[column] for column in declaration.serving_columns()}
    assert anomalies(request, declaration, environment="SERVING") == {}
    assert declaration.label in anomalies(request, declaration, environment="TRAINING")


def test_missing_lookup_rows_and_new_values_pass() -> None:
    """Later logs bring users without a row in the table, new tabs and new categories."""
    declaration = load_declaration("kuairand-pure")
    rows = sound_rows(declaration)
    for name in declaration.features:
        if name not in ("tab", "user_id", "video_id", "duration_ms"):
            rows[name] = [value if i % 3 == 0 else None for i, value in enumerate(rows[name])]
    rows["tab"] = [[i] for i in range(40)]
    rows["user_active_degree"][0] = [b"a new degree"]
    rows["user_id"][0] = [99_999_999]
    assert anomalies(rows, declaration) == {}


def _set(name: str, value: Any) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[name] = [value] * len(rows[name])

    return change


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("is_click", _set("is_click", [2])),
        ("is_click", lambda rows: rows.pop("is_click")),
        ("tab", lambda rows: rows.pop("tab")),
        ("tag", lambda rows: rows.pop("tag")),
        ("duration_ms", _set("duration_ms", [b"long"])),
        ("follow_user_num", _set("follow_user_num", [b"many"])),
        ("user_active_degree", _set("user_active_degree", [3])),
        ("duration_ms", _set("duration_ms", [-5.0])),
        ("video_id", _set("video_id", [1, 2])),
        ("behaviour.watch_ratio", _set("behaviour.watch_ratio", [2.5])),
        ("behaviour.is_like", _set("behaviour.is_like", [-1.0])),
        ("user_id", lambda rows: rows["user_id"].__setitem__(3, None)),
    ],
)
def test_flaws_are_flagged(column: str, change: Callable[[Rows], None]) -> None:
    declaration = load_declaration("kuairand-pure")
    rows = sound_rows(declaration)
    change(rows)
    assert list(anomalies(rows, declaration)) == [column]


def test_schema_follows_the_settings_of_a_run() -> None:
    declaration = load_declaration(
        "kuairand-pure",
        ["label=long_view", "moving_average.keys=[[user]]", "features.tag=null", "features.tab.type=string"],
    )
    features = {f.name: f for f in declared_schema(declaration).feature}
    assert set(features) == set(declaration.example_columns())
    assert features["long_view"].int_domain.max == 1
    assert not features["tab"].HasField("int_domain")
    assert features["duration_ms"].float_domain.HasField("min")
    rows = sound_rows(declaration)
    assert anomalies(rows, declaration) == {}


def test_broken_schema_names_its_line_and_a_missing_one_is_drafted(tmp_path: Any) -> None:
    source = load_declaration("simulated")
    (tmp_path / "simulated.pbtxt").write_text('feature {\n  name: "a"\n  typo: INT\n}\n')
    broken = source.model_copy(update={"source": str(tmp_path / "simulated.yaml")})
    with pytest.raises(InputError, match=r"simulated\.pbtxt:3: not a schema"):
        declared_schema(broken)
    gone = source.model_copy(update={"source": str(tmp_path / "gone.yaml")})
    assert declared_schema(gone) == draft_schema(gone)


def test_numpy_is_not_confused_by_constants() -> None:
    """A column with one value everywhere is no anomaly: KuaiRand's part has two of them."""
    declaration = load_declaration("kuairand-pure")
    rows = sound_rows(declaration)
    rows["visible_status"] = [[0]] * 40
    rows["is_lowactive_period"] = [[int(np.int64(0))]] * 40
    assert anomalies(rows, declaration) == {}
