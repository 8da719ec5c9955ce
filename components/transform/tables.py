"""The result of the analysis: every table that the graph looks things up in, and what people read about them."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.errors import InputError
from components.transform import chunks
from components.transform.chunks import Chunk
from components.transform.collect import Partial, prune_key
from components.transform.moving_averages import DomainAverages, decayed_sums, domain_averages
from components.transform.target_encoding import KeyTable, learn_shrinkage
from components.transform.transform_plan import DOMAIN_PARENT, TransformPlan


@dataclass(frozen=True)
class Tables:
    """Arrays for lookup; `T` buckets, `D` domains, `F` behaviours, `K` keys of averages.

    Attributes:
      vocabulary_keys: sorted, int64 (V,). vocabulary_ids: 1 and up within each vocabulary, int32 (V,).
      vocabulary_sizes: known values of each vocabulary, int32.
      quantiles: sorted boundaries of each `buckets` feature, padded with +inf, float32 (Q, b).
      mean, deviation: of the normalised features, float32 (N,).
      buckets: numbers of the time buckets that have training rows, int64 (T,).
      latest: local time in ms of the last of these rows, int64 (1,).
      domain_hashes: hash of each domain's value, int64 (D,).
      domain_averages: `DomainAverages.as_of`, float32 (T + 1, D + 1, F). domain_known: float32 (T + 1, D + 1).
      overall, spread: centre and unit of the averages as of each bucket, float32 (T + 1, F).
      keys, key_buckets, states, missing: of `KeyTable`.
      strength: float32 (K, T + 1, F). count_scale: float32 (K,).
      assets: paths of the files that belong to the graph.
    """

    vocabulary_keys: np.ndarray
    vocabulary_ids: np.ndarray
    vocabulary_sizes: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    buckets: np.ndarray
    latest: np.ndarray
    domain_hashes: np.ndarray
    domain_averages: np.ndarray
    domain_known: np.ndarray
    overall: np.ndarray
    spread: np.ndarray
    keys: np.ndarray
    key_buckets: np.ndarray
    states: np.ndarray
    missing: np.ndarray
    strength: np.ndarray
    count_scale: np.ndarray
    assets: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.str_))

    def to_bytes(self) -> bytes:
        """An uncompressed `.npz`."""
        stream = io.BytesIO()
        np.savez(stream, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Tables:
        """What `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in dataclasses.fields(cls)})


@dataclass(frozen=True)
class Analysis:
    """Tables and what is written beside them for readers.

    Attributes:
      tables: for the graph.
      summary: sizes, domains, keys and what was dropped; see `row_layout` and `domain_curves`.
      domain_curves: the domain's moving averages after every bucket, as arrays of an `.npz`.
      vocabulary: rows (feature, id, count, text).
    """

    tables: Tables
    summary: dict[str, Any]
    domain_curves: dict[str, np.ndarray]
    vocabulary: list[tuple[str, int, int, str]]


@dataclass(frozen=True)
class _Vocabularies:
    keys: np.ndarray
    ids: np.ndarray
    sizes: np.ndarray
    domain_hashes: np.ndarray
    domain_rows: np.ndarray
    rows: list[tuple[str, int, int, str]]


def build_tables(plan: TransformPlan, partials: Sequence[Partial]) -> Analysis:
    """Puts the merged partial results of all partitions together.

    Raises:
      InputError: there is no training row with a domain.
    """
    by_kind: dict[tuple[str, int], list[Partial]] = {}
    for partial in partials:
        by_kind.setdefault((partial.name, partial.index), []).append(partial)
    if ("sample", 0) not in by_kind:
        raise InputError("the split `train` has no row: check split.eval_days and the impression files")
    vocabularies = _vocabularies(plan, _joined(by_kind[("vocabulary", 0)], "counts"))
    if len(vocabularies.domain_hashes) == 0:
        raise InputError(f"no training row has a value of the domain {plan.vocabularies[0].name}")
    moments = _joined(by_kind[("moments", 0)], "moments")
    sample = _joined(by_kind[("sample", 0)], "sample")
    variance = moments["m2"][0] / np.maximum(moments["count"][0], 1.0)
    averages, buckets = _domain_averages(plan, by_kind, vocabularies, sample)
    table, kept = _key_table(plan, by_kind, buckets, averages, vocabularies.domain_hashes)
    domain = _indices(vocabularies.domain_hashes, sample["hashes"][:, _domain_column(plan)])
    at = np.searchsorted(buckets, sample["bucket"])
    shrinkage = learn_shrinkage(
        plan,
        table,
        sample["hashes"],
        at,
        sample["behaviours"],
        averages.as_of[at, domain + 1],
        averages.spread,
    )
    tables = Tables(
        vocabulary_keys=vocabularies.keys,
        vocabulary_ids=vocabularies.ids,
        vocabulary_sizes=vocabularies.sizes,
        quantiles=_quantiles(plan, sample["numbers"]),
        mean=moments["mean"][0].astype(np.float32),
        deviation=np.where(variance > 0, np.sqrt(variance), 1.0).astype(np.float32),
        buckets=buckets,
        latest=_joined(by_kind[("latest", 0)], "latest")["time"],
        domain_hashes=vocabularies.domain_hashes,
        domain_averages=averages.as_of.astype(np.float32),
        domain_known=averages.known.astype(np.float32),
        overall=averages.overall.astype(np.float32),
        spread=averages.spread.astype(np.float32),
        keys=table.keys,
        key_buckets=table.key_buckets,
        states=table.states,
        missing=table.missing,
        strength=shrinkage.strength.astype(np.float32),
        count_scale=shrinkage.count_scale.astype(np.float32),
    )
    domains = [text for name, _, _, text in vocabularies.rows[: len(vocabularies.domain_hashes)]]
    for entry, last in zip(kept, shrinkage.strength[:, -1], strict=True):
        entry["strength"] = dict(zip(plan.behaviours, last.tolist(), strict=True))
    summary = {
        "vocabularies": dict(
            zip([v.name for v in plan.vocabularies[1:]], vocabularies.sizes[1:].tolist(), strict=True)
        ),
        "domains": domains,
        "domain_rows": vocabularies.domain_rows.tolist(),
        "behaviours": list(plan.behaviours),
        "average_keys": kept,
        "average_scales": {
            "centre": averages.overall[-1].tolist(),
            "unit": averages.spread[-1].tolist(),
            "count": shrinkage.count_scale.tolist(),
        },
    }
    history = {
        "domains": np.array(domains, np.str_),
        "bucket_start_ms": buckets * plan.bucket_ms,
        "behaviours": np.array(plan.behaviours, np.str_),
        "averages": averages.after.transpose(1, 0, 2).astype(np.float32),
        "rows": averages.rows.T.astype(np.int64),
    }
    return Analysis(tables, summary, history, vocabularies.rows[len(domains) :])


def summary_json(summary: dict[str, Any]) -> str:
    """The summary as text."""
    return json.dumps(summary, indent=1, ensure_ascii=False)


def _joined(partials: Sequence[Partial], merge: str) -> Chunk:
    return chunks.MERGE[merge]([partial.chunk for partial in partials])


def _domain_column(plan: TransformPlan) -> int:
    return plan.sources[plan.vocabularies[0].source].offset


def _indices(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Position of each wanted value in unsorted `values`, -1 where absent."""
    order = np.argsort(values)
    at = np.minimum(np.searchsorted(values[order], wanted), len(values) - 1)
    return np.where(values[order][at] == wanted, order[at], -1)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _vocabularies(plan: TransformPlan, counted: Chunk) -> _Vocabularies:
    keys, ids, sizes, rows = [], [], [], []
    domain_hashes = domain_rows = np.zeros(0, np.int64)
    for index, vocabulary in enumerate(plan.vocabularies):
        mine = np.flatnonzero((counted["column"] == index) & (counted["count"] >= vocabulary.min_count))
        mine = mine[np.lexsort((counted["hash"][mine], -counted["count"][mine]))][: vocabulary.max_size]
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
    return _Vocabularies(
        joined[order], numbers[order], np.array(sizes, np.int32), domain_hashes, domain_rows, rows
    )


def _quantiles(plan: TransformPlan, numbers: np.ndarray) -> np.ndarray:
    widest = max((buckets for _, buckets in plan.quantiles), default=1)
    edges = np.full((len(plan.quantiles), widest), np.inf, np.float32)
    for row, (_, buckets) in enumerate(plan.quantiles):
        values = numbers[:, row][~np.isnan(numbers[:, row])]
        if len(values):
            cuts = np.unique(np.quantile(values, np.arange(1, buckets) / buckets).astype(np.float32))
            edges[row, : len(cuts)] = cuts
    return edges


def _domain_averages(
    plan: TransformPlan,
    by_kind: dict[tuple[str, int], list[Partial]],
    vocabularies: _Vocabularies,
    sample: Chunk,
) -> tuple[DomainAverages, np.ndarray]:
    behaviours = len(plan.behaviours)
    partials = by_kind.get(("average", DOMAIN_PARENT), [])
    if not partials:
        buckets = np.unique(sample["bucket"])
        empty = np.zeros((0, behaviours))
        none = np.zeros(0, np.int64)
        shape = (len(buckets), len(vocabularies.domain_hashes))
        return domain_averages(none, none, none, empty, empty, empty, shape, plan.decay), buckets
    chunk = _joined(partials, "sums")
    buckets = np.unique(chunk["bucket"])
    # A domain that only rows to evaluate have is not one of the domains.
    known = _indices(vocabularies.domain_hashes, chunk["domain"]) >= 0
    chunk = {name: column[known] for name, column in chunk.items()}
    sums, missing, squares = np.split(chunk["values"], 3, axis=1)
    folded = domain_averages(
        _indices(vocabularies.domain_hashes, chunk["domain"]),
        np.searchsorted(buckets, chunk["bucket"]),
        chunk["rows"],
        sums,
        squares,
        chunk["rows"][:, None] - missing,
        (len(buckets), len(vocabularies.domain_hashes)),
        plan.decay,
    )
    return folded, buckets


def _key_table(
    plan: TransformPlan,
    by_kind: dict[tuple[str, int], list[Partial]],
    buckets: np.ndarray,
    averages: DomainAverages,
    domain_hashes: np.ndarray,
) -> tuple[KeyTable, list[dict[str, Any]]]:
    behaviours, kept, parts = len(plan.behaviours), [], []
    every: list[np.ndarray] = []
    decays: list[np.ndarray] = []
    for index, key in enumerate(plan.keys):
        partials = by_kind.get(("average", index), [])
        dropped = (sum(p.dropped[0] for p in partials), sum(p.dropped[1] for p in partials))
        values = 0
        if partials:
            joined = Partial("sums", "average", index, _joined(partials, "sums"), dropped)
            joined = prune_key(plan, joined, plan.max_keys)
            found = np.unique(joined.chunk["key"])
            dropped, values = joined.dropped, len(found)
            every.append(found)
            parts.append(joined.chunk)
            decays.append(np.full(values, key.decay))
        kept.append(
            {"key": key.name, "values": values, "dropped_values": dropped[0], "dropped_rows": dropped[1]}
        )
    if not parts:
        nothing = np.zeros((1, behaviours + 1), np.float32)
        lowest = np.array([np.iinfo(np.int64).min])
        no_missing = np.full(behaviours, -1)
        return KeyTable(lowest, np.array([-1]), nothing, no_missing, len(buckets)), kept
    chunk = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    at = np.searchsorted(buckets, chunk["bucket"])
    expected = averages.as_of[at + 1, _indices(domain_hashes, chunk["domain"]) + 1]
    sums, missing_rows = chunk["values"][:, :behaviours], chunk["values"][:, behaviours:]
    above = sums - (chunk["rows"][:, None] - missing_rows) * expected
    lacking = np.flatnonzero(missing_rows.any(axis=0))
    missing = np.full(behaviours, -1)
    missing[lacking] = behaviours + 1 + np.arange(len(lacking))
    columns = [above, chunk["rows"][:, None], missing_rows[:, lacking]]
    total = chunks.sum_by({"key": chunk["key"], "bucket": at}, chunk["rows"], np.concatenate(columns, axis=1))
    keys, position = np.unique(total["key"], return_inverse=True)
    # Keys of different kinds differ, so that sorting them together sorts their decays too.
    decay = np.concatenate(decays)[np.argsort(np.concatenate(every))]
    states = decayed_sums(total["key"], total["values"], decay[position]).astype(np.float32)
    key_buckets = position * (len(buckets) + 1) + total["bucket"]
    return KeyTable(keys, key_buckets.astype(np.int64), states, missing, len(buckets)), kept
