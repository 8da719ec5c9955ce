"""Which values get an id, and which are counted on for the days to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.transform.chunks import Chunk
from components.transform.state import WAITING
from components.transform.transform_plan import DAY_MS, TransformPlan


@dataclass(frozen=True)
class Vocabularies:
    """The vocabularies of a plan, the domain's first.

    Attributes:
      keys: sorted, int64 (V,). ids: 1 and up within each vocabulary, int32 (V,).
      sizes: known values of each vocabulary, int32.
      domain_hashes, domain_rows: of the domains in the order of their ids, int64 (D,).
      rows: (feature, id, count, text) of every value.
      counted: what a state keeps: the values with an id, and others that may get one.
      report: by feature: `values` with an id, others `waiting` for enough rows or for room, those `dropped` because
        they are too many even to wait, and `expired` ones.
    """

    keys: np.ndarray
    ids: np.ndarray
    sizes: np.ndarray
    domain_hashes: np.ndarray
    domain_rows: np.ndarray
    rows: list[tuple[str, int, int, str]]
    counted: Chunk
    report: dict[str, dict[str, int]]


def build_vocabularies(plan: TransformPlan, counted: Chunk, latest: int) -> Vocabularies:
    """Gives ids to the most frequent values: `min_count` rows or more, `max_size` values at most.

    Args:
      plan: the plan.
      counted: every value with its rows, as `chunks.merge_counts` makes them.
      latest: local time of the newest row in ms: values that were not seen for `expire_days` before it are forgotten.
    """
    keys, ids, sizes, rows, kept = [], [], [], [], []
    report: dict[str, dict[str, int]] = {}
    fresh = np.ones(len(counted["key"]), bool)
    if plan.expire_ms is not None:
        fresh = counted["last"] >= (latest - plan.expire_ms) // DAY_MS
    domain_hashes = domain_rows = np.zeros(0, np.int64)
    for index, vocabulary in enumerate(plan.vocabularies):
        every = counted["column"] == index
        mine = np.flatnonzero(every & fresh)
        mine = mine[np.lexsort((counted["hash"][mine], -counted["count"][mine]))]
        # Among values with as many rows those seen last are likelier to come again.
        likely = mine[np.lexsort((counted["hash"][mine], -counted["last"][mine], -counted["count"][mine]))]
        kept.append(mine if vocabulary.max_size is None else likely[: WAITING * vocabulary.max_size])
        found = len(mine)
        mine = mine[counted["count"][mine] >= vocabulary.min_count][: vocabulary.max_size]
        if index == 0:
            domain_hashes, domain_rows = counted["hash"][mine], counted["count"][mine]
        report[vocabulary.name] = {
            "values": len(mine),
            "waiting": len(kept[-1]) - len(mine),
            "dropped": found - len(kept[-1]),
            "expired": int((every & ~fresh).sum()),
        }
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
        report,
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
