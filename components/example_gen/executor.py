"""The executor of DeclaredExampleGen."""

from __future__ import annotations

import json
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components.beam_jobs import runner_for
from components.committed import remove_leftovers
from components.dataset.declaration import Declaration
from components.dataset.files import declared_files
from components.example_gen.ingest import ingest, splits_of

EXAMPLES = "examples"
REPORT_FILE = "ingest_report.json"
# How TFX's own components learn what is in the files. Written out: the module with the names imports them all.
_PROPERTIES = {"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"}


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes the splits `train` and `eval` as gzipped TFRecords of tf.Example, and `ingest_report.json` beside."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the ingestion.

        Args:
          input_dict: empty.
          output_dict: `examples`.
          exec_properties: `declaration` (JSON), `data_dir`; `fingerprint` only keys the cache.
        Raises:
          InputError: see `ingest`.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict[EXAMPLES])
        declaration = Declaration.from_json(exec_properties["declaration"])
        splits = splits_of(declaration)
        examples.split_names = artifact_utils.encode_split_names(list(splits))
        for name, value in _PROPERTIES.items():
            examples.set_string_custom_property(name, value)
        report = ingest(
            declaration,
            exec_properties["data_dir"],
            {split: artifact_utils.get_split_uri([examples], split) for split in splits},
            f"{self._get_tmp_dir().rstrip('/')}/ingest",
            runner_for(
                [file.path for file in declared_files(declaration, exec_properties["data_dir"])],
                self._make_beam_pipeline,
                self._beam_pipeline_args or (),
            ),
        )
        remove_leftovers(examples.uri)
        with fileio.open(f"{examples.uri.rstrip('/')}/{REPORT_FILE}", "w") as stream:
            stream.write(json.dumps(report, indent=1))
