"""The result of the analysis: every table that the graph looks things up in, and what people read about them."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.errors import InputError
from components.peak_memory import give_back
from components.transform import chunks, hashing
from components.transform.chunks import Chunk
from components.transform.collect import Partial, join
from components.transform.decay_choice import CANDIDATES, DecayState
from components.transform.key_states import KeyStates, KeySums, Look, fold_keys, no_keys
from components.transform.key_table import Store, StoredKeyTable
from components.transform.moving_averages import DomainAverages, DomainStart, domain_averages
from components.transform.state import BehaviourState, decays_of, disagreement, moment_text
from components.transform.target_encoding import SampledStates, learn_shrinkage
from components.transform.transform_plan import DOMAIN_PARENT, TransformPlan
from components.transform.vocabularies import build_vocabularies
from models.arrays import write_arrays


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
      key_sizes: of the parts of the keys' table, see `key_table.StoredKeyTable`. missing: of `KeyTable`.
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
    key_sizes: np.ndarray
    missing: np.ndarray
    strength: np.ndarray
    count_scale: np.ndarray
    assets: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.str_))

    def key_table(self, store: Store) -> StoredKeyTable:
        """The keys' table, whose parts are in the store."""
        return StoredKeyTable(store, self.key_sizes, self.missing, len(self.buckets))

    def to_bytes(self) -> bytes:
        """An uncompressed `.npz`."""
        stream = io.BytesIO()
        write_arrays(stream, {field.name: getattr(self, field.name) for field in dataclasses.fields(self)})
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
      tables: for the graph. keys: their largest.
      summary: sizes, domains, keys and what was dropped; see `row_layout` and `domain_curves`.
      domain_curves: the domain's moving averages after every bucket, as arrays of an `.npz`.
      vocabulary: rows (feature, id, count, text).
      state: what the next rows continue.
      vocabulary_report: see `Vocabularies`.
    """

    tables: Tables
    keys: StoredKeyTable
    summary: dict[str, Any]
    domain_curves: dict[str, np.ndarray]
    vocabulary: list[tuple[str, int, int, str]]
    state: BehaviourState
    vocabulary_report: dict[str, dict[str, int]]


def build_tables(
    plan: TransformPlan,
    partials: Sequence[Partial],
    store: Store,
    prior: BehaviourState | None = None,
    partitions: int = chunks.PARTITIONS,
) -> Analysis:
    """Puts the merged partial results of all partitions together, and continues what is known already by them.

    Args:
      plan: what is computed.
      partials: of the rows, those of the averages' keys excepted.
      store: has those, see `key_states.KeySums`; afterwards it has the parts of the keys' table too.
      prior: what is known of the time before them; by default nothing.
      partitions: how many there are.

    Raises:
      InputError: there is no training row with a domain; a row is older than what the state is closed for; the state
        was made with another declaration.
    """
    prior = BehaviourState.empty(plan) if prior is None else prior
    reason = disagreement(prior, plan)
    if reason is not None:
        raise InputError(
            f"the behaviour state was made with another declaration: {reason}. Start from nothing, or take the change "
            "back"
        )
    by_kind: dict[tuple[str, int], list[Partial]] = {}
    for partial in partials:
        by_kind.setdefault((partial.name, partial.index), []).append(partial)
    if ("vocabulary", 0) not in by_kind:
        raise InputError("the split `train` has no row: check split.eval_days and the impression files")
    latest = _joined(plan, by_kind, "latest", "latest", {"time": prior.latest})["time"]
    vocabularies = build_vocabularies(
        plan, _joined(plan, by_kind, "vocabulary", "counts", prior.counts), int(latest[0])
    )
    if len(vocabularies.domain_hashes) == 0:
        raise InputError(f"no training row has a value of the domain {plan.vocabularies[0].name}")
    moments = _joined(plan, by_kind, "moments", "moments", prior.moments)
    numbers = _joined(plan, by_kind, "numbers", "numbers", prior.numbers)
    sample = _joined(plan, by_kind, "sample", "sample", prior.sample)
    of_domains = _joined(plan, by_kind, "average", "sums", prior.open_domains, DOMAIN_PARENT)
    of_keys = KeySums(plan, store, partitions, prior)
    look = of_keys.look()
    buckets, first = _buckets(plan, by_kind, look, of_domains, prior, latest)
    averages = _domain_averages(plan, of_domains, prior, buckets, vocabularies.domain_hashes)
    elsewhere = _domain_averages(plan, of_domains, prior, buckets, ELSEWHERE)
    domains_of_rows = vocabularies.domain_hashes
    expected, happened = averages.as_of, bool(elsewhere.seen[-1].any())
    if happened:
        expected = np.concatenate([expected, elsewhere.as_of[:, 1:]], axis=1)
        domains_of_rows = np.concatenate([domains_of_rows, ELSEWHERE])
    at = np.searchsorted(buckets, sample["bucket"])
    sampled = SampledStates(plan, sample["hashes"], at, len(buckets), look.missing)
    keys = _key_states(of_keys, look, buckets, first, expected, domains_of_rows, int(latest[0]), sampled)
    give_back()
    domain = chunks.positions(vocabularies.domain_hashes, sample["hashes"][:, _domain_column(plan)])
    shrinkage = learn_shrinkage(
        plan,
        sampled,
        at,
        sample["behaviours"],
        averages.as_of[at, domain + 1],
        averages.spread,
        prior.losses,
        prior.log_counts,
    )
    variance = moments["m2"][0] / np.maximum(moments["count"][0], 1.0)

    def since(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[first : first + 1], values[first:]]).astype(np.float32)

    tables = Tables(
        vocabulary_keys=vocabularies.keys,
        vocabulary_ids=vocabularies.ids,
        vocabulary_sizes=vocabularies.sizes,
        quantiles=_quantiles(plan, numbers["numbers"]),
        mean=moments["mean"][0].astype(np.float32),
        deviation=np.where(variance > 0, np.sqrt(variance), 1.0).astype(np.float32),
        buckets=np.concatenate([buckets[:1], buckets[first:]]),
        latest=latest,
        domain_hashes=vocabularies.domain_hashes,
        domain_averages=since(averages.as_of),
        domain_known=since(averages.known),
        overall=since(averages.overall),
        spread=since(averages.spread),
        key_sizes=keys.sizes,
        missing=look.missing,
        strength=since(shrinkage.strength.transpose(1, 0, 2)).transpose(1, 0, 2),
        count_scale=shrinkage.count_scale.astype(np.float32),
    )
    domains = [text for name, _, _, text in vocabularies.rows[: len(vocabularies.domain_hashes)]]
    for entry, last in zip(keys.report, shrinkage.strength[:, -1], strict=True):
        entry["strength"] = dict(zip(plan.behaviours, last.tolist(), strict=True))
    summary = {
        "vocabularies": dict(
            zip([v.name for v in plan.vocabularies[1:]], vocabularies.sizes[1:].tolist(), strict=True)
        ),
        "domains": domains,
        "domain_rows": vocabularies.domain_rows.tolist(),
        "behaviours": list(plan.behaviours),
        "average_keys": keys.report,
        "average_scales": {
            "centre": averages.overall[-1].tolist(),
            "unit": averages.spread[-1].tolist(),
            "count": shrinkage.count_scale.tolist(),
        },
    }
    if averages.decays is not None:
        chosen = np.array(CANDIDATES)[averages.decays[1].chosen()]
        summary["domain_decays"] = dict(zip(domains, chosen.tolist(), strict=True))
    curves = {
        "domains": np.array(domains, np.str_),
        "bucket_start_ms": buckets[first:] * plan.bucket_ms,
        "behaviours": np.array(plan.behaviours, np.str_),
        "averages": averages.after[first:].transpose(1, 0, 2).astype(np.float32),
        "rows": averages.rows[first:].T.astype(np.int64),
    }
    newest = buckets[-1]
    state = BehaviourState(
        definitions=plan.definitions,
        latest=latest,
        counts=vocabularies.counted,
        moments=moments,
        numbers=numbers,
        domains={
            "key": domains_of_rows,
            "averages": np.concatenate([averages.after[-2], elsewhere.after[-2][:happened]]),
            "rows": np.concatenate([averages.seen[-2], elsewhere.seen[-2][:happened]]),
        },
        decays=_decays_of(averages, elsewhere, domains_of_rows, len(plan.behaviours)),
        totals=averages.totals[:, -2],
        keys=keys.keys,
        open_domains=_of_bucket(of_domains, newest),
        open_keys=keys.open_keys,
        sample=_of_bucket(sample, newest),
        losses=shrinkage.losses,
        log_counts=shrinkage.log_counts,
    )
    return Analysis(
        tables,
        tables.key_table(store),
        summary,
        curves,
        vocabularies.rows[len(domains) :],
        state,
        vocabularies.report,
    )


def state_summary(analysis: Analysis) -> dict[str, Any]:
    """What a state says of itself: until when, and how much."""
    state, summary = analysis.state, analysis.summary
    return {
        "until": moment_text(int(state.latest[0])),
        "domains": dict(zip(summary["domains"], summary["domain_rows"], strict=True)),
        "vocabularies": analysis.vocabulary_report,
        "average_keys": summary["average_keys"],
    }


def summary_json(summary: dict[str, Any]) -> str:
    """The summary as text."""
    return json.dumps(summary, indent=1, ensure_ascii=False)


def _joined(
    plan: TransformPlan,
    by_kind: Mapping[tuple[str, int], Sequence[Partial]],
    name: str,
    merge: str,
    before: Chunk,
    index: int = 0,
) -> Chunk:
    """What is known before and all partial results of one name as one chunk."""
    return join(plan, merge, [before, *(partial.chunk for partial in by_kind.get((name, index), ()))])


def _of_bucket(chunk: Chunk, bucket: int) -> Chunk:
    rows = chunk["bucket"] == bucket
    return {name: column[rows] for name, column in chunk.items()}


def _domain_column(plan: TransformPlan) -> int:
    return plan.sources[plan.vocabularies[0].source].offset


ELSEWHERE = np.array([hashing.MISSING])
"""The domain of events that have none."""
BEFORE = np.iinfo(np.int64).min
"""The number of the bucket that stands for all of the past."""


def _buckets(
    plan: TransformPlan,
    by_kind: Mapping[tuple[str, int], Sequence[Partial]],
    look: Look,
    of_domains: Chunk,
    prior: BehaviourState,
    latest: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Numbers of the buckets, `BEFORE` the first, and the index of the first that the rows are in."""
    numbers = [look.buckets, of_domains["bucket"], prior.open_keys["bucket"]]
    buckets = np.unique(np.concatenate([[BEFORE, int(latest[0]) // plan.bucket_ms], *numbers]))
    rows = [look.buckets, *(p.chunk["bucket"] for p in by_kind.get(("average", DOMAIN_PARENT), ()))]
    start = int(np.concatenate(rows).min(initial=buckets[-1]))
    if prior.latest[0] >= 0 and start < int(prior.latest[0]) // plan.bucket_ms:
        raise InputError(
            f"there are rows of {moment_text(start * plan.bucket_ms)}, but the averages are made up to "
            f"{moment_text(int(prior.latest[0]))}: rows come in the order of time. Make the earlier day again from the "
            "state before it, and the days after it"
        )
    return buckets, int(np.searchsorted(buckets, start))


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
    plan: TransformPlan, chunk: Chunk, prior: BehaviourState, buckets: np.ndarray, domain_hashes: np.ndarray
) -> DomainAverages:
    # A domain that only rows to evaluate have is not one of the domains.
    known = chunks.positions(domain_hashes, chunk["domain"]) >= 0
    chunk = {name: column[known] for name, column in chunk.items()}
    sums, missing, squares = np.split(chunk["values"], 3, axis=1)
    before = chunks.positions(prior.domains["key"], domain_hashes)
    nothing = np.full((1, len(plan.behaviours)), np.nan)
    decays = None
    if plan.decay is None:
        carried = {name: values for name, values in prior.decays.items() if name != "key"}
        decays = DecayState(**carried).of(chunks.positions(prior.decays["key"], domain_hashes))
    return domain_averages(
        chunks.positions(domain_hashes, chunk["domain"]),
        np.searchsorted(buckets, chunk["bucket"]),
        chunk["rows"],
        sums,
        squares,
        chunk["rows"][:, None] - missing,
        (len(buckets), len(domain_hashes)),
        plan.decay,
        DomainStart(
            np.concatenate([prior.domains["averages"], nothing])[before],
            np.append(prior.domains["rows"], 0.0)[before],
            prior.totals,
            decays,
        ),
    )


def _decays_of(
    averages: DomainAverages, elsewhere: DomainAverages, keys: np.ndarray, behaviours: int
) -> Chunk:
    """The state's `decays`, of the domains and of events without one where they have a key."""
    if averages.decays is None or elsewhere.decays is None:
        return decays_of(np.zeros(0, np.int64), [DecayState.empty(0, behaviours)])
    of_domains = averages.decays[0]
    more = len(keys) - len(of_domains.values)
    return decays_of(keys, [of_domains, elsewhere.decays[0].of(np.arange(more))])


def _key_states(
    sums: KeySums,
    look: Look,
    buckets: np.ndarray,
    first: int,
    expected: np.ndarray,
    domain_hashes: np.ndarray,
    latest: int,
    sampled: SampledStates,
) -> KeyStates:
    if not sums.plan.keys:
        return no_keys(sums, look, len(buckets) - first + 1)
    return fold_keys(sums, look, buckets, first, expected, domain_hashes, latest, sampled)
