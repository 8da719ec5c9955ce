from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models import dispatch
from models.dispatch import map_mixed, map_row_by_row, tile_rows


@pytest.mark.parametrize("domains", [[3], [0, 0, 0], [2, 0, 2, 1, 2, 2], list(range(9)), [7] * 40 + [1, 2]])
def test_every_row_has_one_slot_in_a_tile_of_its_domain(domains):
    plan = tile_rows(tf.constant(domains))
    rows, weights, slot = plan.rows.numpy().ravel(), plan.weights.numpy().ravel(), plan.slot.numpy()
    of_tile = np.repeat(plan.domains.numpy(), plan.rows.shape[1])
    assert len(set(slot)) == len(domains) == weights.sum()
    np.testing.assert_array_equal(rows[slot], np.arange(len(domains)))
    np.testing.assert_array_equal(weights[slot], 1)
    np.testing.assert_array_equal(of_tile[slot], domains)
    occurring = len(set(domains))
    assert plan.rows.shape[0] <= 2 * occurring
    assert rows.size <= 2 * len(domains) + occurring


@pytest.mark.parametrize("at_once", [1, 2, 128])
def test_results_come_back_in_the_order_of_the_rows(at_once, monkeypatch):
    monkeypatch.setattr(dispatch, "TILES_AT_ONCE", at_once)
    domain = tf.constant([2, 0, 5, 2, 2, 1, 0, 2, 2, 2])
    x = tf.range(10, dtype=tf.float32)
    result = tf.function(
        lambda: map_mixed(
            lambda batch: batch[0]["x"] * 100 + tf.cast(batch[1], tf.float32)[:, None], {"x": x}, domain
        )
    )()
    np.testing.assert_array_equal(result, x * 100 + tf.cast(domain, tf.float32))


@pytest.mark.parametrize("at_once", [1, 4, 10, 128])
def test_rows_as_groups_come_back_in_their_order(at_once, monkeypatch):
    monkeypatch.setattr(dispatch, "ROWS_AT_ONCE", at_once)
    domain = np.array([2, 0, 5, 2, 2, 1, 0, 2, 2, 2], np.int32)
    x = np.arange(30, dtype=np.float32).reshape(10, 3)

    def function(batch):
        rows, domains, weights = batch
        return tf.reduce_sum(rows["x"], -1) * weights + 100 * tf.cast(domains, tf.float32)[:, None]

    result = tf.function(lambda rows, domain: map_row_by_row(function, {"x": rows}, domain))(x, domain)
    np.testing.assert_array_equal(result, x.sum(1) + 100 * domain)
    assert map_row_by_row(function, {"x": tf.zeros([0, 3])}, tf.zeros([0], tf.int32)).shape == (0,)


def test_vectors_come_back_as_vectors_and_no_rows_as_none():
    rows = {"x": tf.reshape(tf.range(12.0), [4, 3])}
    result = map_mixed(lambda batch: batch[0]["x"], rows, tf.constant([1, 0, 1, 0]), 3)
    np.testing.assert_array_equal(result, rows["x"])
    empty = map_mixed(lambda batch: batch[0]["x"][..., 0], {"x": tf.zeros([0, 3])}, tf.zeros([0], tf.int32))
    assert empty.shape == (0,)
