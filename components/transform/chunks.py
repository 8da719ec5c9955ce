"""Columnar partial sums: what travels between Beam stages, and how two of them become one.

A chunk is a dictionary of arrays of equal length, sorted by key. Merging is associative and commutative up to the
rounding of float64 sums, so bundling and order do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Chunk = dict[str, np.ndarray]

PARTITIONS, MOST_PARTITIONS = 16, 256
"""How many there are at least and at most."""
PARTITION_BYTES = 8 << 20
"""Of compressed examples, some 100,000 rows, for which there is one partition."""
SAMPLE_ROWS = 1 << 16


def partitions_for(size: int) -> int:
    """How many partitions there are, a power of two: one is held at a time, and is not larger for more rows.

    Args:
      size: bytes of the files of examples.

    >>> partitions_for(1_000), partitions_for(40 * PARTITION_BYTES), partitions_for(10**12)
    (16, 64, 256)
    """
    wanted = min(max(-(-size // PARTITION_BYTES), PARTITIONS), MOST_PARTITIONS)
    return 1 << (wanted - 1).bit_length()


def partition_of(keys: np.ndarray, partitions: int = PARTITIONS) -> np.ndarray:
    """The partition of each key, from 0: its highest bits, so that sorted keys stay together.

    >>> partition_of(np.array([-(2**63), 0, 2**63 - 1]))
    array([ 0,  8, 15])
    """
    return (keys >> (64 - (partitions - 1).bit_length())) + partitions // 2


def last_key(partition: int, partitions: int) -> np.int64:
    """The last key that may lie in a partition.

    >>> int(last_key(7, 16)), int(partition_of(last_key(9, 32), 32))
    (-1, 9)
    """
    return np.int64(((partition + 1 - partitions // 2) << (64 - (partitions - 1).bit_length())) - 1)


def split(chunk: Chunk, partitions: int = PARTITIONS, by: str = "key") -> Iterator[tuple[int, Chunk]]:
    """A chunk sorted by key, cut into its partitions; empty ones are left out.

    >>> sums = {"key": np.array([-(2**63), -5, 3]), "count": np.array([10, 20, 30])}
    >>> [(part, chunk["count"].tolist()) for part, chunk in split(sums)]
    [(0, [10]), (7, [20]), (8, [30])]
    """
    parts = partition_of(chunk[by], partitions)
    edges = np.searchsorted(parts, np.arange(partitions + 1))
    for part in range(partitions):
        if edges[part] < edges[part + 1]:
            yield part, {name: values[edges[part] : edges[part + 1]] for name, values in chunk.items()}


def sum_by(groups: Chunk, rows: np.ndarray, values: np.ndarray) -> Chunk:
    """Sums per group, sorted.

    Args:
      groups: what a group has in common, int64 (n,) each; the first sorts first.
      rows: impressions, float64 (n,).
      values: what else is summed, float64 (n, v).

    Key 7 has two rows, of which one was clicked:

    >>> sums = sum_by({"key": np.array([7, 3, 7])}, np.ones(3), np.array([[1.0], [0.0], [0.0]]))
    >>> sums["key"], sums["rows"], sums["values"][:, 0]
    (array([3, 7]), array([1., 2.]), array([0., 1.]))
    """
    order = np.lexsort(tuple(reversed(groups.values())))
    groups = {name: column[order] for name, column in groups.items()}
    if len(rows) == 0:
        return {**groups, "rows": rows, "values": values}
    changes = np.logical_or.reduce([column[1:] != column[:-1] for column in groups.values()])
    starts = np.flatnonzero(np.r_[True, changes])
    return {
        **{name: column[starts] for name, column in groups.items()},
        "rows": np.add.reduceat(rows[order], starts),
        "values": np.add.reduceat(values[order], starts, axis=0),
    }


def merge_sums(chunks: Sequence[Chunk]) -> Chunk:
    """Sums of the same (key, bucket, domain) added up.

    >>> at = {"key": np.array([7]), "bucket": np.array([0]), "domain": np.array([1])}
    >>> one = {**at, "rows": np.array([10.0]), "values": np.array([[3.0]])}
    >>> both = merge_sums([one, one])
    >>> both["key"], both["rows"], both["values"]
    (array([7]), array([20.]), array([[6.]]))
    """
    joined = concatenate(chunks)
    groups = {name: joined[name] for name in ("key", "bucket", "domain")}
    return sum_by(groups, joined["rows"], joined["values"])


def merge_counts(chunks: Sequence[Chunk]) -> Chunk:
    """Vocabulary counts of the same key added up, and its last day; `hash`, `column` and `text` belong to the key.

    >>> text = np.array(["news"], object)
    >>> news = {"key": np.array([7]), "hash": np.array([5]), "column": np.array([0]), "text": text}
    >>> days = [{**news, "count": np.array([n]), "last": np.array([day])} for n, day in ((2, 30), (5, 29))]
    >>> both = merge_counts(days)
    >>> both["count"], both["last"], both["text"]
    (array([7]), array([30], dtype=int32), array(['news'], dtype=object))
    """
    joined = concatenate(chunks)
    keys, first, inverse = np.unique(joined["key"], return_index=True, return_inverse=True)
    last = np.zeros(len(keys), np.int32)
    np.maximum.at(last, inverse, joined["last"])
    return {
        "key": keys,
        "count": np.bincount(inverse, joined["count"], len(keys)).astype(np.int64),
        "last": last,
        **{name: joined[name][first] for name in ("column", "hash", "text")},
    }


def merge_numbers(chunks: Sequence[Chunk]) -> Chunk:
    """The rows with the lowest hashes: a uniform sample that does not depend on order or bundling.

    >>> rows = {"key": np.array([4, 2]), "numbers": np.array([[0.4], [0.2]])}
    >>> merge_numbers([rows, {"key": np.array([3]), "numbers": np.array([[0.3]])}])["key"]
    array([2, 3, 4])
    """
    joined = concatenate(chunks)
    chosen = np.argsort(joined["key"], kind="stable")[:SAMPLE_ROWS]
    return {name: values[chosen] for name, values in joined.items()}


def merge_sample(chunks: Sequence[Chunk], limit: int) -> Chunk:
    """The `limit` rows of each bucket with the lowest hashes, sorted by bucket.

    What is sampled of a bucket depends on no other bucket, so that days can be sampled one at a time.

    >>> rows = {"key": np.array([4, 2, 9]), "bucket": np.array([0, 0, 1])}
    >>> merge_sample([rows], limit=1)["key"]
    array([2, 9])
    """
    joined = concatenate(chunks)
    order = np.lexsort((joined["key"], joined["bucket"]))
    bucket = joined["bucket"][order]
    place = np.arange(len(order)) - np.searchsorted(bucket, bucket)
    return {name: values[order[place < limit]] for name, values in joined.items()}


def moments(values: np.ndarray) -> Chunk:
    """Count, mean and squared deviations per column of float64 (n, v), NaN left out. One row.

    >>> known = moments(np.array([[1.0], [3.0], [np.nan]]))
    >>> float(known["count"].item()), float(known["mean"].item()), float(known["m2"].item())
    (2.0, 2.0, 2.0)
    """
    present = ~np.isnan(values)
    count = present.sum(axis=0).astype(np.float64)
    filled = np.where(present, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(count, 1.0)
    deviation = np.where(present, values - mean, 0.0)
    return {"count": count[None], "mean": mean[None], "m2": np.square(deviation).sum(axis=0)[None]}


def merge_moments(chunks: Sequence[Chunk]) -> Chunk:
    """Moments of the union (Chan, Golub, LeVeque, 1979).

    >>> values = np.array([[1.0], [3.0], [8.0]])
    >>> merged, whole = merge_moments([moments(values[:1]), moments(values[1:])]), moments(values)
    >>> all(np.allclose(merged[name], whole[name]) for name in whole)
    True
    """
    joined = concatenate(chunks)
    count = joined["count"].sum(axis=0)
    mean = (joined["count"] * joined["mean"]).sum(axis=0) / np.maximum(count, 1.0)
    m2 = (joined["m2"] + joined["count"] * np.square(joined["mean"] - mean)).sum(axis=0)
    return {"count": count[None], "mean": mean[None], "m2": m2[None]}


def merge_latest(chunks: Sequence[Chunk]) -> Chunk:
    """The largest value of each column. One row.

    >>> merge_latest([{"time": np.array([5])}, {"time": np.array([9])}])
    {'time': array([9])}
    """
    return {name: values.max(axis=0, keepdims=True) for name, values in concatenate(chunks).items()}


MERGE: dict[str, Callable[[Sequence[Chunk]], Chunk]] = {
    "sums": merge_sums,
    "counts": merge_counts,
    "numbers": merge_numbers,
    "moments": merge_moments,
    "latest": merge_latest,
}


def slack(limit: int, partitions: int = PARTITIONS) -> int:
    """Entries of one partition to keep, so that the `limit` largest of all partitions are among them.

    Keys are spread over the partitions at random, so the share of one is binomial: eight standard deviations above
    its mean are never needed.

    >>> slack(1_600)
    244
    """
    share = limit / partitions
    return int(share + 8 * share**0.5) + 64


def largest(weights: np.ndarray, keys: np.ndarray, limit: int) -> np.ndarray:
    """Sorted positions of the `limit` largest weights; equal weights by key, so that ties do not depend on order.

    >>> largest(np.array([5, 9, 5, 1]), np.array([40, 10, 20, 30]), 2)
    array([1, 2])
    """
    if len(weights) <= limit:
        return np.arange(len(weights))
    return np.sort(np.lexsort((keys, -weights))[:limit])


def positions(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Position of each wanted value in unsorted `values`, -1 where absent.

    >>> positions(np.array([30, 10, 20]), np.array([20, 30, 5]))
    array([ 2,  0, -1])
    """
    if len(values) == 0:
        return np.full(wanted.shape, -1)
    order = np.argsort(values)
    at = np.minimum(np.searchsorted(values[order], wanted), len(values) - 1)
    return np.where(values[order][at] == wanted, order[at], -1)


def concatenate(chunks: Sequence[Chunk]) -> Chunk:
    """Rows of several chunks with the same columns.

    >>> concatenate([{"key": np.array([1])}, {"key": np.array([2, 3])}])
    {'key': array([1, 2, 3])}
    """
    if len(chunks) == 1:
        return chunks[0]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
