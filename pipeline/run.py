"""`dfei run`: from a declaration and a data folder to an evaluated and pushed model, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.dataset.memory_estimate import require_memory
from components.trainer.multi_worker import check_chief
from pipeline.beam_runner import beam_args
from pipeline.garbage import collect_seldom
from pipeline.layout import RunLayout
from pipeline.memory import machine_memory
from pipeline.metadata_store import check_metadata, parse_metadata
from pipeline.request import RunRequest, data_dir, declared, make_writable
from pipeline.root_lock import root_lock

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.report.summary import RunSummary


def run(request: RunRequest, console: Console) -> RunSummary:
    """Runs the pipeline and writes `metrics.json`, `run.json` and `report.html`.

    Args:
      request: what to run.
      console: where progress and the result are shown.

    Returns:
      The summary; `blessed` and `pushed_to` say how it ended, `reasons` which gate refused the data or the model.

    Raises:
      InputError: the data, the declaration or a setting is wrong.
    """
    declaration = declared(request.dataset, request.overrides, request.model)
    require_memory(declaration, machine_memory(), "this machine")
    if declaration.training.strategy == "multi_worker":
        check_chief()
    engine = beam_args(request.beam_runner, request.beam_options)
    server = parse_metadata(request.metadata) if request.metadata is not None else None
    if server is not None:
        check_metadata(server)
    layout = RunLayout(request.root.resolve())
    make_writable(layout.root)
    with root_lock(layout.lock):
        data = data_dir(request.data, declaration, layout)
        collect_seldom()
        from pipeline.execute import execute

        collect_seldom()
        return execute(request, declaration, data, layout, engine, server, console)
