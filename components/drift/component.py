"""DataGates: a TFX component that measures a day's data and refuses what moved too far from the last good days."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
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
from components.trainer.replay import read_values
from components.transform.row_layout import read_layout

SPLITS = ("train", "eval")
FINDINGS = "findings.json"
_STATISTICS_FILE = "FeatureStats.pb"


# `measured.json`, TFDV's statistics, and the findings of the gates. A type of our own has no title that both
# Kubeflow's compiler and TFX's container know.
DayFigures = simple_artifacts.File


class DataGatesSpec(component_spec.ComponentSpec):
    """Inputs, output and parameters of `DataGates`."""

    PARAMETERS = {  # noqa: RUF012
        "declaration": component_spec.ExecutionParameter(type=str),
        "day": component_spec.ExecutionParameter(type=str),
        "baseline": component_spec.ExecutionParameter(type=str),
        "known": component_spec.ExecutionParameter(type=str),
        "requests": component_spec.ExecutionParameter(type=str),
        "accepted": component_spec.ExecutionParameter(type=int),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"figures": component_spec.ChannelParameter(type=DayFigures)}  # noqa: RUF012


class DataGatesExecutor(base_executor.BaseExecutor):
    """Measures, compares, and raises where a gate refuses."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the gates.

        Raises:
          GateError: with what moved, from what to what, and what to do.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        declaration = Declaration.from_json(exec_properties["declaration"])
        baseline: list[str] = json.loads(exec_properties["baseline"])
        day = exec_properties["day"]
        folder = Path(artifact_utils.get_single_uri(output_dict["figures"]))
        folder.mkdir(parents=True, exist_ok=True)
        known = _known(exec_properties["known"], declaration)
        files = [
            file
            for split in SPLITS
            for file in committed_files(artifact_utils.get_split_uri(input_dict["examples"], split))
        ]
        today = measure(files, declaration, day, known)
        (folder / MEASURED).write_text(today.model_dump_json(indent=1))
        statistics = (
            Path(artifact_utils.get_split_uri(input_dict["statistics"], SPLITS[0])) / _STATISTICS_FILE
        )
        shutil.copyfile(statistics, folder / STATISTICS)
        try:
            history = [read_measured(uri) for uri in baseline]
            before = read_statistics(Path(baseline[0]) / STATISTICS) if baseline else None
        except OSError as error:
            # TFX's DistributionValidator passes what it has nothing to compare with.
            raise GateError(
                f"the figures of the last good days are gone ({error.filename}), so this day cannot be held against "
                f"them: make one of those days again with `dfei daily --from DAY`, or take this one as it is with "
                f"`dfei daily --accept {day}`"
            ) from error
        found = gates.findings(declaration, history, today)
        rows = asked(exec_properties["requests"], declaration, day) if exec_properties["requests"] else None
        if before is not None or rows is not None:
            schema = io_utils.SchemaReader().read(
                io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
            )
            assert isinstance(schema, schema_pb2.Schema)
            figures = read_statistics(statistics)
            if before is not None:
                allowed = gates.bounds(declaration, len(history)).distance
                found += distances(declaration, schema, before, figures, allowed)
            found += list(skew(declaration, schema, figures, today, rows)) if rows is not None else []
        (folder / FINDINGS).write_text(json.dumps([dataclasses.asdict(one) for one in found], indent=1))
        accepted = bool(exec_properties["accepted"])
        refused = [one for one in found if one.refuses]
        for one in found:
            if accepted or not one.refuses:
                progress.note(f"{day}: {one.words}{' (accepted)' if one.refuses else ''}")
        if refused and not accepted:
            raise GateError("\n".join(one.refusal for one in refused))


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


class DataGates(base_component.BaseComponent):
    """Refuses a day whose data moved too far from the last good days (`daily.gates`).

    Args:
      examples, statistics: of the day, splits `train` and `eval`.
      schema: the curated one.
      declaration: the data set's declaration as JSON.
      day: ISO.
      baseline: URIs of the figures of the last good days, the newest first; none for the first day.
      known: URI of the transform graph of the last good day, whose vocabularies hold what earlier days had; empty where
        there is none.
      requests: the folder of the server's log of requests; empty: there is none.
      accepted: whether what moved is true: it is said and does not refuse.
      code: a hash of the code, so that the cache sees code edits.

    Outputs:
      figures: `measured.json`, the statistics, `findings.json`.
    """

    SPEC_CLASS = DataGatesSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DataGatesExecutor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        declaration: str,
        day: str,
        baseline: list[str],
        known: str,
        requests: str,
        accepted: bool,
        code: str,
    ) -> None:
        super().__init__(
            DataGatesSpec(
                examples=examples,
                statistics=statistics,
                schema=schema,
                declaration=declaration,
                day=day,
                baseline=json.dumps(baseline),
                known=known,
                requests=requests,
                accepted=int(accepted),
                code=code,
                figures=types.Channel(type=DayFigures),
            )
        )
