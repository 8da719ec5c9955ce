"""`dfei run`: from a declaration and a data folder to an evaluated and pushed model, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.garbage import collect_seldom
from pipeline.place import place
from pipeline.request import RunRequest, declared

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.report.summary import RunSummary


def explain(request: RunRequest, console: Console) -> None:
    """Prints what Beam jobs the run would start, and what they need; nothing runs, and no engine need be there.

    Args:
      request: what would be run.
      console: where it is printed.

    Raises:
      InputError: as `run`.
    """
    declaration = declared(request.dataset, request.overrides, request.model)
    with place(request, declaration, console, connect=False) as where:
        from pipeline.engine_plan import planned, show

        show(planned(declaration, str(where.data)), where.engine, declaration, console)


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
    with place(request, declaration, console) as where:
        from pipeline.execute import execute

        collect_seldom()
        return execute(request, declaration, where)
