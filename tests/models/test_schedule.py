from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.schedule import KINDS, RUN, SIZES, Schedule, Step, tile_size

COUNTS = [300, 70, 33, 8, 1]


def domains_of(counts: list[int], seed: int = 0) -> np.ndarray:
    domain = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(domain)


def rows_of(step: Step) -> np.ndarray:
    return step.rows[step.weights > 0]


def test_the_module_needs_no_tensorflow():
    code = "import sys, models.schedule; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(any),
    batch_size=st.integers(1, 20),
    groups=st.integers(1, 5),
    seed=st.integers(0, 5),
)
def test_every_row_is_in_one_mini_batch_of_its_domain(kind, counts, batch_size, groups, seed):
    domain = domains_of(counts, seed)
    plan = Schedule(kind, domain, batch_size, groups, seed).epoch(3)
    met = []
    for step in plan.steps():
        size = step.rows.shape[1]
        assert step.rows.shape == step.weights.shape == plan.shape(len(met))
        assert size <= batch_size
        np.testing.assert_array_equal(domain[step.rows], np.tile(step.domains[:, None], (1, size)))
        assert set(step.rows.ravel()) == set(rows_of(step)), (
            "padding brings in a row that the step does not have"
        )
        met.append(rows_of(step))
    np.testing.assert_array_equal(np.sort(np.concatenate(met)), np.arange(len(domain)))


def test_cyclic_is_the_literal_one():
    domain = domains_of(COUNTS)
    plan = Schedule("cyclic", domain, 32).epoch(0)
    left = list(COUNTS)
    expected = []
    while any(left):
        for d in range(len(COUNTS)):
            if left[d]:
                taken = min(32, left[d])
                expected.append((d, taken))
                left[d] -= taken
    got = [(int(step.domains[0]), int(step.weights.sum())) for step in plan.steps()]
    assert got == expected
    assert [d for d, _ in got[-6:]] == [0] * 6, "the largest domain ends the epoch alone"


def test_interleaved_spreads_each_domain_evenly():
    counts = [6400, 640, 320, 64]
    plan = Schedule("interleaved", domains_of(counts), 32).epoch(0)
    got = np.array([step.domains[0] for step in plan.steps()])
    assert len(got) == sum(counts) // 32
    for d, count in enumerate(counts):
        places = np.flatnonzero(got == d) / len(got)
        assert len(places) == count // 32
        ideal = np.arange(len(places)) / len(places)
        assert np.ptp(places - ideal) < 5 / len(got), (
            "each batch stands at the same distance from an even spread"
        )


def test_interleaved_batches_of_a_domain_have_even_sizes():
    plan = Schedule("interleaved", domains_of([130, 33]), 128).epoch(0)
    sizes = sorted((int(step.domains[0]), int(step.weights.sum())) for step in plan.steps())
    assert sizes == [(0, 65), (0, 65), (1, 33)]


def test_fused_joins_batches_of_like_size_of_the_interleaved_order():
    domain = domains_of([600, 70, 33, 30, 29, 8, 2, 1])
    one = [
        (int(s.domains[0]), *sorted(rows_of(s))) for s in Schedule("interleaved", domain, 16).epoch(2).steps()
    ]
    plan = Schedule("fused", domain, 16, 4).epoch(2)
    joined = []
    by_size: dict[int, list[tuple[int, ...]]] = {}
    for step in plan.steps():
        groups, size = step.rows.shape
        batches = [
            (int(d), *sorted(r[w > 0])) for d, r, w in zip(step.domains, step.rows, step.weights, strict=True)
        ]
        joined += batches
        by_size.setdefault(size, []).extend(batches)
        assert size in SIZES
        assert groups <= max(4, min(16, 4 * 16 // size))
        assert all(size * 3 / 5 <= len(batch) - 1 <= size for batch in batches), "little padding"
    assert sorted(joined) == sorted(one)
    places = {batch: i for i, batch in enumerate(one)}
    for batches in by_size.values():
        order = [places[batch] for batch in batches]
        assert order == sorted(order)


def test_fused_steps_of_equal_domains_are_a_round():
    plan = Schedule("fused", domains_of([64] * 5), 32, 5).epoch(0)
    assert [plan.shape(i) for i in range(len(plan))] == [(5, 32)] * 2
    for step in plan.steps():
        assert sorted(step.domains) == [0, 1, 2, 3, 4]


def test_many_small_domains_are_little_padding():
    counts = (30000 / np.arange(1, 1001)).astype(int)
    plan = Schedule("fused", domains_of(list(counts)), 128, 8).epoch(0)
    slots = (plan.slots * plan.groups).sum()
    assert counts.sum() / slots > 0.9
    assert len(plan) < 1.3 * counts.sum() / 1024


def test_fused_steps_of_one_shape_follow_each_other_where_there_are_many():
    counts = np.random.default_rng(3).integers(130, 4000, 300)
    plan = Schedule("fused", domains_of(list(counts)), 128, 8).epoch(0)
    sizes = plan.slots.tolist()
    often = [size for size in set(sizes) if sizes.count(size) >= 4 * RUN]
    assert often
    for size in often:
        places = np.flatnonzero(plan.slots == size)
        assert np.sum(np.diff(places) > 1) < len(places) / RUN + 1
        assert places[0] < len(plan) / 3 and places[-1] > 2 * len(plan) / 3, (
            "spread over the epoch all the same"
        )


def test_fused_steps_of_a_rare_shape_are_spread_too():
    plan = Schedule("fused", domains_of([20_000, *[40] * 72]), 128, 8).epoch(0)
    places = np.flatnonzero(plan.slots == 40)
    assert len(places) == 3
    assert (np.diff(places) > 1).all()


def test_mixed_takes_the_next_rows_of_one_shuffled_list():
    domain = domains_of([4000, 1000])
    plan = Schedule("mixed", domain, 50, 4).epoch(0)
    shares = []
    for i, step in enumerate(plan.steps()):
        assert len(rows_of(step)) == 200, i
        shares.append((domain[rows_of(step)] == 0).mean())
    assert len(plan) == 25
    assert np.mean(shares) == pytest.approx(0.8)
    assert np.std(shares) == pytest.approx((0.8 * 0.2 / 200) ** 0.5, rel=0.5), "as a random draw would"


def test_tiles_are_small_where_domains_are_many():
    assert tile_size(np.array([1000]), 1024, 128) == 128
    assert tile_size(np.full(1000, 10), 1024, 128) <= 4
    skewed = tile_size(np.array([140067, 16483, 10981, 9647, 5233] + [200] * 10), 1024, 128)
    assert 16 <= skewed <= 64


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_plan_and_any_step_directly(kind):
    domain = domains_of(COUNTS)
    plan, again = (Schedule(kind, domain, 16, 3, seed=5).epoch(1) for _ in range(2))
    for i, (a, b) in enumerate(zip(plan.steps(), again.steps(), strict=True)):
        for x, y, z in zip(a, b, again.step(i), strict=True):
            np.testing.assert_array_equal(x, y)
            np.testing.assert_array_equal(x, z)
    assert len(list(plan.steps(2))) == len(plan) - 2
    other_seed = Schedule(kind, domain, 16, 3, seed=6).epoch(1)
    other_epoch = Schedule(kind, domain, 16, 3, seed=5).epoch(2)
    for other in (other_seed, other_epoch):
        assert not np.array_equal(plan.rows, other.rows)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="got 'random'"):
        Schedule("random", np.zeros(3, int), 2)
    with pytest.raises(ValueError, match="no rows"):
        Schedule("fused", np.zeros(0, int), 2)
    with pytest.raises(ValueError, match="at least 1: 0, 1"):
        Schedule("fused", np.zeros(3, int), 0)
    with pytest.raises(IndexError, match="step 9 of an epoch of 2 steps"):
        Schedule("fused", np.zeros(3, int), 2).epoch(0).step(9)
