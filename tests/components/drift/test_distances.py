"""TFDV's distances between two days, in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import tensorflow_data_validation as tfdv

from components.dataset.loader import load_declaration
from components.drift.distances import distances


def statistics(ratio: float, devices: list[str], seed: int = 1) -> object:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "behaviour.dwell_ratio": rng.uniform(0, 1, 2000) * ratio,
            "activity": rng.normal(0, 1, 2000),
            # One user of a million followers moves bins of equal width, and nothing else.
            "tenure_days": np.append(rng.exponential(100, 1999), 10 ** rng.integers(3, 7)),
            "device": rng.choice(devices, 2000),
        }
    )
    return tfdv.generate_statistics_from_dataframe(frame)


def test_a_number_and_a_category_that_moved_are_named_with_what_moved() -> None:
    declaration = load_declaration("simulated", [])
    before, same = statistics(1, ["phone", "tablet"]), statistics(1, ["tablet", "phone"], seed=2)
    schema = tfdv.infer_schema(before)
    assert list(distances(declaration, schema, before, same, 0.3)) == []
    moved = statistics(2.5, ["tablet", "television"])
    found = {
        finding.words.split(":")[0]: finding for finding in distances(declaration, schema, before, moved, 0.3)
    }
    assert set(found) == {"column dwell_ratio", "column device"}
    assert "(its mean was 0.5" in found["column dwell_ratio"].words
    assert "and is 1.2" in found["column dwell_ratio"].words
    assert all(finding.refuses for finding in found.values())
