"""`dfei compare`: from a declaration and a data folder to models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.beam_runner import beam_args
from pipeline.compare.request import CompareRequest, checked
from pipeline.layout import RunLayout
from pipeline.request import data_dir, make_writable
from pipeline.root_lock import root_lock

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.compare.collect import Evidence
    from pipeline.compare.result import Comparison


def compare(request: CompareRequest, console: Console) -> tuple[Comparison, Evidence]:
    """Runs the comparison and writes `comparison.json` and `comparison.html`.

    Args:
      request: what to compare.
      console: where progress and the table are shown.

    Returns:
      The result, and the scores that it comes from.

    Raises:
      InputError: the data, the declaration, a model's name or a setting is wrong.
      GateError: the data does not fit its schema, or a model diverged.
    """
    variants, declaration = checked(request)
    layout = RunLayout(request.root.resolve())
    make_writable(layout.root)
    with root_lock(layout.lock):
        data = data_dir(request.data, declaration, layout)
        from pipeline.compare.execute import execute

        return execute(request, variants, declaration, data, layout, beam_args("direct"), console)
