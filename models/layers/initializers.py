"""Initial values of kernels that are stacked over domains or experts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


class StackedGlorotUniform(keras.initializers.Initializer):
    """Glorot uniform for each slice of a stack: `U(-l, l)`, `l = sqrt(6 / (in + out))`.

    Keras' own initialiser takes the leading axes for a convolution's window and would start a stack of D
    kernels sqrt(D) times too small. Shapes are `(..., in, out)`.
    """

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> tf.Tensor:
        fan_in, fan_out = int(shape[-2]), int(shape[-1])
        limit = (6.0 / (fan_in + fan_out)) ** 0.5
        return keras.initializers.RandomUniform(-limit, limit)(shape, dtype=dtype, **kwargs)
