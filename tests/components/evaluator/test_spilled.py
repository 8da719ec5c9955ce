"""What the Evaluator's workers hand on stays small however many rows there are."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from apache_beam.coders import registry

from components.evaluator.average_auc import DomainCombiner
from components.evaluator.beyond_chance import BothCombiner, BothRows
from components.evaluator.gauc import GAUCCombiner
from components.evaluator.score_tables import SampledScoreTable, ScoreTable, group_ids
from components.evaluator.slice_metrics import SliceCombiner, SliceTotals
from components.evaluator.spilled import MOST_BYTES, sharing

ROWS, USERS, DOMAINS = 1_000_000, 200_000, 300
# What a record may be that an engine sorts.
LARGEST = 4 << 20
KEY = tfma.metrics.MetricKey(name="one")


@pytest.fixture(scope="module")
def accumulators() -> dict[str, ScoreTable | SliceTotals | BothRows]:
    """Of every kind, over 10^6 rows of many users and domains."""
    rng = np.random.default_rng(1)
    score = rng.random(ROWS)
    label = (rng.random(ROWS) < score).astype(np.int64)
    domain, user = (group_ids(rng.integers(0, count, ROWS)) for count in (DOMAINS, USERS))
    totals, domains, users, both = (
        SliceTotals(),
        ScoreTable(),
        SampledScoreTable(),
        BothRows(("", "baseline")),
    )
    totals.add(label, score, np.ones(ROWS, bool))
    domains.add(domain, score, label)
    users.add(user, score, label)
    both.add((label, domain, user, score, score))
    return {"totals": totals, "domains": domains, "users": users, "both": both}


@pytest.mark.parametrize("kind", ["totals", "domains", "users", "both"])
def test_no_record_grows_with_the_rows(
    kind: str, accumulators: dict[str, ScoreTable | SliceTotals | BothRows], tmp_path: Path
) -> None:
    accumulator = accumulators[kind]
    coder = registry.get_coder(object)
    assert len(coder.encode(accumulator)) > LARGEST
    with sharing(str(tmp_path)):
        encoded = coder.encode(accumulator)
    assert len(encoded) < LARGEST / 1000
    assert len(list(tmp_path.iterdir())) == 1
    decoded = coder.decode(encoded)
    again, before = coder.encode(decoded), coder.encode(accumulator)
    assert again == before


def test_small_ones_travel_themselves(tmp_path: Path) -> None:
    table = ScoreTable()
    table.add(np.zeros(100, np.int64), np.linspace(0.1, 0.9, 100), np.arange(100) % 2)
    with sharing(str(tmp_path)):
        assert MOST_BYTES > len(pickle.dumps(table)) > 1000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "combiner",
    [
        SliceCombiner(KEY),
        DomainCombiner(KEY, "domain"),
        GAUCCombiner(KEY, "user"),
        BothCombiner(KEY, ["", "baseline"], "domain", "user"),
    ],
)
def test_combiners_take_the_folder_to_the_workers(combiner: SliceCombiner, tmp_path: Path) -> None:
    table = ScoreTable()
    rng = np.random.default_rng(2)
    table.add(np.zeros(MOST_BYTES // 8, np.int64), rng.random(MOST_BYTES // 8), np.ones(MOST_BYTES // 8))
    with sharing(str(tmp_path)):
        sent = pickle.dumps(combiner)
    with sharing("worker"):
        received = pickle.loads(sent)
        pickle.dumps(table)
    assert len(list(tmp_path.iterdir())) == 1
    assert vars(received).keys() == vars(combiner).keys()
