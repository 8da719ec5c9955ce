"""Where a command with a root works: the root that it holds alone, the data, the engine, the metadata store."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import logging as absl_logging

from components.dataset.declaration import Declaration
from components.dataset.memory_estimate import require_memory
from components.trainer.multi_worker import check_chief
from pipeline.beam_runner import beam_args
from pipeline.garbage import collect_seldom
from pipeline.layout import RunLayout
from pipeline.memory import machine_memory
from pipeline.metadata_store import MetadataServer, check_metadata, parse_metadata
from pipeline.request import RunRequest, copy_schema, data_dir, make_writable
from pipeline.root_lock import root_lock

if TYPE_CHECKING:
    from rich.console import Console


@dataclasses.dataclass(frozen=True)
class Place:
    """Where pipelines run.

    Attributes:
      data: the folder with the impression files.
      layout: of the root.
      serving: the folder with a directory for each model, which TF Serving watches.
      engine: Beam's pipeline options.
      server: of the metadata; `None` for a file in the root.
      console: where progress and results are shown.
    """

    data: Path
    layout: RunLayout
    serving: Path
    engine: Sequence[str]
    server: MetadataServer | None
    console: Console

    @functools.cached_property
    def metadata(self) -> Any:
        """The metadata store's connection. Imports TFX: only once the request is known to be good."""
        if self.server is not None:
            from pipeline.metadata_store import open_store

            return open_store(self.server)
        from tfx.orchestration import metadata

        return metadata.sqlite_metadata_connection_config(str(self.layout.metadata))

    def settings(self, declaration: Declaration, data_fingerprint: str, served_as: str) -> dict[str, Any]:
        """What `pipeline.chain.ChainSettings` asks for.

        Args:
          declaration: of the pipeline.
          data_fingerprint: changes when the data changes.
          served_as: the name of the model's directory in `serving`.
        """
        return {
            "declaration": declaration,
            "data_dir": str(self.data),
            "data_fingerprint": data_fingerprint,
            "schema_file": str(copy_schema(declaration, self.layout)),
            "pipeline_root": str(self.layout.artifacts),
            "serving_dir": str(self.serving / served_as),
            "work_dir": str(self.layout.work),
            "beam_args": self.engine,
            "metadata": self.metadata,
        }


@contextmanager
def place(
    request: RunRequest, declaration: Declaration, console: Console, connect: bool = True
) -> Iterator[Place]:
    """Checks what was asked for, and holds the root for as long as the block runs.

    Args:
      request: what the user asked for.
      declaration: with the command line's settings.
      console: where progress and results are shown.
      connect: whether the engine is tried.

    Raises:
      InputError: the machine is too small, a place is wrong, or somebody else works with the root.
    """
    require_memory(declaration, machine_memory(), "this machine")
    if declaration.training.strategy == "multi_worker":
        check_chief()
    engine = beam_args(request.beam_runner, request.beam_options, connect=connect)
    server = parse_metadata(request.metadata) if request.metadata is not None else None
    if server is not None:
        check_metadata(server)
    layout = RunLayout(request.root.resolve())
    make_writable(layout.root)
    logging.getLogger().setLevel(logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    with root_lock(layout.lock):
        data = data_dir(request.data, declaration, layout)
        serving = request.serving.resolve() if request.serving else layout.serving
        collect_seldom()
        yield Place(data, layout, serving, engine, server, console)
