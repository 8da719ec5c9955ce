"""Looking rows up in the tables, inside the graph. The tables are variables of the SavedModel: loaded once, shared
by all signatures, without the 2 GB limit of constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.transform import hashing
from components.transform.plan import DOMAIN_PARENT, Plan
from components.transform.tables import Tables


class TableVariables(tf.Module):
    """The large tables as variables."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(name="transform_tables")
        for name in ("vocabulary_keys", "vocabulary_ids", "keys", "moments", "states", "domain_averages"):
            setattr(self, name, tf.Variable(getattr(tables, name), trainable=False, name=name))


def combine(family: int, parts: list[tf.Tensor]) -> tf.Tensor:
    """Keys int64 of a family. The same as `hashing.combine_numpy`."""
    key = tf.constant(hashing.offset(family), tf.int64)
    for position, part in enumerate(parts):
        key = key + part * tf.constant(hashing.multiplier(family, position), tf.int64)
    return key


class Lookup:
    """The lookups of one batch.

    Args:
      plan: what is computed.
      tables: small tables, embedded as constants, and the shapes of the large ones.
      variables: the large tables.
      hashes: of every source, int64 (n, H).
      time: local time in ms, -1 for "now", int64 (n,).
    """

    def __init__(
        self, plan: Plan, tables: Tables, variables: TableVariables, hashes: tf.Tensor, time: tf.Tensor
    ) -> None:
        self._plan, self._tables, self._variables, self._hashes = plan, tables, variables, hashes
        self._end = len(tables.buckets)
        index = tf.searchsorted(tf.constant(tables.buckets), tf.math.floordiv(time, plan.bucket_ms))
        self._bucket = tf.where(time < 0, self._end, index)
        self._ids, self._domain = self._vocabulary_ids()

    @property
    def domain(self) -> tf.Tensor:
        """Index of the row's domain, 0 (the largest) for one never seen, int64 (n,)."""
        return tf.cast(tf.maximum(self._domain - 1, 0), tf.int64)

    def vocabulary_ids(self) -> dict[str, tf.Tensor]:
        """Ids int64 (n, width) of every `vocabulary` feature: 0 missing, known values, then hash buckets."""
        return self._ids

    def _vocabulary_ids(self) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        hashes = []
        for vocabulary in self._plan.vocabularies:
            source = self._plan.sources[vocabulary.source]
            hashes.append(self._hashes[:, source.offset : source.offset + source.width])
        widths = [part.shape[1] for part in hashes]
        families = [hashing.vocabulary_family(index) for index in range(len(widths))]
        every = tf.concat(hashes, axis=1)
        key = every * _repeat([hashing.multiplier(f, 0) for f in families], widths)
        key += _repeat([hashing.offset(f) for f in families], widths)
        position, known = _find(self._variables.vocabulary_keys, len(self._tables.vocabulary_keys), key)
        id_ = tf.where(known, tf.cast(tf.gather(self._variables.vocabulary_ids, position), tf.int64), 0)
        sizes = _repeat(self._tables.vocabulary_sizes.tolist(), widths)
        oov = _repeat([v.oov_buckets for v in self._plan.vocabularies], widths)
        unknown = tf.where(every == hashing.MISSING, tf.zeros_like(every), 1 + sizes + every % oov)
        parts = tf.split(tf.where(known, id_, unknown), widths, axis=1)
        ids = {v.name: part for v, part in zip(self._plan.vocabularies[1:], parts[1:], strict=True)}
        return ids, tf.cast(id_[:, 0], tf.int32)

    def averages(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """`averages` float32 (n, A) and, where declared, `history` float32 (n, D * values).

        Averages are differences from the overall mean in units of the spread of a single impression, both as of
        the row's bucket; counts are `log(1 + W)` over their root mean square. 0 says that nothing is known.
        """
        estimates = {DOMAIN_PARENT: tf.gather_nd(self._variables.domain_averages, self._at(self._domain))}
        known = tf.gather_nd(tf.constant(self._tables.domain_known), self._at(self._domain))
        features = [self._standardise(estimates[DOMAIN_PARENT]), known[:, None]]
        states = self._states()
        for index, key in enumerate(self._plan.keys):
            estimates[index] = self._shrink(index, states[index], estimates[key.parent])
            if key.is_feature:
                features += [self._standardise(estimates[index]), self._count(index, states[index])]
        return tf.concat(features, axis=1), self._history(states)

    def _at(self, domain: tf.Tensor) -> tf.Tensor:
        return tf.stack([self._bucket, domain], axis=1)

    def _as_of(self, table: np.ndarray) -> tf.Tensor:
        return tf.gather(tf.constant(table), self._bucket)

    def _standardise(self, values: tf.Tensor) -> tf.Tensor:
        """Values (n, F) or (n, D, F)."""
        centre, unit = self._as_of(self._tables.overall), self._as_of(self._tables.spread)
        if len(values.shape) == 3:
            centre, unit = centre[:, None], unit[:, None]
        return (values - centre) / unit

    def _count(self, index: int, state: tf.Tensor) -> tf.Tensor:
        behaviours = len(self._plan.behaviours)
        weight = state[..., behaviours : behaviours + 1]
        return tf.math.log1p(weight) / self._tables.count_scale[index]

    def _shrink(self, index: int, state: tf.Tensor, parent: tf.Tensor) -> tf.Tensor:
        behaviours = len(self._plan.behaviours)
        counts = tf.repeat(state[..., behaviours : behaviours + 1], behaviours, axis=-1)
        missing = self._tables.missing
        if (missing >= 0).any():
            lacking = tf.gather(state, np.maximum(missing, 0), axis=-1)
            counts -= tf.where(missing >= 0, lacking, 0.0)
        strength = self._as_of(self._tables.strength[index])
        if len(state.shape) == 3:
            strength = strength[:, None]
        weight = counts + strength
        shrunk = (state[..., :behaviours] + strength * parent) / tf.where(weight > 0, weight, 1.0)
        return tf.where(weight > 0, shrunk, parent)

    def _parts(self, index: int) -> list[tf.Tensor]:
        sources = [self._plan.sources[source] for source in self._plan.keys[index].sources]
        return [self._hashes[:, source.offset : source.offset + source.width] for source in sources]

    def _states(self) -> list[tf.Tensor]:
        """The state of every key, float32 (n, v) each, by one search."""
        if not self._plan.keys:
            return []
        keys, present = [], []
        for index in range(len(self._plan.keys)):
            parts = self._parts(index)
            key = combine(hashing.average_family(index), parts)
            keys.append(key)
            present.append(
                tf.reduce_all([tf.broadcast_to(p != hashing.MISSING, tf.shape(key)) for p in parts], 0)
            )
        widths = [key.width for key in self._plan.keys]
        state = self._search(tf.concat(keys, axis=1), tf.concat(present, axis=1))
        return [tf.reduce_sum(part, axis=1) for part in tf.split(state, widths, axis=1)]

    def _search(self, keys: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """States (n, q, v) of keys (n, q), as of each row's bucket; zeros for keys that are not known."""
        position, known = _find(self._variables.keys, len(self._tables.keys), keys)
        first = tf.cast(position, tf.int64) * (self._end + 1)
        moment = first + tf.cast(self._bucket, tf.int64)[:, None]
        at = tf.searchsorted(self._variables.moments, tf.reshape(moment, [-1])) - 1
        at = tf.reshape(tf.maximum(at, 0), tf.shape(keys))
        found = tf.gather(self._variables.moments, at)
        valid = present & known & (found >= first) & (found < moment)
        return tf.where(valid[:, :, None], tf.gather(self._variables.states, at), 0.0)

    def _history(self, states: list[tf.Tensor]) -> tf.Tensor | None:
        if not self._plan.history:
            return None
        hashes = tf.constant(self._tables.domain_hashes)[None]
        domain_source = self._plan.vocabularies[0].source
        domains = len(self._tables.domain_hashes)
        of_domain = tf.gather(self._variables.domain_averages, self._bucket)[:, 1:]
        values = []
        for entry in self._plan.history:
            parent = self._shrink(entry.own, states[entry.own][:, None], of_domain)
            sources = self._plan.keys[entry.crossed].sources
            own = [p for s, p in zip(sources, self._parts(entry.crossed), strict=True) if s != domain_source]
            parts = [hashes if source == domain_source else own[0] for source in sources]
            keys = combine(hashing.average_family(entry.crossed), parts)
            state = self._search(keys, tf.broadcast_to(own[0] != hashing.MISSING, tf.shape(keys)))
            estimate = self._shrink(entry.crossed, state, parent)
            values += [self._standardise(estimate), self._count(entry.crossed, state)]
        width = domains * len(self._plan.history_names)
        return tf.ensure_shape(tf.reshape(tf.concat(values, axis=2), [-1, width]), [None, width])


def quantile_ids(boundaries: np.ndarray, values: tf.Tensor) -> tf.Tensor:
    """Bucket 1 and up of each value, 0 for NaN, int64 (n, Q). `boundaries` (Q, b), `values` (n, Q)."""
    position = tf.searchsorted(tf.constant(boundaries), tf.transpose(values), side="right")
    return tf.where(
        tf.math.is_nan(values), tf.constant(0, tf.int64), 1 + tf.cast(tf.transpose(position), tf.int64)
    )


def _repeat(values: Sequence[int | np.int64], widths: list[int]) -> tf.Tensor:
    return tf.constant(np.repeat(np.array(values, np.int64), widths))


def _find(table: tf.Variable, size: int, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Position of each key in a sorted table, and whether it is there; both of the keys' shape."""
    position = tf.reshape(tf.searchsorted(table, tf.reshape(keys, [-1])), tf.shape(keys))
    position = tf.minimum(position, size - 1)
    return position, tf.gather(table, position) == keys
