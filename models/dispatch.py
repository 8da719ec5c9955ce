"""Rows of many domains in one request, through a model that wants groups of one domain.

The rows are sorted by domain and cut into tiles of `t` rows; a domain's last tile is padded. With `t` the
mean number of rows per occurring domain there are at most twice as many tiles as domains that occur, and at
most twice as many slots as rows plus one per domain: the cost per row does not depend on the number of domains of the
model, but each domain that occurs has its kernels read. A model whose domains have few weights of their own
(`DomainModel.row_by_row`) takes each row as a group instead, without sorting and padding, and it hardly matters how a
request is mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from models.base import DomainModel, GroupedBatch
from models.unknown_domain import ask_stand_ins

TILES_AT_ONCE = 128
ROWS_AT_ONCE = 1024


class Tiles(NamedTuple):
    """Where rows go. `T` tiles of `t` slots.

    Attributes:
        rows: `(T, t)` int32, the row in each slot; 0 where padded.
        weights: `(T, t)` float32, 1 for a row, 0 for padding.
        domains: `(T,)` int32.
        slot: `(N,)` int32, the flat slot of each row.
    """

    rows: tf.Tensor
    weights: tf.Tensor
    domains: tf.Tensor
    slot: tf.Tensor


def tile_rows(domain: tf.Tensor) -> Tiles:
    """Plans tiles for rows `(N,)` of these domains; `N` may be 0."""
    domain = tf.cast(domain, tf.int32)
    count = tf.size(domain)
    order = tf.argsort(domain, stable=True)
    occurring, run, run_rows = tf.unique_with_counts(tf.gather(domain, order))
    size = tf.maximum(tf.math.floordiv(count + tf.size(occurring) - 1, tf.maximum(tf.size(occurring), 1)), 1)
    run_tiles = tf.math.floordiv(run_rows + size - 1, size)
    place = tf.range(count) - tf.gather(tf.cumsum(run_rows, exclusive=True), run)
    slot = tf.gather(tf.cumsum(run_tiles, exclusive=True), run) * size + place
    tiles = tf.reduce_sum(run_tiles)
    shape = tf.stack([tiles, size])
    return Tiles(
        rows=tf.reshape(tf.scatter_nd(slot[:, None], order, (tiles * size)[None]), shape),
        weights=tf.reshape(tf.scatter_nd(slot[:, None], tf.ones([count]), (tiles * size)[None]), shape),
        domains=tf.repeat(occurring, run_tiles),
        slot=tf.scatter_nd(order[:, None], slot, count[None]),
    )


def map_mixed(
    function: Callable[[GroupedBatch], tf.Tensor],
    rows: Mapping[str, tf.Tensor],
    domain: tf.Tensor,
    width: int | None = None,
) -> tf.Tensor:
    """Applies a function of groups, `(G, B, ...) -> (G, B) or (G, B, M)`, to mixed rows.

    Tiles go through it at most `TILES_AT_ONCE` at a time, which bounds the memory that gathered kernels take.

    Args:
        function: of a `(rows, domains, weights)` batch.
        rows: tensors `(N, ...)` by key.
        domain: `(N,)` domain indices.
        width: M; None where the function gives a number for each row.

    Returns:
        `(N,)` or `(N, M)`, in the order of the rows.
    """
    plan = tile_rows(domain)

    def score(start: tf.Tensor) -> tf.Tensor:
        part = plan.rows[start : start + TILES_AT_ONCE]
        batch = (
            {key: tf.gather(value, part) for key, value in rows.items()},
            plan.domains[start : start + TILES_AT_ONCE],
            plan.weights[start : start + TILES_AT_ONCE],
        )
        outputs = function(batch)
        return tf.reshape(outputs, tf.concat([tf.size(part)[None], tf.shape(outputs)[2:]], 0))

    return tf.gather(_in_turn(score, tf.shape(plan.rows)[0], TILES_AT_ONCE, width), plan.slot)


def map_row_by_row(
    function: Callable[[GroupedBatch], tf.Tensor], rows: Mapping[str, tf.Tensor], domain: tf.Tensor
) -> tf.Tensor:
    """As `map_mixed`, with each row as a group, at most `ROWS_AT_ONCE` at a time."""

    def score(start: tf.Tensor) -> tf.Tensor:
        part = domain[start : start + ROWS_AT_ONCE]
        groups = {key: value[start : start + ROWS_AT_ONCE, None] for key, value in rows.items()}
        return tf.squeeze(function((groups, part, tf.ones([tf.size(part), 1]))), 1)

    return _in_turn(score, tf.size(domain), ROWS_AT_ONCE)


def _in_turn(
    score: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor, at_once: int, width: int | None = None
) -> tf.Tensor:
    """What `score` gives for `at_once` from 0, from `at_once`, ..., up to `count`, one after the other."""
    shape = [] if width is None else [width]

    # The graph holds `score` once: in front of the loop, for the first turn, it would be there a second time.
    def body(start: tf.Tensor, scored: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return start + at_once, tf.concat([scored, score(start)], 0)

    _, scored = tf.while_loop(
        lambda start, _: start < count,
        body,
        (tf.constant(0), tf.zeros([0, *shape])),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, *shape])),
    )
    return scored


def predict_mixed(model: DomainModel, rows: Mapping[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
    """Logits `(N,)` of rows `(N, ...)`, row `i` of domain `domain[i]`, D for one that training did not know.

    They are in the order of the rows.
    """
    apply = map_row_by_row if model.row_by_row else map_mixed

    def predict(rows: Mapping[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        return apply(model.group_stage, model.row_stage(rows, domain), domain)

    return _with_unknown(model, predict, rows, domain)


def explain_mixed(model: DomainModel, rows: Mapping[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
    """The model's weights over domains `(N, D)`, in the order of the rows; `domain` as for `predict_mixed`."""
    return _over_domains(model, model.explain, rows, domain)


def resemblance_mixed(model: DomainModel, rows: Mapping[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
    """`DomainModel.resemblance` `(N, D)`, in the order of the rows; `domain` as for `predict_mixed`."""
    return _over_domains(model, model.resemblance, rows, domain)


def _over_domains(
    model: DomainModel,
    function: Callable[[GroupedBatch], tf.Tensor],
    rows: Mapping[str, tf.Tensor],
    domain: tf.Tensor,
) -> tf.Tensor:
    def answer(rows: Mapping[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        return map_mixed(function, rows, domain, model.domain_count)

    return _with_unknown(model, answer, rows, domain)


def _with_unknown(
    model: DomainModel,
    answer: Callable[[Mapping[str, tf.Tensor], tf.Tensor], tf.Tensor],
    rows: Mapping[str, tf.Tensor],
    domain: tf.Tensor,
) -> tf.Tensor:
    domain = tf.cast(domain, tf.int32)
    if model.serves_unknown:
        return answer(rows, domain)
    asked = ask_stand_ins(model, rows, domain)
    return asked.answers(answer(asked.rows, asked.domain))
