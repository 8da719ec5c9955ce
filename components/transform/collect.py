"""One pass over the log: vocabularies, moments, a row sample and the sums of every average at once.

Rows are gathered into blocks and reduced with NumPy. Partial results are joined by kind and partition, then cut down to
the declared table sizes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.transform import chunks, hashing
from components.transform.chunks import Chunk
from components.transform.moving_averages import decayed_sums
from components.transform.state import WAITING, BehaviourState
from components.transform.target_encoding import row_keys
from components.transform.transform_plan import DAY_MS, DOMAIN_PARENT, TransformPlan

BLOCK_ROWS = 1 << 16

Block = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Partial:
    """Part of the result.

    Attributes:
      merge: which of `chunks.MERGE` joins it with its like.
      name: `vocabulary`, `moments`, `numbers`, `sample`, `latest`, or `average` with `index`.
      index: of the key of averages; -1: the domain.
      chunk: the arrays.
      dropped: values that did not fit in the table, and their rows.
    """

    merge: str
    name: str
    index: int
    chunk: Chunk
    dropped: tuple[int, int] = (0, 0)


def reduce_rows(
    plan: TransformPlan,
    batches: Iterable[Block],
    analysed_until: int | None = None,
    partitions: int = chunks.PARTITIONS,
) -> Iterator[dict[int, list[Partial]]]:
    """Reduces batches of rows to partial results by partition, a block of rows at a time.

    Args:
      plan: what is computed.
      batches: tuples of arrays of one batch: hashes int64 (n, H), integers int64 (n, I), texts object (n, S), numbers
        float32 (n, N + Q), behaviours float32 (n, F), label float32 (n,), below 0 of an event, local time in ms int64
        (n,).
      analysed_until: see `reduce_block`.
      partitions: how many there are.
    """
    # Of a block nothing is left when the next one is gathered.
    return map(functools.partial(_by_partition, plan, analysed_until, partitions), _blocks(batches))


def _by_partition(
    plan: TransformPlan, analysed_until: int | None, partitions: int, block: Block
) -> dict[int, list[Partial]]:
    found: dict[int, list[Partial]] = {}
    for partial in reduce_block(plan, block, analysed_until):
        by = "key" if "key" in partial.chunk and partial.merge != "sample" else None
        for part, chunk in chunks.split(partial.chunk, partitions) if by else [(0, partial.chunk)]:
            found.setdefault(part, []).append(replace(partial, chunk=chunk))
    return found


def _blocks(batches: Iterable[Block]) -> Iterator[Block]:
    """Batches gathered into blocks of at least `BLOCK_ROWS` rows, the last one excepted."""
    gathered: list[Block] = []
    for batch in batches:
        gathered.append(batch)
        if sum(len(part[-1]) for part in gathered) >= BLOCK_ROWS:
            yield _joined(gathered)
    if gathered:
        yield _joined(gathered)


def _joined(gathered: list[Block]) -> Block:
    """Batches as one; of them none is left."""
    block = tuple(np.concatenate(columns) for columns in zip(*gathered, strict=True))
    gathered.clear()
    return block


def reduce_block(plan: TransformPlan, block: Block, analysed_until: int | None = None) -> Iterator[Partial]:
    """The partial results of a block of rows.

    Args:
      plan: what is computed.
      block: the rows.
      analysed_until: rows of this day and later are averaged over only: no vocabulary, no statistic, no strength
        knows them; `None`: there are none.
    """
    behaviours = block[4].astype(np.float64)
    time, event = block[-1], block[-2] < 0
    known = ~event
    if known.any():
        yield Partial("latest", "latest", 0, {"time": time[known].max(keepdims=True)})
    if analysed_until is not None:
        known &= time // plan.day_ms < analysed_until
    if known.any():
        yield from _analyse(plan, block if known.all() else tuple(column[known] for column in block))
    hashes, bucket = block[0], time // plan.bucket_ms
    if plan.behaviours:
        present = ~np.isnan(behaviours)
        filled = np.where(present, behaviours, 0.0)
        values = np.concatenate([filled, ~present], axis=1)
        for index in range(DOMAIN_PARENT, len(plan.keys)):
            columns = (
                np.concatenate([values, np.square(filled)], axis=1) if index == DOMAIN_PARENT else values
            )
            yield Partial("sums", "average", index, _sum_key(plan, index, hashes, bucket, event, columns))


def _analyse(plan: TransformPlan, block: Block) -> Iterator[Partial]:
    hashes, integers, texts, numbers, behaviours, _, time = block
    bucket, behaviours = time // plan.bucket_ms, behaviours.astype(np.float64)
    yield Partial("counts", "vocabulary", 0, _count_values(plan, hashes, integers, texts, time))
    yield Partial(
        "moments", "moments", 0, chunks.moments(numbers[:, : len(plan.normalised)].astype(np.float64))
    )
    if not plan.quantiles and not plan.keys:
        return
    quantiles = numbers[:, len(plan.normalised) :]
    key = _row_hashes(hashes, time, quantiles, behaviours)
    if plan.quantiles:
        yield Partial("numbers", "numbers", 0, chunks.merge_numbers([{"key": key, "numbers": quantiles}]))
    if plan.keys:
        rows = {"key": key, "bucket": bucket, "hashes": hashes, "behaviours": behaviours}
        yield Partial("sample", "sample", 0, chunks.merge_sample([rows], plan.sample_rows))


def first_refreshed_day(days: Iterable[int], refreshed: int) -> int | None:
    """The first of the last `refreshed` days with rows; `None` if there are not more days than that.

    >>> first_refreshed_day([1, 1, 2, 3, 5], refreshed=2)
    3
    >>> first_refreshed_day([1, 1, 2], refreshed=2) is None
    True
    """
    ordered = sorted(set(days))
    return ordered[-refreshed] if len(ordered) > refreshed else None


def _count_values(
    plan: TransformPlan, hashes: np.ndarray, integers: np.ndarray, texts: np.ndarray, time: np.ndarray
) -> Chunk:
    day = (time // DAY_MS).astype(np.int32)
    if (day != day[0]).any():
        # The newest row first: where a value is met first is where it was seen last.
        order = np.argsort(-day, kind="stable")
        hashes, integers, texts, day = hashes[order], integers[order], texts[order], day[order]
    parts: list[Chunk] = []
    unique: dict[int, tuple[np.ndarray, ...]] = {}
    for index, vocabulary in enumerate(plan.vocabularies):
        source = plan.sources[vocabulary.source]
        if vocabulary.source not in unique:
            columns = slice(source.offset, source.offset + source.width)
            values, first, counts = np.unique(hashes[:, columns], return_index=True, return_counts=True)
            kept = values != hashing.MISSING
            shift = integers.shape[1] if source.is_text else 0
            rows = first[kept] // source.width
            raw = (texts if source.is_text else integers)[
                rows, source.offset - shift + first[kept] % source.width
            ]
            unique[vocabulary.source] = values[kept], counts[kept], day[rows], np.array(raw, object)
        values, counts, last, raw = unique[vocabulary.source]
        parts.append(
            {
                "key": hashing.combine_numpy(hashing.vocabulary_family(index), [values]),
                "hash": values,
                "column": np.full(len(values), index, np.int32),
                "count": counts.astype(np.int64),
                "last": last,
                "text": raw,
            }
        )
    return chunks.merge_counts(parts)


def _sum_key(
    plan: TransformPlan,
    index: int,
    hashes: np.ndarray,
    bucket: np.ndarray,
    event: np.ndarray,
    values: np.ndarray,
) -> Chunk:
    keys, present = row_keys(plan, index, hashes)
    if index == DOMAIN_PARENT:
        # Events without a domain have an average of their own.
        present = present | event[:, None]
    rows, _ = np.nonzero(present)
    domain = hashes[rows, plan.sources[plan.vocabularies[0].source].offset]
    groups = {"key": keys[present], "bucket": bucket[rows], "domain": domain}
    return chunks.sum_by(groups, np.ones(len(rows)), values[rows])


def _row_hashes(
    hashes: np.ndarray, time: np.ndarray, quantiles: np.ndarray, behaviours: np.ndarray
) -> np.ndarray:
    """What rows are sampled by, int64 (n,)."""
    bits = [hashes, time[:, None], quantiles.astype(np.float64).view(np.int64), behaviours.view(np.int64)]
    columns = np.concatenate(bits, axis=1)
    key = hashing.combine_numpy(0, list(columns.T))
    # The low bits of a linear combination of round numbers are not random: mix them before rows are compared.
    key ^= (key >> 29) & ((1 << 35) - 1)
    return key * hashing.multiplier(0, 63) + hashing.offset(0)


def join(plan: TransformPlan, merge: str, parts: Sequence[Chunk]) -> Chunk:
    """Chunks of one kind as one."""
    if merge == "sample":
        return chunks.merge_sample(parts, plan.sample_rows)
    return chunks.MERGE[merge](parts)


class Merge:
    """Joins partial results of one partition, those of a kind with their like, in the order in which they come.

    They wait until they are as many rows as was joined before. So every row is joined a few times, however many partial
    results there are, and what is held is at most twice the result and a little.
    """

    _LEAST = 1 << 12

    def __init__(self, plan: TransformPlan) -> None:
        self._plan = plan
        self._found: dict[tuple[str, int], list[Partial]] = {}

    def add(self, partial: Partial) -> None:
        """Takes one more."""
        found = self._found.setdefault((partial.name, partial.index), [])
        found.append(partial)
        if sum(map(_rows, found[1:])) >= max(_rows(found[0]), self._LEAST):
            found[:] = [self._joined(found)]

    def results(self) -> list[Partial]:
        """One of each kind."""
        return [self._joined(found) for found in self._found.values()]

    def _joined(self, partials: Sequence[Partial]) -> Partial:
        first = partials[0]
        if len(partials) == 1:
            return first
        return replace(first, chunk=join(self._plan, first.merge, [partial.chunk for partial in partials]))


def _rows(partial: Partial) -> int:
    return len(next(iter(partial.chunk.values())))


def prune(
    partial: Partial, plan: TransformPlan, prior: BehaviourState, partitions: int = chunks.PARTITIONS
) -> Partial:
    """Cuts one partition of a vocabulary or a key down to what can be in the final table or state.

    Args:
      partial: the partition.
      plan: the plan.
      prior: what is known already: it stays, whatever its weight in these rows.
      partitions: how many there are.
    """
    if partial.name == "vocabulary":
        return _prune_vocabulary(plan, partial, prior.counts["key"], partitions)
    if partial.name == "average" and partial.index != DOMAIN_PARENT:
        return prune_key(plan, partial, chunks.slack(plan.max_keys, partitions), prior.known_keys)
    return partial


def _prune_vocabulary(plan: TransformPlan, partial: Partial, known: np.ndarray, partitions: int) -> Partial:
    chunk = partial.chunk
    kept = []
    for index, vocabulary in enumerate(plan.vocabularies):
        rows = np.flatnonzero(chunk["column"] == index)
        size = vocabulary.max_size
        limit = len(rows) if size is None else chunks.slack(WAITING * size, partitions)
        if len(rows) > limit:
            largest = chunks.largest(chunk["count"][rows], chunk["hash"][rows], limit)
            rows = rows[np.union1d(largest, np.flatnonzero(np.isin(chunk["key"][rows], known)))]
        kept.append(rows)
    chosen = np.sort(np.concatenate(kept))
    return replace(partial, chunk={name: values[chosen] for name, values in chunk.items()})


def prune_key(plan: TransformPlan, partial: Partial, limit: int, known: np.ndarray) -> Partial:
    """Keeps the `limit` values of a key with the largest decayed count at the end, and those that are `known`
    already, and says what was dropped."""
    chunk = partial.chunk
    keys = np.unique(chunk["key"])
    if len(keys) <= limit:
        return partial
    buckets = chunks.sum_by(
        {name: chunk[name] for name in ("key", "bucket")}, chunk["rows"], chunk["rows"][:, None]
    )
    ends = np.r_[np.flatnonzero(np.diff(buckets["key"])), len(buckets["key"]) - 1]
    weight = decayed_sums(buckets["key"], buckets["values"], plan.keys[partial.index].decay)[ends, 0]
    stays = np.isin(keys, known)
    stays[chunks.largest(weight, keys, limit)] = True
    kept = np.isin(chunk["key"], keys[stays])
    dropped = (partial.dropped[0] + int((~stays).sum()), partial.dropped[1] + int(chunk["rows"][~kept].sum()))
    return replace(partial, chunk={name: values[kept] for name, values in chunk.items()}, dropped=dropped)
