"""From when on a domain must be read so that it has only so many rows before the evaluation."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from components.dataset.declaration import Declaration
from components.dataset.impressions import read_piece
from components.dataset.names import LOCAL_TIME
from components.dataset.read_plan import cut, plan_reading
from components.errors import InputError
from components.example_gen.scan import days
from components.progress import Progress, report


def setting(declaration: Declaration, data: Path, domains: Sequence[str], seen: int) -> str:
    """The setting with which some domains have their last `seen` rows before the evaluation, and no others.

    Rows of the same millisecond stay together. A domain that has fewer keeps what it has.

    Args:
      declaration: the data set.
      data: the folder with its files.
      domains: values of the domain.
      seen: rows of each, at least 0.

    Returns:
      `split.domains_since=...`.

    Raises:
      InputError: a domain has no row, the log too few days, or its files are not usable.
    """
    plan = plan_reading(declaration, str(data))
    times: defaultdict[str, list[npt.NDArray[np.int64]]] = defaultdict(list)
    found: set[int] = set()
    rows = 0
    for piece in cut(plan):
        for block in read_piece(plan, piece):
            accepted = block.typed.filter(pl.Series(block.accepted))
            found.update(days(accepted, declaration.split.day_ms).unique().to_list())
            names = accepted[declaration.domain].cast(pl.String)
            for domain in domains:
                times[domain].append(accepted.filter(names == domain)[LOCAL_TIME].to_numpy())
            rows += len(accepted)
            report(Progress("reading when domains have their rows", rows))
    if len(found) <= declaration.split.eval_days:
        raise InputError(
            f"{data}: rows of {len(found)} {declaration.split.day_word}, of which split.eval_days = "
            f"{declaration.split.eval_days} evaluate: none is left to train on"
        )
    start = sorted(found)[-declaration.split.eval_days] * declaration.split.day_ms
    return "split.domains_since=" + json.dumps(
        {domain: _since(np.concatenate(times[domain]), start, seen, domain, data) for domain in domains}
    )


def _since(times: npt.NDArray[np.int64], start: int, seen: int, domain: str, data: Path) -> str:
    if not len(times):
        raise InputError(f"--hold {domain}: {data}: no row of this domain")
    before = np.sort(times[times < start])
    first = int(before[-min(seen, len(before))]) if seen and len(before) else start
    return (datetime(1970, 1, 1) + timedelta(milliseconds=first)).isoformat()
