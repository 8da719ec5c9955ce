"""Gate Neural Unit: element-wise gates between 0 and 2 (PEPNet)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


class GateNU(keras.layers.Layer):
    """Two layers that scale up or down each element of something else (Chang et al., KDD 2023).

        GateNU(z) = 2 * sigmoid(relu(z W + b) W' + b')

    `W'` and `b'` start at zero, so every gate starts at exactly 1 and the gated network as if ungated.

    Example:
        >>> GateNU(units=2, hidden=4)(tf.constant([[0.3, -1.0, 7.0]])).numpy()
        array([[1., 1.]], dtype=float32)

    Args:
        units: gates, the width of what is gated.
        hidden: units of the hidden layer.
    """

    def __init__(self, units: int, hidden: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if units < 1 or hidden < 1:
            raise ValueError(f"units and hidden must be at least 1, got {units} and {hidden}")
        self.hidden = keras.layers.Dense(hidden, activation="relu", name="hidden")
        self.scores = keras.layers.Dense(units, kernel_initializer="zeros", name="scores")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Gates `(..., units)` of inputs `(..., in)`."""
        return 2.0 * tf.sigmoid(self.scores(self.hidden(inputs)))
