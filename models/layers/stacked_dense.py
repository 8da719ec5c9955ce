"""A dense layer for each domain, stored as one stack."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.initializers import StackedGlorotUniform
from models.replicas import slices_of


class StackedDense(keras.layers.Layer):
    """`D` dense layers in one variable; each group of rows goes through the layer of its domain.

        y_g = activation(x_g W[d_g] + b[d_g]),   W (D, in, out), b (D, out)

    A step gathers the `G` kernels it needs and does one batched product. The gradient stays sparse: `G`
    slices, whatever `D` is, so neither the time nor the gradient's memory grows with the number of domains.

    With `base` each domain's layer is a common one plus an offset of its own that starts at zero,

        W_d = W + dW_d,   b_d = b + db_d,

    so that a domain with few rows starts from what all domains have learned instead of from noise. With `rank`
    the offset of the kernel is a product of two narrow ones (as in LoRA, Hu et al., arXiv 2106.09685),

        dW_d = A_d C_d,   A (D, in, r), C (D, r, out),   C zero at first,

    and a domain has `r (in + out)` weights instead of `in out`: with many domains the weights that a batch of
    them reads are what it costs. A layer that would not be smaller for it keeps its full offset.

    Example:
        >>> layer = StackedDense(stacks=1000, units=8)
        >>> layer(tf.ones([2, 5, 4]), tf.constant([999, 0])).shape
        TensorShape([2, 5, 8])
        >>> layer.kernel.shape
        TensorShape([1000, 4, 8])

    Args:
        stacks: D.
        units: out.
        activation: name of a Keras activation, None for linear.
        use_bias: whether there is `b`.
        bias_initializer: Keras initialiser of `b`.
        kernel_initializer: of `W` (with `base`, of the common one); each slice Glorot uniform if absent.
        base: whether the layers have a common part. Its variables are named `base_kernel` and `base_bias`.
        rank: r of the offsets' kernels, whose variables are named `kernel_in` and `kernel_out`; None for full ones.
    """

    def __init__(
        self,
        stacks: int,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        kernel_initializer: Any = None,
        base: bool = False,
        rank: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if stacks < 1 or units < 1:
            raise ValueError(f"stacks and units must be at least 1, got {stacks} and {units}")
        if rank is not None and (rank < 1 or not base):
            raise ValueError(
                f"rank is that of offsets from a base and at least 1, got {rank} and base={base}"
            )
        self.stacks = stacks
        self.units = units
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.base = base
        self.rank = rank
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.base_initializer = keras.initializers.get(kernel_initializer or "glorot_uniform")
        self.kernel_initializer = (
            StackedGlorotUniform()
            if kernel_initializer is None
            else keras.initializers.get(kernel_initializer)
        )

    def build(self, input_shape: Any) -> None:
        inputs = int(input_shape[-1])
        self.factored = self.rank is not None and self.rank * (inputs + self.units) < inputs * self.units
        if self.factored:
            self.kernel_in = self.add_weight(
                name="kernel_in",
                shape=(self.stacks, inputs, self.rank),
                initializer=StackedGlorotUniform(),
            )
            self.kernel_out = self.add_weight(
                name="kernel_out", shape=(self.stacks, self.rank, self.units), initializer="zeros"
            )
        else:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(self.stacks, inputs, self.units),
                initializer="zeros" if self.base else self.kernel_initializer,
            )
        if self.base:
            self.base_kernel = self.add_weight(
                name="base_kernel", shape=(inputs, self.units), initializer=self.base_initializer
            )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.stacks, self.units),
                initializer="zeros" if self.base else self.bias_initializer,
            )
            if self.base:
                self.base_bias = self.add_weight(
                    name="base_bias", shape=(self.units,), initializer=self.bias_initializer
                )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, index: tf.Tensor, known: tf.Tensor | None = None) -> tf.Tensor:
        """Outputs `(G, B, out)`.

        Args:
            inputs: `(G, B, in)`.
            index: `(G,)`, which layer each group goes through.
            known: `(G,)`, 1, or 0 for a group that goes through the common layer alone, whatever its index; only with
                `base`. None: all are known.
        """
        outputs = self._product(inputs, index, known)
        if self.use_bias:
            bias = slices_of(self.bias, index)
            if known is not None:
                bias *= known[:, None]
            outputs += (bias + self.base_bias if self.base else bias)[:, None, :]
        return self.activation(outputs)

    def _product(self, inputs: tf.Tensor, index: tf.Tensor, known: tf.Tensor | None) -> tf.Tensor:
        if self.factored:
            narrow = tf.matmul(inputs, slices_of(self.kernel_in, index))
            if known is not None:
                narrow *= known[:, None, None]
            common = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), self.base_kernel)
            offset = tf.matmul(narrow, slices_of(self.kernel_out, index))
            return tf.reshape(common, tf.shape(offset)) + offset
        kernel = slices_of(self.kernel, index)
        if known is not None:
            kernel *= known[:, None, None]
        return tf.matmul(inputs, kernel + self.base_kernel if self.base else kernel)
