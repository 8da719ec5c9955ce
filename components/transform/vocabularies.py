"""Which values get an id, and which are counted on for the days to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.transform.chunks import Chunk
from components.transform.state import WAITING
from components.transform.transform_plan import TransformPlan


@dataclass(frozen=True)
class Vocabularies:
    """The vocabularies of a plan, the domain's first.

    Attributes:
      keys: sorted, int64 (V,). ids: 1 and up within each vocabulary, int32 (V,).
      sizes: known values of each vocabulary, int32.
      domain_hashes, domain_rows: of the domains in the order of their ids, int64 (D,).
      rows: (feature, id, count, text) of every value.
      counted: what a state keeps: the values with an id, and others that may get one.
    """

    keys: np.ndarray
    ids: np.ndarray
    sizes: np.ndarray
    domain_hashes: np.ndarray
    domain_rows: np.ndarray
    rows: list[tuple[str, int, int, str]]
    counted: Chunk


def build_vocabularies(plan: TransformPlan, counted: Chunk) -> Vocabularies:
    """Gives ids to the most frequent values: `min_count` rows or more, `max_size` values at most."""
    keys, ids, sizes, rows, kept = [], [], [], [], []
    domain_hashes = domain_rows = np.zeros(0, np.int64)
    for index, vocabulary in enumerate(plan.vocabularies):
        mine = np.flatnonzero(counted["column"] == index)
        mine = mine[np.lexsort((counted["hash"][mine], -counted["count"][mine]))]
        if vocabulary.max_size is None:
            kept.append(mine)
        else:
            kept.append(mine[: WAITING * vocabulary.max_size])
        mine = mine[counted["count"][mine] >= vocabulary.min_count][: vocabulary.max_size]
        if index == 0:
            domain_hashes, domain_rows = counted["hash"][mine], counted["count"][mine]
        keys.append(counted["key"][mine])
        ids.append(np.arange(1, len(mine) + 1))
        sizes.append(len(mine))
        texts = [_text(value) for value in counted["text"][mine]]
        entries = zip(ids[-1].tolist(), counted["count"][mine].tolist(), texts, strict=True)
        rows += [(vocabulary.name, *entry) for entry in entries]
    joined, numbers = np.concatenate(keys), np.concatenate(ids).astype(np.int32)
    order = np.argsort(joined)
    stays = np.sort(np.concatenate(kept))
    return Vocabularies(
        joined[order],
        numbers[order],
        np.array(sizes, np.int32),
        domain_hashes,
        domain_rows,
        rows,
        {name: values[stays] for name, values in counted.items()},
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
