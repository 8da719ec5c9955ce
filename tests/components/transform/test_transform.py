"""Transform as the pipeline runs it: treatments by hand, frozen evaluation state, serving without labels."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from components.dataset.declaration import Declaration
from components.errors import InputError
from components.trainer.raw_inputs import RawInputs
from components.transform import chunks, key_states, passes
from components.transform.domain_curves import read_domain_curves
from components.transform.row_layout import asset_path, read_layout, read_summary
from components.transform.serving_graph import quantile_ids
from components.transform.transform_plan import make_plan
from models.features import CategoricalFeature
from tests.components.transform import direct, helpers, oracle
from tests.components.transform.strategies import DAY

DECLARED = helpers.declaration(
    moving_average={
        "keys": [["user"], ["part"], ["user", "domain"], ["tag", "user"]],
        "ranges": {"part": {"column": "share", "edges": [0.2, 0.7]}},
        "decay": 0.7,
        "prior_strength": 2.0,
        "history": True,
    }
)
USERS = [1, 1, 1, 2, 2, 3, 3, 4, 4, 5, None, 1]
TRAIN: list[dict[str, Any]] = [
    {
        "tab": 1 if n % 3 else 8,
        "user": user,
        "item": "ab"[n % 2],
        "tag": [["x", "y"], ["y"], []][n % 3],
        "age": None if n == 4 else float(n),
        "fans": float(n * n) if n else None,
        "height": None if n == 2 else float(n),
        "share": None if n == 3 else n / 10,
        "part": None if n == 3 else "low" if n < 2 else "middle" if n < 7 else "high",
        "click": n % 2,
        "behaviour.click": float(n % 2),
        "behaviour.like": None if n == 7 else float(n % 3 // 2),
        "local_time_ms": (19_000 + n // 3) * DAY + n,
    }
    for n, user in enumerate(USERS)
]
EVALUATION = [
    {**TRAIN[n], "local_time_ms": (19_010 + n) * DAY, "behaviour.click": 1.0, "click": 1, "item": item}
    for n, item in enumerate(["a", "unheard of", None])
]
# What a broken caller sends.
EVALUATION[0] |= {"age": 1e30, "fans": None}
EVALUATION[1] |= {"age": -1e30}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of Transform; the training rows lie in two files."""
    folder = tmp_path_factory.mktemp("transform")
    types = DECLARED.example_columns()
    train = [helpers.encode(row, types) for row in TRAIN]
    evaluation = [helpers.encode(row, types) for row in EVALUATION]
    helpers.run_transform(folder, DECLARED, [train[:7], train[7:]], [evaluation])
    return folder


def by_row(run: Path, split: str, rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Transformed rows in the order of `rows`: files may come in any order, so rows are found by their content."""
    found = helpers.read_split(run, split)
    layout = read_layout(run / "graph", DECLARED)
    share = found["numeric"][:, layout.numeric.index("share")]
    wanted = np.array([row["share"] or 0.0 for row in rows])
    day = np.array([row["local_time_ms"] // DAY for row in rows])
    order = [
        int(np.argmin(np.abs(share - w) + (found["day"].ravel() != d) * 9))
        for w, d in zip(wanted, day, strict=True)
    ]
    assert sorted(order) == list(range(len(rows)))
    return {name: values[order] for name, values in found.items()}


def test_the_same_rows_leave_the_same_bytes_as_examples_and_as_columns_in_small_parts(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "PARTITION_BYTES", 1)
    monkeypatch.setattr(key_states, "STRETCH", 1)
    monkeypatch.setattr(passes, "SMALL_TABLE", 0)
    types = DECLARED.example_columns()
    train = [helpers.encode(row, types) for row in TRAIN]
    evaluation = [helpers.encode(row, types) for row in EVALUATION]
    helpers.run_transform(tmp_path, DECLARED, [train[:7], train[7:]], [evaluation], columns=True)
    assert len(list(tmp_path.glob("examples/Columns-*/*.arrow"))) == 3
    first, second = helpers.contents(run), helpers.contents(tmp_path)
    assert len(first) > 10
    assert [name for name in first if first[name] != second.get(name)] == []
    assert first.keys() == second.keys()


def test_layout(run: Path) -> None:
    layout = read_layout(run / "graph", DECLARED)
    assert layout.categorical == (
        CategoricalFeature("tab", 1 + 2 + 1),
        # Users 1 to 4 are seen often enough (3, 2, 2, 2 times), three are kept, two buckets are for others.
        CategoricalFeature("user", 1 + 3 + 2),
        CategoricalFeature("item", 1 + 2 + 1),
        CategoricalFeature("tag", 1 + 2 + 1, 3),
        CategoricalFeature("height", 1 + 4),
    )
    assert layout.numeric == ("age", "fans", "share")
    assert layout.domains == ("1", "8")
    assert layout.domain_rows == (8, 4)
    assert (layout.user, layout.item, layout.author) == ("user", "item", None)
    assert layout.averages[:3] == ("domain.click", "domain.like", "domain.known")
    assert layout.averages[-3:] == ("tag_x_user.click", "tag_x_user.like", "tag_x_user.count")
    assert layout.history == ("user.click", "user.like", "user.count")
    spec = tft.TFTransformOutput(str(run / "graph")).transformed_feature_spec()
    assert spec["history"].shape == [2 * 3]
    assert spec["categorical"].shape == [7]


def test_treatments_by_hand(run: Path) -> None:
    rows = by_row(run, "train", TRAIN)
    ids, numeric = rows["categorical"], rows["numeric"]
    assert ids[:, 0].tolist() == [1 if row["tab"] == 1 else 2 for row in TRAIN]
    user = dict(zip(USERS, ids[:, 1].tolist(), strict=True))
    assert user[None] == 0
    assert user[1] == 1
    assert sorted(user[n] for n in (2, 3, 4))[:2] == [2, 3]
    assert user[5] in (4, 5)
    # Tags: "y" is in twice as many rows as "x"; unused places are 0.
    assert ids[0, 3:6].tolist() == [2, 1, 0]
    assert ids[1, 3:6].tolist() == [1, 0, 0]
    assert ids[2, 3:6].tolist() == [0, 0, 0]
    heights = np.array([row["height"] for row in TRAIN if row["height"] is not None])
    cuts = np.quantile(heights, [0.25, 0.5, 0.75])
    expected = [0 if r["height"] is None else 1 + np.searchsorted(cuts, r["height"], "right") for r in TRAIN]
    assert ids[:, 6].tolist() == expected
    ages = np.array([np.nan if row["age"] is None else row["age"] for row in TRAIN])
    fans = np.array([np.nan if row["fans"] is None else np.log1p(row["fans"]) for row in TRAIN])
    for column, raw in ((0, ages), (1, fans)):
        scaled = (raw - np.nanmean(raw)) / np.nanstd(raw)
        np.testing.assert_allclose(numeric[:, column], np.nan_to_num(scaled), atol=1e-5)
    np.testing.assert_allclose(numeric[:, 2], [row["share"] or 0.0 for row in TRAIN], rtol=1e-6)
    assert rows["label"].ravel().tolist() == [row["click"] for row in TRAIN]
    assert rows["domain"].ravel().tolist() == [0 if row["tab"] == 1 else 1 for row in TRAIN]


def test_averages_equal_the_oracle_and_evaluation_sees_the_last_state(run: Path) -> None:
    layout = read_layout(run / "graph", DECLARED)
    for split, rows in (("train", TRAIN), ("eval", EVALUATION)):
        found = by_row(run, split, rows)["averages"]
        for number, one in enumerate(rows):
            before = oracle.bucket_of(one, DAY)
            chains = {"user_x_domain": [(["user", "tab"], 0.7), (["user"], 0.7)], "part": [(["part"], 0.7)]}
            for behaviour, (key, chain) in itertools.product(("click", "like"), chains.items()):
                value = oracle.estimate(
                    TRAIN,
                    chain,
                    one,
                    before,
                    behaviour,
                    domain="tab",
                    strength=2.0,
                    decay=0.7,
                    bucket_ms=DAY,
                )
                value /= oracle.spread(TRAIN, "tab", behaviour, before, DAY)
                column = layout.averages.index(f"{key}.{behaviour}")
                assert found[number, column] == pytest.approx(value, abs=1e-4)


def test_rows_to_evaluate_see_the_day_before_when_asked_through_tfx(tmp_path: Path) -> None:
    declared = direct.with_settings(DECLARED, eval_state="daily")
    declared = declared.model_copy(update={"split": declared.split.model_copy(update={"eval_days": 3})})
    types = declared.example_columns()
    train = [helpers.encode(row, types) for row in TRAIN]
    evaluation = [helpers.encode(row, types) for row in EVALUATION]
    helpers.run_transform(tmp_path, declared, [train[:7], train[7:]], [evaluation])
    layout = read_layout(tmp_path / "graph", declared)
    assert layout.domain_rows == (8, 4)
    found = by_row(tmp_path, "eval", EVALUATION)["averages"]
    everything = [*TRAIN, *EVALUATION]
    for number, one in enumerate(EVALUATION):
        before = oracle.bucket_of(one, DAY)
        value = oracle.estimate(
            everything,
            [(["user"], 0.7)],
            one,
            before,
            "click",
            domain="tab",
            strength=2.0,
            decay=0.7,
            bucket_ms=DAY,
        )
        value /= oracle.spread(everything, "tab", "click", before, DAY)
        assert found[number, layout.averages.index("user.click")] == pytest.approx(value, abs=1e-4)
    # The Evaluator's examples are answered with these numbers too, not with those that know their own labels.
    graph = tft.TFTransformOutput(str(tmp_path / "graph"))
    inputs = RawInputs(declared, graph.raw_feature_spec())
    layer = graph.transform_features_layer()
    answered = np.reshape(layer(inputs.from_examples(tf.constant(evaluation)))["averages"], found.shape)
    np.testing.assert_allclose(answered, found, rtol=1e-5, atol=1e-6)
    frozen = RawInputs(direct.with_settings(declared, eval_state="frozen"), graph.raw_feature_spec())
    now = np.reshape(layer(frozen.from_examples(tf.constant(evaluation)))["averages"], found.shape)
    assert np.abs(now - found).max() > 0.01


def test_training_rows_see_the_other_buckets_when_asked_through_tfx(run: Path, tmp_path: Path) -> None:
    settings = {"key_decay": 1.0, "train_state": "other_buckets"}
    declared = direct.with_settings(DECLARED, **settings)
    types = declared.example_columns()
    train, evaluation = (
        [helpers.encode(row, types) for row in rows] for rows in (TRAIN, [*EVALUATION, TRAIN[0]])
    )
    helpers.run_transform(tmp_path, declared, [train[:7], train[7:]], [evaluation])
    layout = read_layout(tmp_path / "graph", declared)
    chain = {"domain": "tab", "strength": 2.0, "decay": 0.7, "bucket_ms": DAY}
    for split, rows in (("train", TRAIN), ("eval", EVALUATION)):
        found = by_row(tmp_path, split, rows)["averages"]
        for number, one in enumerate(rows):
            own = oracle.bucket_of(one, DAY)
            value = oracle.estimate(TRAIN, [(["user"], 1.0)], one, np.inf, "click", without=own, **chain)
            value /= oracle.spread(TRAIN, "tab", "click", np.inf, DAY)
            assert found[number, layout.averages.index("user.click")] == pytest.approx(value, abs=1e-4)
    # What is served is what a graph whose training rows see the past alone serves.
    past = direct.with_settings(declared, train_state="past")
    helpers.run_transform(tmp_path / "past", past, [train[:7], train[7:]], [evaluation])
    answers = []
    for folder in (tmp_path, tmp_path / "past"):
        graph = tft.TFTransformOutput(str(folder / "graph"))
        inputs = RawInputs(declared, graph.raw_feature_spec()).from_examples(tf.constant(evaluation))
        answers.append(graph.transform_features_layer()(inputs)["averages"])
    counts = [name.endswith("count") for name in layout.averages]
    one, other = (np.reshape(answer, [len(evaluation), -1])[:, ~np.array(counts)] for answer in answers)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_unknown_and_missing_values_in_evaluation(run: Path) -> None:
    ids = by_row(run, "eval", EVALUATION)["categorical"][:, 2]
    assert ids[0] in (1, 2)
    assert ids[1] == 3
    assert ids[2] == 0


def test_absurd_numbers_are_kept_within_twenty_deviations(run: Path) -> None:
    numeric = by_row(run, "eval", EVALUATION)["numeric"]
    assert numeric[:2, 0].tolist() == [20.0, -20.0]
    assert abs(numeric[2, 0]) < 2


def test_infinite_numbers_fall_into_the_first_and_the_last_bucket() -> None:
    boundaries = np.array([[1.0, 2.0, np.inf], [1.0, np.inf, np.inf]], np.float32)
    values = np.array([[np.inf, np.inf], [5.0, 5.0], [-np.inf, -np.inf], [np.nan, np.nan]], np.float32)
    assert quantile_ids(boundaries, tf.constant(values)).numpy().tolist() == [[3, 2], [3, 2], [1, 1], [0, 0]]


def test_domain_curves_are_readable(run: Path) -> None:
    history = read_domain_curves(run / "graph")
    assert history.domains == ("1", "8")
    assert history.behaviours == ("click", "like")
    assert [str(bucket.date()) for bucket in history.buckets][:2] == ["2022-01-08", "2022-01-09"]
    assert history.averages.shape == (2, 4, 2)
    assert history.rows.sum() == len(TRAIN)
    for place, domain in enumerate((1, 8)):
        for at in range(4):
            state = oracle.domain_state(TRAIN, "tab", domain, "click", 19_001 + at, 0.7, DAY)
            assert history.averages[place, at, 0] == pytest.approx(state, abs=1e-6)


def test_vocabulary_is_readable(run: Path) -> None:
    lines = Path(asset_path(run / "graph", "vocabulary.csv")).read_text().splitlines()
    assert lines[0] == "feature,id,count,value"
    assert "tab,1,8,1" in lines
    assert "item,1,6,a" in lines or "item,2,6,a" in lines
    assert sum(line.startswith("user,") for line in lines) == 3


_SERVE = """
import json, sys
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
out = served.predict(tab=tf.constant([1, 8, 77], tf.int64), user=tf.constant([1, 5, 123], tf.int64))
print(json.dumps({name: value.numpy().tolist() for name, value in out.items()}))
"""


def test_serving_needs_only_features_and_sees_the_last_state(run: Path, tmp_path: Path) -> None:
    output = tft.TFTransformOutput(str(run / "graph"))

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = output.transform_features_layer()

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name=name) for name in ("tab", "user")])
        def predict(self, tab: tf.Tensor, user: tf.Tensor) -> dict[str, tf.Tensor]:
            empty = {
                name: tf.io.parse_example(tf.fill(tf.shape(tab), ""), {name: spec})[name]
                for name, spec in output.raw_feature_spec().items()
                if name in DECLARED.features
            }
            time = tf.fill(tf.shape(tab), tf.constant(-1, tf.int64))
            given = {"tab": tab, "user": user, "local_time_ms": time}
            return self.layer(
                empty | {name: tf.sparse.from_dense(value[:, None]) for name, value in given.items()}
            )

    served = Served()
    tf.saved_model.save(served, str(tmp_path / "served"))
    text = subprocess.run(
        [sys.executable, "-c", _SERVE, str(tmp_path / "served")], check=True, capture_output=True, text=True
    ).stdout
    answer = json.loads(text.splitlines()[-1])
    assert {"label"}.isdisjoint(answer)
    assert answer["domain"] == [0, 1, 2]
    now = [{"tab": 1, "user": 1}, {"tab": 8, "user": 5}, {"tab": 77, "user": 123}]
    analysis = direct.analyse(DECLARED, TRAIN)
    lookup = direct.look_up(DECLARED, analysis, now, now=True)
    averages, history = lookup.averages()
    np.testing.assert_allclose(answer["averages"], averages, atol=1e-5)
    np.testing.assert_allclose(answer["history"], history, atol=1e-5)


def test_summary_says_what_was_kept(run: Path) -> None:
    entries = read_summary(run / "graph")["average_keys"]
    assert [entry["key"] for entry in entries] == ["user", "part", "user_x_domain", "tag_x_user"]
    columns = (["user"], ["part"], ["user", "tab"], ["tag", "user"])
    assert [entry["values"] for entry in entries] == [
        len({part for row in TRAIN for part in oracle.parts_of(row, names)}) for names in columns
    ]
    assert all(entry["dropped_values"] == 0 for entry in entries)
    assert entries[0]["strength"] == {"click": 2.0, "like": 2.0}


def test_a_key_of_two_lists_is_refused() -> None:
    declared: Declaration = DECLARED
    features = {**declared.features, "tags": declared.features["tag"]}
    declared = direct.with_settings(
        declared.model_copy(update={"features": features}), keys=[["tag", "tags"]]
    )
    with pytest.raises(InputError, match="joins the lists"):
        make_plan(declared)
