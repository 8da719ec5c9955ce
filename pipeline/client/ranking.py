"""Ranking requests: one user, many candidates, one or more domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.client import tensors
from pipeline.client.tensors import Array


def ranking_inputs(
    user: Mapping[str, Any], items: Mapping[str, Any], domains: Mapping[str, Any]
) -> tuple[dict[str, Array], tuple[int, int]]:
    """The inputs of one ranking request, and its numbers of domains and candidates.

    Args:
      user: one value per feature.
      items: one value per candidate and feature.
      domains: the domain's column with one or more domains.

    Returns:
      Arrays (1, 1), (1, candidates) and (1, domains), in this order.

    Raises:
      ValueError: a feature has too many values or occurs twice, there is not one domain column, or there is no
        candidate.
    """
    if len(domains) != 1:
        raise ValueError(f"domains is the domain's column alone, got {sorted(domains) or 'nothing'}")
    twice = sorted((user.keys() & items.keys()) | (domains.keys() & (user.keys() | items.keys())))
    if twice:
        raise ValueError(f"given twice: {', '.join(twice)}")
    rows = {name: _row(name, values) for name, values in (*user.items(), *items.items(), *domains.items())}
    for name in user:
        if rows[name].shape[1] != 1:
            raise ValueError(f"{name!r} is the user's: expected one value, got {rows[name].shape[1]}")
    candidates = max((rows[name].shape[1] for name in items), default=0)
    if not candidates:
        raise ValueError("there is no candidate: items has no feature with a value")
    for name in items:
        if rows[name].shape[1] != candidates:
            raise ValueError(f"{name!r} has {rows[name].shape[1]} values for {candidates} candidates")
    [domain] = domains
    return rows, (rows[domain].shape[1], candidates)


def _row(name: str, values: Any) -> Array:
    array = np.atleast_1d(tensors.as_array(values))
    if array.ndim != 1:
        raise ValueError(f"{name!r}: expected a list of values, got the shape {array.shape}")
    return array[None]
