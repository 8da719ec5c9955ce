from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forest import Forest, ServedTrees
from models.gbdt import GradientBoostedTrees
from tests.models.helpers import random_rows
from tests.models.test_gbdt import LAYOUT, Rows, fitted

NUMERICAL = {"decision_type": "<=", "missing_type": "None"}


def leaf(value: float) -> dict[str, float]:
    return {"leaf_value": value}


def test_hand_made_trees_are_summed():
    """Tree 1: x0 <= 1.5 ? (x1 in {0, 33} ? 1 : 2) : 4. Tree 2: the single leaf 10."""
    inner = {"split_feature": 1, "threshold": "0||33", "decision_type": "==", "missing_type": "None"}
    inner |= {"left_child": leaf(1.0), "right_child": leaf(2.0)}
    first = {"split_feature": 0, "threshold": 1.5, **NUMERICAL, "left_child": inner, "right_child": leaf(4.0)}
    forest = Forest({"tree_info": [{"tree_structure": first}, {"tree_structure": leaf(10.0)}]})
    rows = [[1.5, 0], [1.5, 33], [1.5, 1], [1.5, 32], [1.5, 34], [1.5, -1], [1.5, 1e6], [1.6, 0]]
    np.testing.assert_array_equal(
        forest(tf.constant(rows, tf.float64)), [11.0, 11.0, 12.0, 12.0, 12.0, 12.0, 12.0, 14.0]
    )
    assert forest.depth == 2


def test_missing_values_are_refused():
    split = {"split_feature": 0, "threshold": 1.5, "decision_type": "<=", "missing_type": "NaN"}
    with pytest.raises(ValueError, match="NaN"):
        Forest({"tree_info": [{"tree_structure": split | {"left_child": leaf(1), "right_child": leaf(2)}}]})


@pytest.fixture(scope="module")
def trees() -> GradientBoostedTrees:
    return fitted()


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40))
def test_the_answers_are_lightgbms(trees: GradientBoostedTrees, seed: int, count: int):
    rows = random_rows(LAYOUT, (count,), seed)
    domain = np.random.default_rng(seed).integers(0, 3, count)
    served = ServedTrees(trees)
    tensors = {key: tf.constant(value) for key, value in rows.items()}
    np.testing.assert_allclose(
        served.probability(tensors, tf.constant(domain, tf.int32)), trees.predict(rows, domain), rtol=2e-6
    )


@pytest.mark.parametrize(
    "switches",
    [
        {"use_ids": False, "averages": "learned", "history": "none", "domain_feature": False},
        {"averages": "transform"},
    ],
)
def test_the_same_columns_are_used(switches: dict[str, object]):
    trees = fitted(**switches)
    rows = random_rows(LAYOUT, (30,), 4)
    domain = np.arange(30) % 3
    tensors = {key: tf.constant(value) for key, value in rows.items()}
    answers = ServedTrees(trees).probability(tensors, tf.constant(domain, tf.int32))
    np.testing.assert_allclose(answers, trees.predict(rows, domain), rtol=2e-6)


def test_saved_and_loaded_it_answers_alike(trees: GradientBoostedTrees, tmp_path: Path):
    served = ServedTrees(trees)
    source = Rows(50, 3)
    rows = {key: tf.constant(value) for key, value in source.gather(np.arange(50)).items()}
    specs = {key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in rows.items()}
    served.answer = tf.function(
        served.probability, input_signature=[specs, tf.TensorSpec([None], tf.int32)], autograph=False
    )
    tf.saved_model.save(served, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(
        loaded.answer(rows, tf.constant(source.domain)),
        trees.predict(source.gather(np.arange(50)), source.domain),
        rtol=2e-6,
    )


def test_it_counts_what_was_learned(trees: GradientBoostedTrees):
    forest = ServedTrees(trees).forest
    assert trees.parameters == forest.nodes
    assert trees.validation is not None
    assert 0.5 < trees.validation < 1
