"""Python's search for unreachable cycles, made seldom."""

from __future__ import annotations

import gc

_OBJECTS_BETWEEN = 50_000


def collect_seldom() -> None:
    """Has the collector leave alone what is there now, and look at new objects a hundred times less often.

    A run makes hundreds of thousands of objects that live to its end, first modules, then graphs: to walk through them
    again and again was a third of the time that tracing and exporting took.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN)
