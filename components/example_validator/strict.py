"""An ExampleValidator whose anomalies stop the run.

TFX's ExampleValidator writes anomalies down and goes on; a pipeline that runs every day unattended must not train
on data that its schema rejects.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator import executor as tfx_executor
from tfx.components.example_validator.component import ExampleValidator
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs

from components.errors import GateError


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """One disagreement between the data and the schema.

    Attributes:
      split: the split it was found in.
      column: the raw column; empty for the data set as a whole.
      problem: what was expected and what was found, in words.
      severe: whether it stops the run.
    """

    split: str
    column: str
    problem: str
    severe: bool

    def __str__(self) -> str:
        return f"{self.split}: column {self.column or '(all)'}: {self.problem}"


def read_anomalies(uri: str, splits: list[str]) -> list[Anomaly]:
    """The anomalies of an `ExampleAnomalies` artifact, severe ones first."""
    found = []
    for split in splits:
        path = Path(uri) / f"Split-{split}" / "SchemaDiff.pb"
        found += anomalies_of(split, anomalies_pb2.Anomalies.FromString(path.read_bytes()))
    return sorted(found, key=lambda anomaly: (not anomaly.severe, anomaly.split, anomaly.column))


def anomalies_of(split: str, anomalies: anomalies_pb2.Anomalies) -> list[Anomaly]:
    """TFDV's anomalies of a split, in words."""
    found = []
    if anomalies.dataset_anomaly_info.description:
        found.append(Anomaly(split, "", anomalies.dataset_anomaly_info.description, severe=True))
    for column, info in anomalies.anomaly_info.items():
        problem = " ".join(reason.description for reason in info.reason) or info.description
        severe = info.severity == anomalies_pb2.AnomalyInfo.ERROR
        found.append(Anomaly(split, column, problem, severe))
    return found


class StrictExecutor(tfx_executor.Executor):
    """Validates, then raises on severe anomalies."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> Any:
        """Runs TFX's validator.

        Raises:
          GateError: naming each column with what was expected and what was found.
        """
        result = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict[standard_component_specs.ANOMALIES_KEY])
        splits = artifact_utils.decode_split_names(artifact.split_names)
        severe = [anomaly for anomaly in read_anomalies(artifact.uri, splits) if anomaly.severe]
        if severe:
            lines = "\n".join(f"  {anomaly}" for anomaly in severe)
            raise GateError(
                f"the data does not fit its schema ({len(severe)} anomalies):\n{lines}\n"
                "Mend the data, or, where the data is right, the schema beside the declaration."
            )
        return result


class StrictExampleValidator(ExampleValidator):
    """TFX's ExampleValidator with `StrictExecutor`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(StrictExecutor)
