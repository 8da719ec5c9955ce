"""Dropout whose random state is saved with the model, so that training resumes exactly."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.replicas import own_copy, own_seed


class ResumableDropout(keras.layers.Layer):
    """Inverted dropout drawn from a counter, not from a hidden generator.

    In training each unit is zero with probability `rate`, the others are divided by `1 - rate`. The counter
    is a weight of the layer and moves once a call in training, hence a restored checkpoint draws what the
    killed run would have drawn.

    Example:
        >>> layer = ResumableDropout(0.5)
        >>> sorted(set(layer(tf.ones([100]), training=True).numpy().tolist()))
        [0.0, 2.0]
        >>> layer(tf.ones([3])).numpy()
        array([1., 1., 1.], dtype=float32)

    Args:
        rate: share of units dropped, in [0, 1).
        seed: tells layers with equal counters apart.
    """

    def __init__(self, rate: float, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"dropout rate must be in [0, 1), got {rate}")
        self.rate = rate
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        if self.rate > 0:
            self.draws = self.add_weight(
                name="draws", shape=(), dtype=tf.int64, initializer="zeros", trainable=False
            )
        super().build(input_shape)

    def keep_mask(self, shape: Any) -> tf.Tensor:
        """A bool tensor of that shape, true where a unit is kept; moves the counter."""
        count = own_copy(self.draws).assign_add(1, read_value=True)
        seed = own_seed(tf.constant(self.seed, tf.int64))
        draw = tf.random.stateless_uniform(shape, seed=tf.stack([seed, count]))
        return draw >= self.rate

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.rate == 0:
            return inputs
        kept = tf.cast(self.keep_mask(tf.shape(inputs)), inputs.dtype)
        return inputs * kept * (1.0 / (1.0 - self.rate))
