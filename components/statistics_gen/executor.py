"""The executor of FileStatisticsGen: a pass over the files, and what they leave put together in their order."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from tensorflow_data_validation.statistics import stats_options
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import json_utils

from components.beam_jobs import runner_for
from components.example_files import ExampleFile, files_of, read_batches, read_pickle, write_pickle
from components.progress import Progress, report
from components.statistics_gen.accumulated import Accumulated
from components.worker_errors import in_driver, in_worker

# Where TFX's own StatisticsGen puts a split's statistics.
FILE = "FeatureStats.pb"


class MeasureFile(beam.DoFn):
    """The statistics of one file, as TFDV's generators accumulate them.

    Args:
      folder: for intermediate files; all workers share it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._done = 0

    def process(self, file: ExampleFile) -> list[None]:
        """Writes what was accumulated."""
        with in_worker(self._folder):
            found = Accumulated(stats_options.StatsOptions())
            for batch in read_batches(file.path):
                found.add(batch)
                self._done += batch.num_rows
                report(Progress("counting values", self._done))
            write_pickle(f"{self._folder}/{file.index:06d}", found.accumulators)
        return []


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes `FeatureStats.pb` of every split, as TFX's own executor does."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the pass.

        Args:
          input_dict: `examples`.
          output_dict: `statistics`.
          exec_properties: `exclude_splits`, JSON; `code` only keys the cache.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        excluded = json_utils.loads(exec_properties["exclude_splits"])
        splits = [
            name for name in artifact_utils.decode_split_names(examples.split_names) if name not in excluded
        ]
        statistics.split_names = artifact_utils.encode_split_names(splits)
        statistics.span = examples.span
        folder = f"{self._get_tmp_dir().rstrip('/')}/statistics"
        files = files_of([examples], splits)
        with in_driver(folder):
            fileio.makedirs(folder)
            paths = [file.path for file in files]
            run = runner_for(paths, self._make_beam_pipeline, self._beam_pipeline_args or ())
            run(files, MeasureFile(folder))
            for split in splits:
                found = Accumulated(stats_options.StatsOptions())
                for file in files:
                    if file.split == split:
                        found.merge(read_pickle(f"{folder}/{file.index:06d}"))
                uri = artifact_utils.get_split_uri([statistics], split)
                fileio.makedirs(uri)
                with fileio.open(f"{uri}/{FILE}", "wb") as stream:
                    stream.write(found.result().SerializeToString(deterministic=True))
            fileio.rmtree(folder)
