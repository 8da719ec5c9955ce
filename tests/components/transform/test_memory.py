"""What Transform holds at a time: counted, on small pieces."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from components.transform import chunks, collect, key_states
from components.transform.chunks import Chunk
from components.transform.collect import Merge, Partial
from components.transform.key_states import KeySums, sums_name
from components.transform.key_table import StoredKeyTable, part_name
from components.transform.state import BehaviourState
from components.transform.target_encoding import KeyTable
from components.transform.transform_plan import make_plan
from tests.components.transform.strategies import DECLARED

PLAN = make_plan(DECLARED)
NO_ROW = np.array([-1, -1])


def sums(keys: np.ndarray, buckets: int) -> Chunk:
    """A row of every key in every bucket."""
    key = np.repeat(np.sort(keys), buckets)
    values = np.ones((len(key), 2 * len(PLAN.behaviours)))
    bucket = np.tile(np.arange(buckets), len(keys))
    return {"key": key, "bucket": bucket, "domain": bucket * 0, "rows": np.ones(len(key)), "values": values}


def table(rng: np.random.Generator, first: int, buckets: int) -> KeyTable:
    """Eight keys from `first` on, each with states in some buckets."""
    known = rng.random((8, buckets)) < 0.6
    known[:, 0] |= ~known.any(axis=1)
    position, bucket = np.nonzero(known)
    states = rng.random((len(position), 3)).astype(np.float32)
    return KeyTable(first + np.arange(8), position * (buckets + 1) + bucket, states, NO_ROW, buckets)


def test_joining_holds_twice_the_result_however_much_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Merge, "_LEAST", 1)
    merge, held, joined = Merge(PLAN), [], []
    join = collect.join
    monkeypatch.setattr(
        collect, "join", lambda plan, name, parts: joined.append(parts) or join(plan, name, parts)
    )
    one = Partial("sums", "average", 0, sums(np.arange(50), buckets=2))
    for _ in range(300):
        merge.add(one)
        held.append(sum(len(p.chunk["key"]) for found in merge._found.values() for p in found))
    assert max(held) <= 200
    assert sum(len(part["key"]) for parts in joined for part in parts) <= 300 * 200
    (result,) = merge.results()
    assert result.chunk["rows"].tolist() == [300.0] * 100


@pytest.mark.parametrize("partitions", [16, 64])
def test_keys_are_folded_in_stretches_of_one_size(monkeypatch: pytest.MonkeyPatch, partitions: int) -> None:
    monkeypatch.setattr(key_states, "STRETCH", 300)
    keys = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, partitions * 20)
    store = {sums_name(partition): list[Partial]() for partition in range(partitions)}
    for index in range(2):
        for partition, chunk in chunks.split(sums(keys, buckets=5), partitions):
            store[sums_name(partition)].append(Partial("sums", "average", index, chunk))
    largest = max(sum(len(p.chunk["key"]) for p in partials) for partials in store.values())
    prior = BehaviourState.empty(PLAN)
    stretches = [chunk for chunk, _ in KeySums(PLAN, store, partitions, prior).stretches()]
    sizes = [len(chunk["key"]) for chunk in stretches]
    assert sum(sizes) == 2 * 5 * len(keys)
    assert max(sizes) < 300 + largest
    assert largest < 500
    for before, after in itertools.pairwise(stretches):
        assert before["key"].max() < after["key"].min()


def test_what_was_known_goes_with_its_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_states, "STRETCH", 1)
    keys = np.sort(np.random.default_rng(2).integers(-(2**63), 2**63 - 1, 200))
    store = {sums_name(partition): list[Partial]() for partition in range(chunks.PARTITIONS)}
    for partition, chunk in chunks.split(sums(keys, buckets=1)):
        store[sums_name(partition)].append(Partial("sums", "average", 1, chunk))
    behaviours = len(PLAN.behaviours)
    known: Chunk = {
        **{name: np.zeros(200, np.int64) for name in ("kind", "bucket")},
        "key": keys,
        "state": np.ones((200, behaviours + 1)),
        "missing": np.zeros((200, behaviours)),
    }
    opened = {**sums(keys[::2], buckets=1), "kind": np.ones(100, np.int64)}
    prior = dataclasses.replace(BehaviourState.empty(PLAN), keys=known, open_keys=opened)
    stretches = list(KeySums(PLAN, store, chunks.PARTITIONS, prior).stretches())
    assert len(stretches) == chunks.PARTITIONS
    for chunk, before in stretches:
        np.testing.assert_array_equal(chunk["key"], before["key"])
        np.testing.assert_array_equal(chunk["rows"], np.where(np.isin(chunk["key"], keys[::2]), 2.0, 1.0))


@pytest.mark.parametrize("wanted", [[0], [3], [2, 3], [0, 4, 6], [6], list(range(7))])
def test_of_the_table_of_keys_a_file_holds_what_its_buckets_see(wanted: list[int]) -> None:
    rng, buckets = np.random.default_rng(3), 6
    parts = {part_name(number): table(rng, 100 * number, buckets) for number in range(3)}
    sizes = np.array([(8, len(part.key_buckets)) for part in parts.values()])
    stored = StoredKeyTable(parts, sizes, NO_ROW, buckets)
    whole, some = stored.before(np.arange(buckets + 1)), stored.before(np.array(wanted))
    assert (stored.keys, stored.entries) == (24, len(whole.key_buckets)) == (24, int(sizes[:, 1].sum()))
    assert len(some.key_buckets) <= 24 * len(wanted) + 1
    np.testing.assert_array_equal(some.keys, whole.keys)
    for bucket in wanted:
        asked, at = whole.keys[:, None], np.full(24, bucket)
        found = some.state_as_of(asked, at)
        np.testing.assert_array_equal(found, whole.state_as_of(asked, at))
        expected = [part.state_as_of(part.keys[:, None], np.full(8, bucket)) for part in parts.values()]
        np.testing.assert_array_equal(found, np.concatenate(expected))
