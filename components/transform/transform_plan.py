"""What Transform has to do for a declaration, worked out once: columns to hash, vocabularies, keys of averages.

The plan is plain Python: the TensorFlow graph, the Beam analyser and the readers of the result all follow it, so
that training, analysis and serving agree on every position.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from components.dataset.declaration import Declaration
from components.errors import InputError
from models.features import DOMAIN_KNOWN

DOMAIN_PARENT = -1
HISTORY_LIMIT = 4096
DAY_MS = 86_400_000
SAMPLED_A_DAY = 4096


@dataclass(frozen=True)
class Source:
    """A raw column that is hashed, or the ranges of one.

    Attributes:
      name: the column; of ranges their declared name.
      is_text: string (else a number).
      width: values of a row that are used; 1 where it is no list.
      offset: its first column in the matrix of hashes.
      column: of the inputs.
      edges: of ranges; what is hashed then is how many of them a number has reached. None: the value itself.
      is_list: whether a row may carry several values, be it that only one is used.
    """

    name: str
    is_text: bool
    width: int
    offset: int
    column: str
    edges: tuple[float, ...] | None = None
    is_list: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary over one source. The first of a plan is the domain's own, whose ids index the domains.

    Attributes:
      name: the feature; the domain's column for the first.
      source: index among the plan's sources.
      max_size: most values kept; `None`: all.
      min_count: occurrences a value needs.
      oov_buckets: hash buckets of other values.
    """

    name: str
    source: int
    max_size: int | None
    min_count: int
    oov_buckets: int


@dataclass(frozen=True)
class AverageKey:
    """A combination of columns over whose values behaviour is averaged.

    Attributes:
      name: role or column names joined by `_x_`, as in `user_x_domain`.
      sources: indices among the plan's sources, in a fixed order.
      parent: index of the key that it is shrunk towards; `DOMAIN_PARENT`: the domain's moving average.
      is_feature: its values are among `averages`; else it only serves `history` or other keys.
      width: combinations that one row belongs to; above 1 when a list is part of the key.
      decay: `a` in `S <- a S + sum`, 1 for none.
    """

    name: str
    sources: tuple[int, ...]
    parent: int
    is_feature: bool
    width: int
    decay: float


@dataclass(frozen=True)
class HistoryKey:
    """Values per domain: `own` is the index of the key alone, `crossed` that of the key with the domain."""

    name: str
    own: int
    crossed: int


@dataclass(frozen=True)
class TransformPlan:
    """Everything that Transform computes.

    Attributes:
      sources: hashed columns: integers, texts, then ranges.
      vocabularies: the domain's, then one per `vocabulary` feature in declared order.
      quantiles: `buckets` features, (name, number of buckets).
      normalised: `normalise` and `log_normalise` features, (name, whether the logarithm is taken).
      categorical: all features of `categorical` in declared order, (name, "vocabulary" or "buckets").
      numeric: all features of `numeric` in declared order, (name, treatment).
      behaviours: names of the behaviours.
      keys: keys of averages beyond the domain, parents before children.
      history: what is given per domain.
      history_behaviours: indices of the behaviours that are given per domain.
      decay: of the domain, `a` in `m <- a m + (1 - a) mean`; `None`: each domain's is chosen (`decay_choice`).
      bucket_ms: length of a time bucket.
      max_keys: values of one key that are kept.
      expire_ms: values and keys without a row for longer than this are forgotten; `None`: never.
      prior_strength: fixed strength of the shrinkage; `None`: learned.
      refreshed_days: the last days with rows that are only averaged over, not analysed otherwise, so that rows to
        evaluate see what happened before their own bucket; 0: the analysis has training rows only.
      day_ms: length of such a day.
      others: whether training rows see the sums of all buckets but their own, instead of those of earlier buckets.
      events: whether there are rows without a label: what users did elsewhere, for the averages of keys alone.
      time, label: names of those columns.
      definitions: what a carried state depends on, JSON: see `state.disagreement`.
      at_serving: features that no request carries, and their values in evaluation and serving.
    """

    sources: tuple[Source, ...]
    vocabularies: tuple[Vocabulary, ...]
    quantiles: tuple[tuple[str, int], ...]
    normalised: tuple[tuple[str, bool], ...]
    categorical: tuple[tuple[str, str], ...]
    numeric: tuple[tuple[str, str], ...]
    behaviours: tuple[str, ...]
    keys: tuple[AverageKey, ...]
    history: tuple[HistoryKey, ...]
    history_behaviours: tuple[int, ...]
    decay: float | None
    bucket_ms: int
    max_keys: int
    expire_ms: int | None
    prior_strength: float | None
    refreshed_days: int
    day_ms: int
    others: bool
    events: bool
    time: str
    label: str
    definitions: str
    at_serving: tuple[tuple[str, int | float | str], ...] = ()

    @property
    def sample_rows(self) -> int:
        """Rows of one bucket from which the strengths of the shrinkage are learned."""
        return min(max(SAMPLED_A_DAY * self.bucket_ms // DAY_MS, 64), 1 << 16)

    @property
    def hashed_columns(self) -> int:
        """Columns of the matrix of hashes."""
        return sum(source.width for source in self.sources)

    @property
    def average_names(self) -> tuple[str, ...]:
        """Names of the columns of `averages`."""
        if not self.behaviours:
            return ()
        names = [f"domain.{behaviour}" for behaviour in self.behaviours] + [DOMAIN_KNOWN]
        for key in self.keys:
            if key.is_feature:
                names += [f"{key.name}.{behaviour}" for behaviour in self.behaviours] + [f"{key.name}.count"]
        return tuple(names)

    @property
    def history_names(self) -> tuple[str, ...]:
        """Names of the values per domain."""
        values = [*(self.behaviours[index] for index in self.history_behaviours), "count"]
        return tuple(f"{entry.name}.{value}" for entry in self.history for value in values)


def make_plan(declaration: Declaration, one_day: bool = False) -> TransformPlan:
    """The plan of a declaration.

    Args:
      declaration: the data set.
      one_day: the rows are a day of a feed that goes on: those to evaluate are analysed like the others, for they are
        judged as of their own time, and the model that is served knows them.

    Raises:
      InputError: a key of the averages joins two lists; `train_state` is not to be had day by day.

    >>> from components.dataset.loader import load_declaration
    >>> plan = make_plan(load_declaration("simulated"))
    >>> [key.name for key in plan.keys[:5]]
    ['user', 'item', 'author_id', 'tags', 'user_x_domain']
    """
    settings = declaration.moving_average
    if one_day and settings.train_state != "past":
        raise InputError(
            f"moving_average.train_state: {settings.train_state} lets rows see later ones, which a feed of days does "
            "not have yet: set it to past"
        )
    sources = _sources(declaration)
    by_name = {source.name: index for index, source in enumerate(sources)}
    keys, history = _keys(declaration, sources, by_name)
    vocabularies = [Vocabulary(declaration.domain, by_name[declaration.domain], None, 1, 1)]
    for name, feature in declaration.features.items():
        if feature.treatment == "vocabulary":
            vocabularies.append(
                Vocabulary(name, by_name[name], feature.max_size, feature.min_count, feature.oov_buckets)
            )
    treated = [(name, feature.treatment) for name, feature in declaration.features.items()]
    return TransformPlan(
        sources=sources,
        vocabularies=tuple(vocabularies),
        quantiles=tuple((n, declaration.features[n].buckets) for n, t in treated if t == "buckets"),
        normalised=tuple(
            (n, t == "log_normalise") for n, t in treated if t in ("normalise", "log_normalise")
        ),
        categorical=tuple((n, t) for n, t in treated if t in ("vocabulary", "buckets")),
        numeric=tuple((n, t) for n, t in treated if t not in ("vocabulary", "buckets")),
        behaviours=tuple(declaration.behaviours),
        keys=keys,
        history=history,
        history_behaviours=tuple(
            index
            for index, name in enumerate(declaration.behaviours)
            if settings.history_behaviours is None or name in settings.history_behaviours
        ),
        decay=None if isinstance(settings.decay, str) else settings.decay,
        bucket_ms=max(1, round(settings.bucket_hours * 3_600_000)),
        max_keys=settings.max_keys,
        expire_ms=None if settings.expire_days is None else settings.expire_days * DAY_MS,
        prior_strength=None if isinstance(settings.prior_strength, str) else float(settings.prior_strength),
        refreshed_days=declaration.split.eval_days if settings.eval_state == "daily" and not one_day else 0,
        day_ms=declaration.split.day_ms,
        others=settings.train_state == "other_buckets",
        events=bool(declaration.events),
        time="local_time_ms",
        label=declaration.label,
        definitions=_definitions(declaration, sources, vocabularies, keys),
        at_serving=tuple(declaration.at_serving().items()),
    )


def _definitions(
    declaration: Declaration,
    sources: tuple[Source, ...],
    vocabularies: Sequence[Vocabulary],
    keys: Sequence[AverageKey],
) -> str:
    averages = declaration.moving_average
    treated = {name: feature.treatment for name, feature in declaration.features.items()}
    document = {
        "time_zone": declaration.time_zone,
        "domain": declaration.domain,
        "behaviours": {name: one.model_dump() for name, one in declaration.behaviours.items()},
        "moving_average.decay": averages.decay,
        "moving_average.bucket_hours": averages.bucket_hours,
        "moving_average.ranges": {name: one.model_dump() for name, one in averages.ranges.items()},
        "moving_average.keys": [
            [key.name, [sources[source].name for source in key.sources], key.decay] for key in keys
        ],
        "types and lists of the columns": [[s.name, s.is_text, s.width] for s in sources],
        "features with a vocabulary": [vocabulary.name for vocabulary in vocabularies],
        "features in buckets": [name for name, treatment in treated.items() if treatment == "buckets"],
        "normalised features": [
            [name, treatment] for name, treatment in treated.items() if treatment.endswith("normalise")
        ],
    }
    return json.dumps(document)


def _sources(declaration: Declaration) -> tuple[Source, ...]:
    names = [declaration.domain]
    names += [name for name, feature in declaration.features.items() if feature.treatment == "vocabulary"]
    names += [declaration.resolve_role(name) for key in _requested_keys(declaration) for name in key]
    ranges = declaration.moving_average.ranges
    unique = [name for name in dict.fromkeys(names) if name not in ranges]
    unique.sort(key=lambda name: declaration.column_type(name) == "string")
    sources, offset = [], 0
    for name in unique:
        is_list = declaration.is_list(name)
        width = declaration.features[name].max_length if is_list else 1
        is_text = declaration.column_type(name) == "string"
        sources.append(Source(name, is_text, width, offset, name, is_list=is_list))
        offset += width
    for name in dict.fromkeys(name for name in names if name in ranges):
        cut = ranges[name]
        sources.append(Source(name, False, 1, offset, cut.column, tuple(cut.edges)))
        offset += 1
    return tuple(sources)


def _requested_keys(declaration: Declaration) -> list[tuple[str, ...]]:
    """Declared keys, then those that only the history needs."""
    if not declaration.behaviours:
        return []
    keys = [tuple(key.columns) for key in declaration.moving_average.keys]
    for column in declaration.moving_average.history_columns:
        keys += [(column,), (column, "domain")]
    return keys


def _decays(declaration: Declaration) -> list[float]:
    """Of every requested key."""
    settings = declaration.moving_average
    usual = settings.usual_key_decay
    own = [usual if key.decay is None else key.decay for key in settings.keys]
    return own + [usual] * (len(_requested_keys(declaration)) - len(own))


def _keys(
    declaration: Declaration, sources: tuple[Source, ...], by_name: dict[str, int]
) -> tuple[tuple[AverageKey, ...], tuple[HistoryKey, ...]]:
    domain = by_name[declaration.domain]
    declared = len(declaration.moving_average.keys) if declaration.behaviours else 0
    found: dict[frozenset[int], tuple[str, bool, float]] = {}
    decays = _decays(declaration)
    for position, names in enumerate(_requested_keys(declaration)):
        members = frozenset(by_name[declaration.resolve_role(name)] for name in names)
        if members != {domain}:
            found.setdefault(members, ("_x_".join(names), position < declared, decays[position]))
    order = sorted(found, key=len)
    keys: list[AverageKey] = []
    for members in order:
        name, is_feature, decay = found[members]
        lists = [source for source in members if sources[source].width > 1]
        if len(lists) > 1:
            columns = ", ".join(sources[source].name for source in lists)
            raise InputError(
                f"moving_average.keys: {name} joins the lists {columns}; a key may hold one list"
            )
        parent = _parent(members, order[: len(keys)], domain)
        width = sources[lists[0]].width if lists else 1
        keys.append(AverageKey(name, tuple(sorted(members)), parent, is_feature, width, decay))
    history = []
    for column in declaration.moving_average.history_columns if declaration.behaviours else ():
        own = frozenset([by_name[declaration.resolve_role(column)]])
        history.append(HistoryKey(column, order.index(own), order.index(own | {domain})))
    return tuple(keys), tuple(history)


def _parent(members: frozenset[int], earlier: Iterable[frozenset[int]], domain: int) -> int:
    """The key without the domain when there is one, else the largest earlier key that is part of it."""
    best, best_rank = DOMAIN_PARENT, (-1, 0)
    for index, candidate in enumerate(earlier):
        if candidate < members:
            rank = (int(candidate == members - {domain}) * 100 + len(candidate), -index)
            if rank > best_rank:
                best, best_rank = index, rank
    return best
