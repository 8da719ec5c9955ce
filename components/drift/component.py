"""DataGates: a TFX component that measures a day's data and refuses what moved too far from the last good days."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.experimental import simple_artifacts
from tfx.utils import io_utils

from components import progress
from components.committed import committed_files
from components.dataset.declaration import Declaration
from components.drift import gates
from components.drift.distances import distances, read_statistics
from components.drift.figures import MEASURED, STATISTICS, read_measured
from components.drift.measured import measure
from components.drift.requests import asked
from components.drift.skew import skew
from components.errors import GateError
from components.example_gen.executor import REPORT_FILE
from components.example_gen.scales import read_scales
from components.trainer.replay import read_values
from components.transform.row_layout import read_layout

SPLITS = ("train", "eval")
FINDINGS = "findings.json"
_STATISTICS_FILE = "FeatureStats.pb"


# `measured.json`, TFDV's statistics, and the findings of the gates. A type of our own has no title that both
# Kubeflow's compiler and TFX's container know.
DayFigures = simple_artifacts.File


def read_findings(uri: str | Path) -> list[gates.Finding]:
    """What the gates found of a day that was not refused."""
    return [gates.Finding(**one) for one in json.loads((Path(uri) / FINDINGS).read_text())]


def _known(transform_graph: str, declaration: Declaration) -> dict[str, list[str]] | None:
    """The values that earlier days had, by feature; None where nothing says."""
    if not transform_graph:
        return None
    try:
        return read_values(transform_graph, read_layout(transform_graph, declaration))
    except (OSError, tf.errors.OpError) as error:
        raise GateError(
            f"what earlier days held is gone ({transform_graph}: {error}): make one of them again with "
            "`dfei daily --from DAY`"
        ) from error


def _written(ingested: Mapping[str, Any]) -> dict[str, Any]:
    """How large the numbers of the impressions are, and those of the events."""
    events = {
        f"{one['files']}: {name}": scale
        for one in ingested.get("events", ())
        for name, scale in one["scales"].items()
    }
    return {**ingested["scales"], **events}


@component
def DataGates(  # noqa: N802 - the component's name
    examples: InputArtifact[standard_artifacts.Examples],
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    schema: InputArtifact[standard_artifacts.Schema],
    figures: OutputArtifact[DayFigures],
    declaration: Parameter[str],
    day: Parameter[str],
    baseline: Parameter[str],
    known: Parameter[str],
    requests: Parameter[str],
    accepted: Parameter[int],
    code: Parameter[str],
) -> None:
    """Refuses a day whose data moved too far from the last good days (`daily.gates`).

    Args:
      examples, statistics: of the day, splits `train` and `eval`.
      schema: the curated one.
      figures: gets `measured.json`, the statistics, `findings.json`.
      declaration: the data set's declaration as JSON.
      day: ISO.
      baseline: URIs of the figures of the last good days, the newest first, as JSON; none for the first day.
      known: URI of the transform graph of the last good day, whose vocabularies hold what earlier days had; empty where
        there is none.
      requests: the folder of the server's log of requests; empty: there is none.
      accepted: 1: what moved is true, it is said and does not refuse.
      code: a hash of the code, so that the cache sees code edits.

    Raises:
      GateError: with what moved, from what to what, and what to do.
    """
    declared = Declaration.from_json(declaration)
    earlier: list[str] = json.loads(baseline)
    folder = Path(figures.uri)
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        file for split in SPLITS for file in committed_files(artifact_utils.get_split_uri([examples], split))
    ]
    with fileio.open(f"{examples.uri.rstrip('/')}/{REPORT_FILE}") as stream:
        ingested = json.load(stream)
    today = measure(files, declared, day, _known(known, declared))
    today.scales = read_scales(_written(ingested))
    (folder / MEASURED).write_text(today.model_dump_json(indent=1))
    shutil.copyfile(
        Path(artifact_utils.get_split_uri([statistics], SPLITS[0])) / _STATISTICS_FILE, folder / STATISTICS
    )
    try:
        history = [read_measured(uri) for uri in earlier]
        before = read_statistics(Path(earlier[0]) / STATISTICS) if earlier else None
    except OSError as error:
        # TFX's DistributionValidator passes what it has nothing to compare with.
        raise GateError(
            f"the figures of the last good days are gone ({error.filename}), so this day cannot be held against "
            f"them: make one of those days again with `dfei daily --from DAY`, or take this one as it is with "
            f"`dfei daily --accept {day}` ({gates.GATES})"
        ) from error
    found = [
        *gates.spellings(declared, today, ingested["spelled"]),
        *gates.findings(declared, history, today),
    ]
    rows = asked(requests, declared, day) if requests else None
    if before is not None or rows is not None:
        curated = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
        assert isinstance(curated, schema_pb2.Schema)
        after = read_statistics(folder / STATISTICS)
        if before is not None:
            allowed = gates.bounds(declared, len(history)).distance
            found += distances(declared, curated, before, after, allowed)
        found += list(skew(declared, curated, after, today, rows)) if rows is not None else []
    (folder / FINDINGS).write_text(json.dumps([dataclasses.asdict(one) for one in found], indent=1))
    refused = [one.refusal for one in found if one.refuses]
    for one in found:
        if accepted or not one.refuses:
            progress.note(f"{day}: {one.words}{' (accepted)' if one.refuses else ''}")
    if refused and not accepted:
        raise GateError("\n".join(refused))
