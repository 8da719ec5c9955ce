"""Both ways to sum rows by their place give the same bits, whichever TensorFlow there is."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models import segment_sum


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (5000, 16), (300, 40), (0, 4), (6, 2, 3)])
@pytest.mark.parametrize("slow", [False, True])
def test_bits(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], slow: bool) -> None:
    monkeypatch.setattr(segment_sum, "_is_slow", lambda: slow)
    generator = np.random.default_rng(0)
    rows = tf.constant(generator.normal(size=shape) * 10.0 ** generator.integers(-6, 6, shape), tf.float32)
    ids = tf.constant(generator.zipf(1.3, shape[0]) % 1000, tf.int32)
    places, place = tf.unique(ids)
    found = tf.function(segment_sum.segment_sum)(rows, place, tf.size(places))
    expected = tf.math.unsorted_segment_sum(rows, place, tf.size(places))
    np.testing.assert_array_equal(found, expected)
