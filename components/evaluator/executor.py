"""The executor of FileEvaluator: files are scored wherever Beam runs, TFMA judges the scores here.

TFMA's own graph takes every example through 34 stages and 12 shuffles, for which an engine of many machines starts
harnesses at each. What grows with the data is reading examples and asking models; what is left of a row then is some
40 bytes.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_model_analysis import constants as names
from tensorflow_model_analysis.utils import config_util
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as evaluator_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils, path_utils, proto_utils

from components.beam_jobs import IN_THIS_PROCESS, runner_for
from components.evaluator import held
from components.evaluator.extractors import kept_columns, slicing
from components.evaluator.scoring import Judged, Scored, ScoreFile, scored_path
from components.example_files import files_of, read_pickle
from components.worker_errors import in_driver


class Executor(evaluator_executor.Executor):
    """Leaves what TFX's own executor leaves: TFMA's results, and the blessing.

    A subclass of it, since TFX's container on Kubeflow names models as the cluster knows them in its blessings alone.
    """

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates.

        Args:
          input_dict: `examples`, `schema`, `model`, and `baseline_model`, if there is one.
          output_dict: `evaluation`, `blessing`.
          exec_properties: `eval_config`, as `config.eval_config` makes it, and `example_splits`.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = _configured(
            exec_properties[standard_component_specs.EVAL_CONFIG_KEY],
            bool(input_dict.get(standard_component_specs.BASELINE_MODEL_KEY)),
        )
        schema = io_utils.SchemaReader().read(
            io_utils.get_only_uri_in_dir(
                artifact_utils.get_single_uri(input_dict[standard_component_specs.SCHEMA_KEY])
            )
        )
        models = {
            spec.name: Judged(_saved_model(spec, input_dict), spec.is_baseline) for spec in config.model_specs
        }
        splits = json_utils.loads(exec_properties[standard_component_specs.EXAMPLE_SPLITS_KEY])
        files = files_of(input_dict[standard_component_specs.EXAMPLES_KEY], splits)
        evaluation = artifact_utils.get_single_uri(output_dict[standard_component_specs.EVALUATION_KEY])
        folder = f"{self._get_tmp_dir().rstrip('/')}/evaluation"
        with in_driver(folder):
            fileio.makedirs(folder)
            run = runner_for(
                [file.path for file in files], self._make_beam_pipeline, self._beam_pipeline_args or ()
            )
            run(
                files,
                ScoreFile(models, config.model_specs[0].label_key, kept_columns(config), schema, folder),
            )
            _judge([scored_path(folder, file.index) for file in files], config, models, evaluation)
        fileio.rmtree(folder)
        _bless(evaluation, input_dict, output_dict, exec_properties)


def _configured(text: str, has_baseline: bool) -> tfma.EvalConfig:
    """With TFMA's defaults; without a baseline nothing is asked of a change."""
    given = tfma.EvalConfig()
    proto_utils.json_to_proto(text, given)
    config = config_util.update_eval_config_with_defaults(given, has_baseline=has_baseline, rubber_stamp=True)
    config_util.verify_eval_config(config)
    return config


def _saved_model(spec: tfma.ModelSpec, input_dict: dict[str, list[types.Artifact]]) -> str:
    key = (
        standard_component_specs.BASELINE_MODEL_KEY
        if spec.is_baseline
        else standard_component_specs.MODEL_KEY
    )
    model = artifact_utils.get_single_instance(input_dict[key])
    return str(path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)))


def _judge(paths: list[str], config: tfma.EvalConfig, models: dict[str, Judged], output: str) -> None:
    """TFMA's metrics and validations of scored rows."""
    shared = [
        tfma.default_eval_shared_model(
            eval_saved_model_path=model.path, model_name=name, eval_config=config, add_metrics_callbacks=None
        )
        for name, model in models.items()
    ]
    with held.by_reference(), beam.Pipeline(options=PipelineOptions(list(IN_THIS_PROCESS))) as pipeline:
        _ = (
            pipeline
            | "Scored" >> beam.Create(paths, reshuffle=False)
            | "Read" >> beam.FlatMap(read_scored)
            | tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=shared[0] if len(shared) == 1 else shared,
                eval_config=config,
                extractors=[slicing(config)],
                output_path=output,
            )
        )


def read_scored(path: str) -> list[dict[str, Any]]:
    """Scored rows as TFMA's extracts, a batch each."""
    batches: list[Scored] = read_pickle(path)
    return [
        {
            names.LABELS_KEY: batch.label,
            names.PREDICTIONS_KEY: batch.predictions
            if len(batch.predictions) > 1
            else next(iter(batch.predictions.values())),
            names.FEATURES_KEY: batch.columns,
        }
        for batch in batches
    ]


def _bless(
    evaluation: str,
    input_dict: dict[str, list[types.Artifact]],
    output_dict: dict[str, list[types.Artifact]],
    exec_properties: dict[str, Any],
) -> None:
    """The blessing, or its refusal, as TFX's own executor leaves it."""
    blessing = artifact_utils.get_single_instance(output_dict[standard_component_specs.BLESSING_KEY])
    [model] = input_dict[standard_component_specs.MODEL_KEY]
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    for baseline in input_dict.get(standard_component_specs.BASELINE_MODEL_KEY) or ():
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
    if "current_component_id" in exec_properties:
        blessing.set_string_custom_property("component_id", exec_properties["current_component_id"])
    passed = writer.load_and_deserialize_validation_result(evaluation).validation_ok
    name, value = (
        (constants.BLESSED_FILE_NAME, constants.BLESSED_VALUE)
        if passed
        else (constants.NOT_BLESSED_FILE_NAME, constants.NOT_BLESSED_VALUE)
    )
    io_utils.write_string_file(f"{blessing.uri.rstrip('/')}/{name}", "")
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
