"""The executor of StatefulTransform: three passes over the files, and one trace of the graph between them.

TFX's own executor traces `preprocessing_fn` five times and has Beam and TensorFlow Transform carry every batch from
step to step, which costs many times what the averages do. What it leaves is left here too: `transform_fn`, by
TensorFlow Transform, the two schemas, and transformed examples.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import json_format
from tensorflow_transform import impl_helper
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import transform_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils, json_utils

from components.beam_jobs import Runner, runner_for
from components.dataset.declaration import Declaration
from components.example_files import ExampleFile, files_of, read_pickle
from components.peak_memory import give_back
from components.transform import chunks
from components.transform.analyser import analyse
from components.transform.collect import first_refreshed_day
from components.transform.passes import (
    DAYS,
    KEYS,
    MERGED,
    PARTIALS,
    TABLES,
    FindDays,
    MergePartition,
    ReduceFile,
    TransformFile,
    Work,
    merged_partials,
)
from components.transform.preprocessing import check_history, check_schema, preprocessing_fn
from components.transform.reading import used_columns
from components.transform.serving_graph import TableVariables
from components.transform.tables import Tables
from components.transform.transform_plan import make_plan
from components.worker_errors import in_driver

PREPROCESSING_FN = "components.transform.preprocessing.preprocessing_fn"
PRIOR_STATE = "prior_state"
STATE = "state"


class StatefulExecutor(base_beam_executor.BaseBeamExecutor):
    """Analyses some splits and transforms some, see `component.StatefulTransform`."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the passes.

        The folders of the states are no parameters of the component: its cache key has what the prior state is, not
        where.

        Args:
          input_dict: `examples`, `schema`, and `prior_state`, if there is one.
          output_dict: `transform_graph`, `transformed_examples`, and `state`, if it is wanted.
          exec_properties: `splits_config`; `custom_config`, JSON with `declaration` and `one_day`.

        Raises:
          InputError: the schema lacks a declared column; a setting is not available; the history would be too wide.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = json_utils.loads(exec_properties["custom_config"])
        splits = transform_pb2.SplitsConfig()
        json_format.Parse(exec_properties["splits_config"], splits)
        folder = f"{self._get_tmp_dir().rstrip('/')}/transform"
        graph = artifact_utils.get_single_uri(output_dict["transform_graph"])
        transformed = artifact_utils.get_single_instance(output_dict["transformed_examples"])
        transformed.split_names = artifact_utils.encode_split_names(list(splits.transform))
        prior, state = input_dict.get(PRIOR_STATE), output_dict.get(STATE)
        schema = io_utils.SchemaReader().read(
            io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
        )
        features = schema_utils.schema_as_feature_spec(schema).feature_spec
        plan = make_plan(Declaration.from_json(config["declaration"]), one_day=config.get("one_day", False))
        check_schema(features, plan)
        features = {name: features[name] for name in used_columns(plan)}
        examples = input_dict["examples"]
        analysed, transforming = (files_of(examples, names) for names in (splits.analyze, splits.transform))
        work = Work(
            plan,
            {name: feature.dtype for name, feature in features.items()},
            folder,
            artifact_utils.get_single_uri(prior) if prior else "",
            chunks.partitions_for(sum(tf.io.gfile.stat(file.path).length for file in analysed)),
        )
        paths = {file.path for file in (*analysed, *transforming)}
        run = _tidy(runner_for(sorted(paths), self._make_beam_pipeline, self._beam_pipeline_args or ()))
        with in_driver(folder):
            tables = _analysis(
                run,
                work,
                analysed,
                artifact_utils.get_single_uri(state) if state else "",
            )
            variables = TableVariables(tables, tables.key_table(work.keys))
            metadata_io.write_metadata(
                dataset_metadata.DatasetMetadata(schema), f"{graph}/{tft.TFTransformOutput.RAW_METADATA_DIR}"
            )
            impl_helper.analyze_in_place(
                _once(
                    lambda inputs: preprocessing_fn(
                        inputs, {**config, "tables": tables, "variables": variables}
                    ),
                    graph,
                ),
                False,
                features,
                impl_helper.get_type_specs_from_feature_specs(features),
                graph,
            )
            variables.release()
            give_back()
        with in_driver(transformed.uri):
            uris = {split: artifact_utils.get_split_uri([transformed], split) for split in splits.transform}
            run(transforming, TransformFile(work, uris))
        fileio.rmtree(folder)


def _tidy(run: Runner) -> Runner:
    """Does jobs and leaves no freed memory behind."""

    def done(elements: Sequence[Any], work: beam.DoFn) -> None:
        run(elements, work)
        give_back()

    give_back()
    return done


def _once(trace: Callable[[Any], dict[str, Any]], graph: str) -> Callable[[Any], dict[str, Any]]:
    """A function to trace until the graph lies in its folder.

    TensorFlow Transform traces it again for what it has said of its outputs beside their shapes, which is nothing.
    """
    written = f"{graph}/{tft.TFTransformOutput.TRANSFORM_FN_DIR}/saved_model.pb"
    return lambda inputs: {} if fileio.exists(written) else trace(inputs)


def _analysis(run: Runner, work: Work, files: list[ExampleFile], state: str) -> Tables:
    """Reduces the files to the tables, which are left in a file too."""
    plan, folder = work.plan, work.folder
    if fileio.exists(folder):
        fileio.rmtree(folder)
    for kind in (DAYS, PARTIALS, MERGED, KEYS):
        fileio.makedirs(f"{folder}/{kind}")
    until = None
    if plan.refreshed_days:
        run(files, FindDays(work))
        days = [day for file in files for day in read_pickle(f"{folder}/{DAYS}/{file.index:06d}")]
        until = first_refreshed_day(days, plan.refreshed_days)
    run(files, ReduceFile(work, until))
    run(range(work.partitions), MergePartition(work, len(files)))
    tables = analyse(
        merged_partials(work), plan, work.keys, f"{folder}/assets", work.prior_state, state, work.partitions
    )
    check_history(tables, plan)
    with fileio.open(f"{folder}/{TABLES}", "wb") as stream:
        stream.write(tables.to_bytes())
    logging.info("analysed %d files", len(files))
    return tables
