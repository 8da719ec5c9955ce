"""`dfei compare`: from a declaration and a data folder to models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.compare.request import CompareRequest, checked
from pipeline.place import place

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
    with place(request, declaration, console) as where:
        from pipeline.compare.execute import execute

        return execute(request, variants, declaration, where)
