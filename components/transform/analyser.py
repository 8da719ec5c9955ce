"""From the merged partial results to the tables, the state after the rows and the assets."""

from __future__ import annotations

import csv
import dataclasses
import io
import logging
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.peak_memory import give_back
from components.transform.collect import Partial
from components.transform.key_table import Store
from components.transform.state import BehaviourState, read_state, write_state
from components.transform.tables import Analysis, Tables, build_tables, state_summary, summary_json
from components.transform.transform_plan import TransformPlan
from models.arrays import write_arrays

SUMMARY = "transform_summary.json"
DOMAIN_CURVES = "domain_moving_average.npz"
VOCABULARY = "vocabulary.csv"
ASSETS = (SUMMARY, DOMAIN_CURVES, VOCABULARY)


def prior_of(plan: TransformPlan, folder: str) -> BehaviourState:
    """The state in a folder; of an empty name what is known before the first row."""
    return read_state(folder) if folder else BehaviourState.empty(plan)


def analyse(
    partials: Sequence[Partial],
    plan: TransformPlan,
    store: Store,
    directory: str,
    prior_state: str,
    state: str,
    partitions: int,
) -> Tables:
    """Puts the tables together.

    Args:
      partials, store: of all partitions, merged, see `build_tables`.
      plan: what is computed.
      directory: where the assets go; the tables carry their paths.
      prior_state: folder of the state that the rows continue; empty for none.
      state: folder to write the state after the rows to; empty for none.
      partitions: how many there are.
    """
    analysis = build_tables(plan, partials, store, prior_of(plan, prior_state), partitions)
    give_back()
    log_dropped(analysis)
    if state:
        write_state(state, analysis.state, state_summary(analysis))
    tf.io.gfile.makedirs(directory)
    paths = [f"{directory}/{name}" for name in ASSETS]
    for path, content in zip(paths, asset_contents(analysis), strict=True):
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content)
    return dataclasses.replace(analysis.tables, assets=np.array(paths))


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
