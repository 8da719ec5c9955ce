"""Trained trees as TensorFlow operations, so that they are exported and served like any other model.

All trees are walked at once: the state is the node in which each row is in each tree, and a step moves every row one
level down. A row ends in a leaf, whose node points to itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from models.arrays import Array
from models.gbdt import FeatureMatrix, GradientBoostedTrees

_BITS = 32


@dataclass
class _Nodes:
    """The nodes of one tree, the root first. Leaves have no column, and both children are the leaf itself."""

    column: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    words: list[list[int]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    depth: int = 0

    def add(self, structure: dict[str, Any], depth: int = 0) -> int:
        """Adds a subtree of LightGBM's `dump_model`; returns the number of its root."""
        here = len(self.column)
        self.depth = max(self.depth, depth)
        leaf = "split_feature" not in structure
        categories = [] if leaf or structure["decision_type"] != "==" else structure["threshold"].split("||")
        self.column.append(0 if leaf else int(structure["split_feature"]))
        self.threshold.append(np.inf if leaf or categories else float(structure["threshold"]))
        self.words.append(_bitset([int(category) for category in categories]))
        self.value.append(float(structure["leaf_value"]) if leaf else 0.0)
        self.left.append(here)
        self.right.append(here)
        if not leaf:
            # A categorical split sends whatever is not in its set to the right, missing or not.
            if not categories and structure["missing_type"] != "None":
                raise ValueError(
                    f"a split treats missing values as {structure['missing_type']}: train on columns without any"
                )
            self.left[here] = self.add(structure["left_child"], depth + 1)
            self.right[here] = self.add(structure["right_child"], depth + 1)
        return here


def _bitset(categories: Sequence[int]) -> list[int]:
    """Words whose bit `c % 32` of word `c // 32` is 1 for every category `c`."""
    words = [0] * (max(categories) // _BITS + 1 if categories else 0)
    for category in categories:
        words[category // _BITS] |= 1 << category % _BITS
    return words


class Forest(tf.Module):
    """The sum of trees of numerical splits (`value <= threshold`) and categorical ones (`value` in a set).

    Args:
        model: what LightGBM's `Booster.dump_model` gives, trained on columns without missing values.

    Raises:
        ValueError: a split knows of missing values.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        super().__init__(name="forest")
        trees = []
        for tree in model["tree_info"]:
            nodes = _Nodes()
            nodes.add(tree["tree_structure"])
            trees.append(nodes)
        # One array for the nodes of all trees: a child is its tree's first node plus its number there.
        starts = np.cumsum([0, *(len(tree.column) for tree in trees)])
        self.depth = max((tree.depth for tree in trees), default=0)
        self.nodes = int(starts[-1])
        self._roots = _constant(starts[:-1], np.int32)
        self._column = _constant([c for tree in trees for c in tree.column], np.int32)
        self._threshold = _constant([t for tree in trees for t in tree.threshold], np.float64)
        self._value = _constant([v for tree in trees for v in tree.value], np.float64)
        self._left = _constant(_shifted([tree.left for tree in trees], starts), np.int32)
        self._right = _constant(_shifted([tree.right for tree in trees], starts), np.int32)
        words = [w for tree in trees for w in tree.words]
        lengths = [len(w) for w in words]
        self._first_word = _constant(np.cumsum([0, *lengths[:-1]]) if words else [], np.int32)
        self._word_count = _constant(lengths, np.int32)
        self._words = _constant([w for node in words for w in node] or [0], np.int64)

    def __call__(self, matrix: tf.Tensor) -> tf.Tensor:
        """The sums `(N,)`, float64, of rows `(N, columns)`, float64."""
        rows = tf.shape(matrix)[0]
        trees = tf.shape(self._roots)[0]
        node = tf.tile(self._roots[None, :], [rows, 1])
        for _ in range(self.depth):
            value = tf.gather(matrix, tf.gather(self._column, node), batch_dims=1)
            goes_left = tf.where(
                tf.gather(self._word_count, node) > 0,
                self._in_set(node, value),
                value <= tf.gather(self._threshold, node),
            )
            node = tf.where(goes_left, tf.gather(self._left, node), tf.gather(self._right, node))
        return tf.reduce_sum(tf.reshape(tf.gather(self._value, node), [rows, trees]), axis=1)

    def _in_set(self, node: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        category = tf.cast(value, tf.int32)
        word = category // _BITS
        known = (category >= 0) & (word < tf.gather(self._word_count, node))
        at = tf.gather(self._first_word, node) + word
        bits = tf.gather(self._words, tf.where(known, at, 0))
        bit = tf.bitwise.right_shift(bits, tf.cast(tf.where(known, category % _BITS, 0), tf.int64))
        return known & (tf.bitwise.bitwise_and(bit, tf.constant(1, tf.int64)) > 0)


class ServedTrees(tf.Module):
    """Click probabilities of trained trees from the row tensors that every model takes.

    Args:
        trees: trained.
    """

    explains = False

    def __init__(self, trees: GradientBoostedTrees) -> None:
        super().__init__(name="trees")
        self.layout = trees.layout
        self.settings = trees.settings
        self.forest = Forest(trees.dump())
        self._columns = FeatureMatrix(trees.layout, trees.settings)

    def probability(self, rows: Mapping[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        """Click probabilities `(N,)` of rows `(N, ...)`, row `i` of domain `domain[i]`."""
        return tf.cast(tf.sigmoid(self.forest(self._matrix(rows, domain))), tf.float32)

    def _matrix(self, rows: Mapping[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        chosen = self._columns
        parts = [domain[:, None]] if chosen.domain_feature else []
        if len(chosen.kept):
            parts.append(tf.gather(rows["categorical"], chosen.kept, axis=1))
        for key in chosen.numbers:
            width = int(np.prod(self.layout.row_shapes()[key]))
            parts.append(tf.reshape(rows[key], [-1, width]))
        return tf.concat([tf.cast(part, tf.float64) for part in parts], axis=1)


def _shifted(children: Sequence[Sequence[int]], starts: Array) -> list[int]:
    return [int(start) + child for start, tree in zip(starts, children, strict=False) for child in tree]


def _constant(values: Any, dtype: type[np.generic]) -> tf.Variable:
    # Variables, so that an export holds them once, however many signatures use them.
    return tf.Variable(np.asarray(values, dtype), trainable=False)
