"""How much one request may ask of an exported model: held by the graph, so by whatever server runs it.

A few bytes can ask for a great deal: a tensor of one repeated value, a thousand domains by a thousand candidates, one
long text that holds for every row. So the size of the answer, and of the text once it is repeated, is computed from
the shapes before anything of that size is made.
"""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

# So many of DFEI with 6 domains take 247 MB while they are computed.
MOST_PREDICTIONS = 1 << 16
# Of ranking requests that a server puts into one batch, which it counts as one row each.
MOST_IN_A_BATCH = 1 << 18
MOST_TEXT_BYTES = 64 << 20


def within_bounds(shape: tf.Tensor, inputs: Iterable[tf.Tensor]) -> tf.Tensor:
    """The shape of an answer, once it and the text for it are known to be small enough.

    Args:
      shape: of the predictions: a number of rows (), or of requests, domains and candidates (3,); int32.
      inputs: what was sent; each is repeated until there is a value for each prediction.

    Returns:
      `shape`; whatever is made with it is made after the check.

    Raises:
      tf.errors.InvalidArgumentError: when it runs: more than `MOST_PREDICTIONS` of one request, `MOST_IN_A_BATCH` of
        several, or `MOST_TEXT_BYTES` of text.
    """
    # Integers of 64 bits can overflow here, and floats are exact as far as it matters.
    sizes = tf.cast(shape, tf.float64)
    predictions = tf.reduce_prod(sizes)
    texts = [_repeated(value, predictions) for value in inputs if value.dtype == tf.string]
    text = tf.add_n([tf.zeros([], tf.float64), *texts])
    ranking = shape.shape.rank == 1
    checks = [
        _at_most(tf.reduce_prod(sizes[1:]) if ranking else predictions, MOST_PREDICTIONS, "predictions"),
        _at_most(predictions, MOST_IN_A_BATCH, "predictions, with those of its batch,"),
        _at_most(text, MOST_TEXT_BYTES, "bytes of text, repeated for each of its predictions,"),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(shape)


def _repeated(value: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Bytes of an input's text when there is a value for each prediction."""
    values = tf.cast(tf.maximum(tf.size(value), 1), tf.float64)
    return tf.cast(tf.reduce_sum(tf.strings.length(value)), tf.float64) * predictions / values


def _at_most(found: tf.Tensor, most: int, what: str) -> tf.Operation:
    number = tf.strings.as_string(tf.cast(found, tf.int64))
    message = tf.strings.join(["the request asks for ", number, f" {what} and may ask for {most}"])
    return tf.debugging.Assert(found <= most, [message])
