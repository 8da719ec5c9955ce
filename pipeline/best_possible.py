"""What the true click probabilities of a simulated feed reach on the days that a run is evaluated on."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from components.dataset.declaration import DAY_MS, Declaration


def best_possible(data: Path, declaration: Declaration) -> dict[str, Any] | None:
    """The scores as a document (`pipeline.simulate.BestPossible.to_dict`), or `None` where they are not known.

    They are known for a simulated feed whose days are calendar days and which ends with a whole one.

    Args:
      data: the folder with the impression files.
      declaration: whose split says which days those are.
    """
    split = declaration.split
    if not (data / "truth.json").is_file() or split.day_ms != DAY_MS:
        return None
    from pipeline.simulate import best_possible_auc, read_facts
    from pipeline.simulate.settings import FIRST_DAY

    days = None
    if split.before is not None:
        length = split.before - datetime.datetime.fromisoformat(FIRST_DAY)
        days = length.days
        if length % datetime.timedelta(days=1) and days < read_facts(data).settings.days:
            return None
    return best_possible_auc(
        data, eval_days=split.eval_days, min_rows=declaration.evaluation.min_rows, days=days
    ).to_dict()
