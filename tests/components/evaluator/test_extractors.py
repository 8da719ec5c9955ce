"""Scored batches into one piece per slice."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that
from tensorflow_model_analysis import constants

from components.evaluator.extractors import SplitBySlice

BEAM = ["--direct_running_mode=in_memory"]


def _batch(place: list[Any], base: int) -> dict[str, Any]:
    rows = len(place)
    values = np.ma.array([0 if p is None else p for p in place], mask=[p is None for p in place])
    return {
        constants.INPUT_KEY: np.array([b"x"] * rows, object),
        constants.LABELS_KEY: np.arange(base, base + rows),
        constants.PREDICTIONS_KEY: {"candidate": np.full(rows, 0.5), "baseline": np.full(rows, 0.25)},
        constants.FEATURES_KEY: {"place": values},
    }


def _found(piece: dict[str, Any]) -> tuple[Any, list[int], int]:
    [key] = piece[constants.SLICE_KEY_TYPES_KEY]
    assert constants.INPUT_KEY not in piece
    labels = piece[constants.LABELS_KEY]
    assert all(len(scores) == len(labels) for scores in piece[constants.PREDICTIONS_KEY].values())
    return key, sorted(labels.tolist()), len(piece[constants.FEATURES_KEY]["place"])


def _check(pieces: list[Any]) -> None:
    merged: dict[Any, list[int]] = {}
    for key, labels, columns in map(_found, pieces):
        assert columns == len(labels)
        merged.setdefault(key, []).extend(labels)
    assert {key: sorted(labels) for key, labels in merged.items()} == {
        (): [0, 1, 2, 3, 4, 5],
        (("place", 1),): [0, 2, 4],
        (("place", 2),): [1, 3],
    }


@pytest.mark.parametrize("gathered", [1, 1000])
def test_every_row_is_in_the_overall_slice_and_in_that_of_its_value(gathered: int) -> None:
    with beam.Pipeline(options=PipelineOptions(BEAM)) as pipeline:
        pieces = (
            pipeline
            | beam.Create([_batch([1, 2, 1], 0), _batch([2, 1, None], 3)])
            | beam.ParDo(SplitBySlice(["place"], overall=True, rows=gathered))
        )
        assert_that(pieces, _check)


def test_batches_without_rows_or_values_give_no_piece_of_a_value() -> None:
    split = SplitBySlice(["place"], overall=False, rows=1)
    split.start_bundle()
    assert list(split.process(_batch([None, None], 0))) == []
    assert list(split.finish_bundle()) == []
