"""What is packed are the rows, in their order, and nothing of the padding."""

import hypothesis.strategies as st
import numpy as np
import tensorflow as tf
from hypothesis import given

from models.layers.packing import Packing, one_group


def grouped(weights: np.ndarray) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    groups, size = weights.shape
    numbers = tf.reshape(tf.range(groups * size * 2, dtype=tf.float32), [groups, size, 2])
    ids = tf.reshape(tf.range(groups * size, dtype=tf.int64), [groups, size, 1])
    return {"numeric": numbers, "categorical": ids}, tf.range(groups) * 10


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=5))
def test_against_a_mask(kept):
    weights = np.array(kept, np.float32)
    mask = weights > 0
    rows, domains = grouped(weights)
    packing = Packing(rows, domains, tf.constant(weights))
    alone, of_rows, ones = packing.batch
    for key, value in rows.items():
        assert alone[key].numpy()[:, 0].tolist() == value.numpy()[mask].tolist()
    assert ones.shape == (mask.sum(), 1)
    assert (ones.numpy() == 1).all()
    expected = np.repeat(domains.numpy()[:, None], 3, axis=1)[mask].tolist()
    assert of_rows.numpy().tolist() == packing.domains.numpy().tolist() == expected
    packed = packing.pack(rows["numeric"])
    assert packed.shape == (1, mask.sum(), 2)
    assert packed.numpy().tolist() == one_group(alone["numeric"]).numpy().tolist()
    padded = np.where(mask[..., None], rows["numeric"], 0)
    assert packing.unpack(packed).numpy().tolist() == padded.tolist()


def test_what_each_group_has_is_told_to_its_rows():
    weights = tf.constant([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    packing = Packing(*grouped(weights.numpy()), weights)
    assert packing.of_groups(tf.constant([[1, 2], [3, 4], [5, 6]])).numpy().tolist() == [
        [1, 2],
        [1, 2],
        [5, 6],
    ]


def test_gradients_reach_the_rows_alone():
    weights = tf.constant([[1.0, 0.0], [1.0, 1.0]])
    rows, domains = grouped(weights.numpy())
    values = rows["numeric"]
    with tf.GradientTape() as tape:
        tape.watch(values)
        packing = Packing(rows, domains, weights)
        total = tf.reduce_sum(tf.square(packing.unpack(packing.pack(values))))
    gradient = tf.convert_to_tensor(tape.gradient(total, values)).numpy()
    np.testing.assert_array_equal(gradient, 2 * values.numpy() * weights.numpy()[..., None])
