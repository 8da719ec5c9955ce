"""The order in which rows are trained on, as index plans. NumPy only.

A plan is a sequence of steps; a step is `G` mini-batches of at most `B` rows, each of one domain. Every row
is in exactly one mini-batch of an epoch. A plan depends on the seed and the number of the epoch alone, and
any of its steps can be had directly, so that training resumes in the middle of an epoch.

* `cyclic`: the paper's. Domains take turns, one mini-batch each, until each has run out; `G` is 1. With uneven
  domains the end of an epoch is the largest domain alone.
* `interleaved`: the mini-batches of each domain are spread evenly over the epoch; `G` is 1. Batch `i` of the
  `M_d` batches of domain `d` stands at time `(i + u_d) / M_d`, with `u_d` drawn from [0, 1) for each epoch.
* `fused`: mini-batches of the interleaved order make one step together. Those of like size (`SIZES`) are joined,
  `G` of the full size, more of the smaller ones (at most `4 G`), so that small domains are not mostly padding.
  Up to `RUN` such steps follow each other, where there are several times as many.
* `mixed`: each step takes the next `G B` rows of one shuffled list, whatever their domains, and cuts them into
  tiles of one domain each; the number of tiles differs between steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.arrays import Array

KINDS = ("cyclic", "interleaved", "fused", "mixed")

# Mini-batches are padded to a multiple of a sixteenth of the power of two above them: by an eighth at most.
SIZES = tuple(
    sorted({2**power * parts // 16 for power in range(4, 31) for parts in range(9, 17)} | set(range(1, 9)))
)
MOST_GROUPS = 4
# So many steps of one shape follow each other, at most a quarter of those that there are: one call makes them.
RUN = 4

# Rows whose forward and backward pass take as long as fetching and updating one more domain's kernels.
ROWS_PER_TILE_COST = 24


class Step(NamedTuple):
    """One step.

    Attributes:
        rows: `(G, B)` int64. Padding repeats rows of the step, so that it touches no embedding that the step
            does not touch anyway.
        weights: `(G, B)` float32, 1 for a row, 0 for padding.
        domains: `(G,)` int32; that of an empty group is one that the step has.
    """

    rows: Array
    weights: Array
    domains: Array


@dataclass(frozen=True)
class EpochPlan:
    """An epoch as pieces of one permuted list of rows.

    Attributes:
        rows: `(n,)`, the permuted rows.
        start: `(M,)`, where in `rows` each mini-batch begins, in the order of training.
        count: `(M,)`, its rows.
        domain: `(M,)`, its domain.
        first: `(S + 1,)`, the first mini-batch of each step.
        slots: `(S,)`, B of each step.
        groups: `(S,)`, G of each step.
    """

    rows: Array
    start: Array
    count: Array
    domain: Array
    first: Array
    slots: Array
    groups: Array

    def __len__(self) -> int:
        return len(self.first) - 1

    def shape(self, i: int) -> tuple[int, int]:
        """`(G, B)` of step `i`."""
        return int(self.groups[i]), int(self.slots[i])

    def step(self, i: int) -> Step:
        """Step `i`, from 0.

        Raises:
            IndexError: if the epoch has no such step.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"step {i} of an epoch of {len(self)} steps")
        pieces = slice(self.first[i], self.first[i + 1])
        start, count, domain = self.start[pieces], self.count[pieces], self.domain[pieces]
        groups, batch_size = self.shape(i)
        empty = groups - len(start)
        start = np.concatenate([start, np.repeat(start[:1], empty)])
        domain = np.concatenate([domain, np.repeat(domain[:1], empty)])
        filled = np.concatenate([count, np.zeros(empty, count.dtype)])
        count = np.concatenate([count, np.repeat(count[:1], empty)])
        slots = np.arange(batch_size)
        rows = self.rows[start[:, None] + slots % count[:, None]]
        weights = (slots < filled[:, None]).astype(np.float32)
        return Step(rows.astype(np.int64), weights, domain.astype(np.int32))

    def steps(self, begin: int = 0) -> Iterator[Step]:
        """The steps from `begin` to the end."""
        for i in range(begin, len(self)):
            yield self.step(i)


class Schedule:
    """Plans of all epochs over rows of given domains. Keeps 4 bytes a row, and 4 more for the epoch at hand.

    Args:
        kind: one of `KINDS`.
        domain: `(n,)` domain of each row.
        batch_size: B.
        domains_per_step: G; read by `fused` and `mixed`.
        seed: of all shuffles.

    Raises:
        ValueError: if there are no rows, the kind is unknown or a size is below 1.
    """

    def __init__(
        self, kind: str, domain: Array, batch_size: int, domains_per_step: int = 1, seed: int = 1
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"schedule must be one of {', '.join(KINDS)}, got {kind!r}")
        if batch_size < 1 or domains_per_step < 1:
            raise ValueError(
                f"batch_size and domains_per_step must be at least 1: {batch_size}, {domains_per_step}"
            )
        if len(domain) == 0:
            raise ValueError("there are no rows to train on")
        self.kind = kind
        self.seed = seed
        self._batch_size = batch_size
        self._groups = domains_per_step
        self._index = np.uint32 if len(domain) < 2**32 else np.uint64
        self._by_domain = np.argsort(domain, kind="stable").astype(self._index)
        present, counts = np.unique(domain, return_counts=True)
        self._present = present.astype(np.int64)
        self._counts = counts.astype(np.int64)
        self._tile = tile_size(self._counts, batch_size * domains_per_step, batch_size)

    def epoch(self, epoch: int) -> EpochPlan:
        """The plan of epoch `epoch`, from 0."""
        rng = np.random.default_rng([self.seed, epoch])
        if self.kind == "mixed":
            return self._mixed(rng)
        rows = self._by_domain.copy()
        offsets = np.concatenate([[0], np.cumsum(self._counts)])
        for begin, end in pairwise(offsets):
            rng.shuffle(rows[begin:end])
        batches = -(-self._counts // self._batch_size)
        run = np.repeat(np.arange(len(batches)), batches)
        turn = np.arange(len(run)) - np.repeat(np.cumsum(batches) - batches, batches)
        if self.kind == "cyclic":
            begin = turn * self._batch_size
            end = np.minimum(begin + self._batch_size, self._counts[run])
            order = np.lexsort((run, turn))
        else:
            # Batches of even size: a remainder of a few rows would weigh as much as a full batch.
            begin = turn * self._counts[run] // batches[run]
            end = (turn + 1) * self._counts[run] // batches[run]
            order = np.argsort((turn + rng.random(len(batches))[run]) / batches[run], kind="stable")
        start, count, domain = offsets[run] + begin, end - begin, self._present[run]
        if self.kind == "fused":
            return self._fused(rows, start[order], count[order], domain[order])
        first = np.arange(len(run) + 1)
        ones = np.ones(len(run), int)
        return EpochPlan(
            rows, start[order], count[order], domain[order], first, ones * self._batch_size, ones
        )

    def _fused(self, rows: Array, start: Array, count: Array, domain: Array) -> EpochPlan:
        size = np.minimum(np.array(SIZES)[np.searchsorted(SIZES, count)], self._batch_size)
        most = np.clip(self._batch_size * self._groups // size, self._groups, MOST_GROUPS * self._groups)
        by_size = np.argsort(size, kind="stable")
        place = np.arange(len(count))
        place -= np.searchsorted(size[by_size], size[by_size])
        step_begins = np.flatnonzero(place % most[by_size] == 0)
        step = np.searchsorted(step_begins, np.arange(len(count)), side="right") - 1
        # A run of steps takes the place, among the others, of the mean of its batches. Of a rare size there are no
        # runs: they would be all that the epoch has of it.
        steps = np.unique(size[by_size][step_begins], return_counts=True)[1]
        turn = np.arange(len(step_begins)) - np.repeat(np.cumsum(steps) - steps, steps)
        run = np.cumsum(turn % np.repeat(np.clip(steps // RUN, 1, RUN), steps) == 0) - 1
        of_batch = run[step]
        middle = np.bincount(of_batch, weights=by_size) / np.bincount(of_batch)
        rank = np.argsort(np.argsort(middle[run], kind="stable"))
        order = by_size[np.argsort(rank[step], kind="stable")]
        groups = np.bincount(rank[step])
        first = np.concatenate([[0], np.cumsum(groups)])
        return EpochPlan(
            rows, start[order], count[order], domain[order], first, size[order][first[:-1]], groups
        )

    def _mixed(self, rng: np.random.Generator) -> EpochPlan:
        total, span = len(self._by_domain), self._batch_size * self._groups
        place: Array = rng.permutation(total).astype(self._index)
        # Sorted by domain already, so a stable sort by step gives runs of one domain within each step.
        step = np.floor_divide(place, span)
        order = np.argsort(step, kind="stable")
        rows, step = self._by_domain[order], step[order].astype(np.int64)
        domain = np.repeat(self._present, self._counts)[order]
        begins = np.flatnonzero(np.concatenate([[True], (np.diff(step) != 0) | (np.diff(domain) != 0)]))
        sizes = np.diff(np.append(begins, total))
        tiles = -(-sizes // self._tile)
        run = np.repeat(np.arange(len(begins)), tiles)
        turn = np.arange(len(run)) - np.repeat(np.cumsum(tiles) - tiles, tiles)
        start = begins[run] + turn * sizes[run] // tiles[run]
        end = begins[run] + (turn + 1) * sizes[run] // tiles[run]
        first = np.searchsorted(step[start], np.arange(step[-1] + 2))
        ones = np.ones(len(first) - 1, int)
        groups = ones * np.diff(first).max()
        return EpochPlan(rows, start, end - start, domain[start], first, ones * self._tile, groups)


def tile_size(counts: Array, rows: int, most: int) -> int:
    """Slots of a tile in a mixed step: the power of two, at most `most`, that makes such a step cheapest.

    Small tiles waste few slots, large ones need fewer kernels. The cost of a step of `rows` rows, drawn from
    domains with these `counts`, is taken as its slots plus `ROWS_PER_TILE_COST` for each tile.
    """
    expected = counts / counts.sum() * rows
    occurs = 1 - np.exp(-expected)
    candidates = [2**i for i in range(int(np.log2(most)) + 1)]
    tiles = [float((np.maximum(expected / size - 0.5, 0) + occurs).sum()) for size in candidates]
    costs = [number * (size + ROWS_PER_TILE_COST) for number, size in zip(tiles, candidates, strict=True)]
    return int(candidates[int(np.argmin(costs))])
