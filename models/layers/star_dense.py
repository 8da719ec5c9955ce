"""A dense layer whose weights are a shared kernel times the domain's own (STAR)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.replicas import slices_of


class StarDense(keras.layers.Layer):
    """One layer of the star topology: a shared centre and `D` domains around it (Sheng et al., CIKM 2021).

        y_g = activation(x_g (W o W_d) + b + b_d)

    with `o` the element-wise product. `W_d` starts at ones and `b_d` at zeros, so that every domain starts at
    the shared layer; two Glorot draws multiplied would start the layer an order of magnitude too small.

    Example:
        >>> StarDense(stacks=4, units=8, activation="relu")(tf.ones([2, 5, 6]), tf.constant([3, 0])).shape
        TensorShape([2, 5, 8])

    Args:
        stacks: D.
        units: out.
        activation: name of a Keras activation, None for linear.
        kernel_initializer: of the shared kernel.
    """

    def __init__(
        self,
        stacks: int,
        units: int,
        activation: str | None = None,
        kernel_initializer: str = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if stacks < 1 or units < 1:
            raise ValueError(f"stacks and units must be at least 1, got {stacks} and {units}")
        self.stacks = stacks
        self.units = units
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        self.kernel = self.add_weight(
            name="kernel", shape=(width, self.units), initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.specific_kernel = self.add_weight(
            name="specific_kernel", shape=(self.stacks, width, self.units), initializer="ones"
        )
        self.specific_bias = self.add_weight(
            name="specific_bias", shape=(self.stacks, self.units), initializer="zeros"
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Outputs `(G, B, out)` of inputs `(G, B, in)`, group `g` of domain `index[g]`."""
        kernel = self.kernel * slices_of(self.specific_kernel, index)
        bias = self.bias + slices_of(self.specific_bias, index)
        return self.activation(tf.matmul(inputs, kernel) + bias[:, None, :])
