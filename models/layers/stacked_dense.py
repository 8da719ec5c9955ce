"""A dense layer for each domain, stored as one stack."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.initializers import StackedGlorotUniform


class StackedDense(keras.layers.Layer):
    """`D` dense layers in one variable; each group of rows goes through the layer of its domain.

        y_g = activation(x_g W[d_g] + b[d_g]),   W (D, in, out), b (D, out)

    A step gathers the `G` kernels it needs and does one batched product. The gradient stays sparse: `G`
    slices, whatever `D` is, so neither the time nor the gradient's memory grows with the number of domains.

    Args:
        stacks: D.
        units: out.
        activation: name of a Keras activation, None for linear.
        use_bias: whether there is `b`.
        bias_initializer: Keras initialiser of `b`.
        kernel_initializer: of `W`; each slice Glorot uniform if absent.
    """

    def __init__(
        self,
        stacks: int,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        kernel_initializer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if stacks < 1 or units < 1:
            raise ValueError(f"stacks and units must be at least 1, got {stacks} and {units}")
        self.stacks = stacks
        self.units = units
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_initializer = (
            StackedGlorotUniform()
            if kernel_initializer is None
            else keras.initializers.get(kernel_initializer)
        )

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.stacks, int(input_shape[-1]), self.units),
            initializer=self.kernel_initializer,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.stacks, self.units), initializer=self.bias_initializer
            )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Outputs `(G, B, out)`.

        Args:
            inputs: `(G, B, in)`.
            index: `(G,)`, which layer each group goes through.
        """
        outputs = tf.matmul(inputs, tf.gather(self.kernel, index))
        if self.use_bias:
            outputs += tf.gather(self.bias, index)[:, None, :]
        return self.activation(outputs)
