"""The analysis as one TFT analyser: a Beam PTransform over batches of arrays, giving tables and assets."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import logging
from collections.abc import Sequence

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform.beam as tft_beam

from components.transform import collect
from components.transform.collect import MergePartials, Partial, ReduceRows
from components.transform.state import BehaviourState, read_state, write_state
from components.transform.tables import Analysis, build_tables, state_summary, summary_json
from components.transform.transform_plan import TransformPlan
from models.arrays import write_arrays

SUMMARY = "transform_summary.json"
DOMAIN_CURVES = "domain_moving_average.npz"
VOCABULARY = "vocabulary.csv"
ASSETS = (SUMMARY, DOMAIN_CURVES, VOCABULARY)


class AnalyseRows(tft_beam.experimental.PTransformAnalyzer):
    """Batches of rows (see `collect.ReduceRows`) to the tables, as an array of bytes (see `tables.Tables`).

    The assets are written to the analyser's own folder; the tables carry their paths. TFT would take assets as
    further outputs, but then every output has to be an asset, and the tables would be stored twice.

    Args:
      plan: what is computed.
      prior_state: folder of the state that the rows continue; empty for none.
      state: folder to write the state after the rows to; empty for none.
    """

    def __init__(self, plan: TransformPlan, prior_state: str = "", state: str = "") -> None:
        super().__init__()
        self._plan = plan
        self._prior_state = prior_state
        self._state = state

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        reduce = beam.ParDo(ReduceRows(self._plan))
        if self._plan.refreshed_days:
            first = (
                batches
                | "Days" >> beam.FlatMap(_days, self._plan.day_ms)
                | "Distinct days" >> beam.Distinct()
                | "All days" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
                | "First refreshed day" >> beam.Map(collect.first_refreshed_day, self._plan.refreshed_days)
            )
            reduce = beam.ParDo(ReduceRows(self._plan), beam.pvalue.AsSingleton(first))
        return (
            batches
            | "Reduce" >> reduce
            | "Merge" >> beam.CombinePerKey(MergePartials(self._plan))
            | "Values" >> beam.Values()
            | "Prune" >> beam.Map(_prune, self._plan, self._prior_state)
            | "Gather" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            | "Build" >> beam.Map(_build, self._plan, self.base_temp_dir, self._prior_state, self._state)
        )


def _days(batch: collect.Block, day_ms: int) -> set[int]:
    return set((batch[-1][~(batch[-2] < 0)] // day_ms).tolist())


@functools.lru_cache(1)
def _prior(plan: TransformPlan, folder: str) -> BehaviourState:
    """Read once for each worker."""
    return read_state(folder) if folder else BehaviourState.empty(plan)


def _prune(partial: Partial, plan: TransformPlan, prior_state: str) -> Partial:
    return collect.prune(partial, plan, _prior(plan, prior_state))


def _build(
    partials: Sequence[Partial], plan: TransformPlan, directory: str, prior_state: str, state: str
) -> np.ndarray:
    analysis = build_tables(plan, partials, _prior(plan, prior_state))
    _prior.cache_clear()
    log_dropped(analysis)
    if state:
        write_state(state, analysis.state, state_summary(analysis))
    tf.io.gfile.makedirs(directory)
    paths = [f"{directory}/{name}" for name in ASSETS]
    for path, content in zip(paths, asset_contents(analysis), strict=True):
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content)
    tables = dataclasses.replace(analysis.tables, assets=np.array(paths))
    return np.frombuffer(tables.to_bytes(), np.uint8)


def asset_contents(analysis: Analysis) -> tuple[bytes, bytes, bytes]:
    """The assets' contents, in the order of `ASSETS`."""
    arrays = io.BytesIO()
    write_arrays(arrays, analysis.domain_curves, compressed=True)
    vocabulary = io.StringIO()
    writer = csv.writer(vocabulary, lineterminator="\n")
    writer.writerow(["feature", "id", "count", "value"])
    writer.writerows(analysis.vocabulary)
    return summary_json(analysis.summary).encode(), arrays.getvalue(), vocabulary.getvalue().encode()


def log_dropped(analysis: Analysis) -> None:
    """Says which tables were too small for the log."""
    for entry in analysis.summary["average_keys"]:
        if entry["dropped_values"]:
            logging.warning(
                "moving averages of %s: %d values kept, %d with %d rows dropped (they fall back to the parent);"
                " moving_average.max_keys sets the limit",
                entry["key"],
                entry["values"],
                entry["dropped_values"],
                entry["dropped_rows"],
            )
