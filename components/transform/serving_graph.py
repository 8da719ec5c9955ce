"""Looking rows up in the tables, inside the graph. The tables are variables of the SavedModel: loaded once, shared
by all signatures, without the 2 GB limit of constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.transform import hashing
from components.transform.key_table import ALIGNMENT, StoredKeyTable
from components.transform.tables import Tables
from components.transform.transform_plan import DOMAIN_PARENT, TransformPlan


class TableVariables(tf.Module):
    """The large tables as variables.

    Args:
      tables, keys: the tables.
      buckets: of the table of keys only what rows of these buckets see; by default all.
    """

    def __init__(self, tables: Tables, keys: StoredKeyTable, buckets: np.ndarray | None = None) -> None:
        super().__init__(name="transform_tables")
        for name in ("vocabulary_keys", "vocabulary_ids", "domain_averages"):
            setattr(self, name, _variable(getattr(tables, name), name))
        table = keys.whole() if buckets is None else keys.before(buckets)
        for name in ("keys", "key_buckets", "states"):
            setattr(self, name, _variable(_in_place(getattr(table, name)), name))

    def see(self, keys: StoredKeyTable, buckets: np.ndarray) -> None:
        """Has rows that see other buckets looked up from now on."""
        seen = keys.before(buckets)
        self.key_buckets.assign(_in_place(seen.key_buckets))
        self.states.assign(_in_place(seen.states))

    def release(self) -> None:
        """Gives the memory of the table of keys back; nothing is looked up any more."""
        for variable in (self.keys, self.key_buckets, self.states):
            variable.assign(tf.zeros([0, *variable.shape[1:]], variable.dtype))


def _in_place(array: np.ndarray) -> tf.Tensor:
    """The array as a tensor, if it can be without a copy: of copies TensorFlow keeps the room for good."""
    if array.ctypes.data % ALIGNMENT:
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def _variable(value: Any, name: str) -> tf.Variable:
    # Of any length: see `keep_newest` and `see`.
    return tf.Variable(value, trainable=False, name=name, shape=[None, *value.shape[1:]])


def keep_newest(transform: Any) -> int:
    """Takes out of a loaded Transform graph what only rows of the past would see.

    A served row sees the state at the end. So of every key only its newest state stays, and the domains' averages are
    those of the end as of every bucket. Afterwards a row that has a time of the past sees the end or nothing.

    Args:
      transform: the loaded graph: `applied.TransformGraph`, or TFT's own layer.

    Returns:
      How many states of keys were taken out.
    """
    removed = 0
    for loaded in tf.train.TrackableView(transform).descendants():
        if not all(hasattr(loaded, name) for name in ("key_buckets", "states", "domain_averages")):
            continue
        domains, buckets = loaded.domain_averages.numpy(), loaded.key_buckets.numpy()
        position = buckets // len(domains)
        newest = np.append(position[1:] != position[:-1], True)
        loaded.key_buckets.assign(buckets[newest])
        loaded.states.assign(loaded.states.numpy()[newest])
        loaded.domain_averages.assign(np.broadcast_to(domains[-1:], domains.shape))
        removed += int((~newest).sum())
    return removed


def combine(family: int, parts: list[tf.Tensor]) -> tf.Tensor:
    """Keys int64 of a family. The same as `hashing.combine_numpy`.

    >>> user, tab = np.array([7, 8]), np.array([1, 1])
    >>> served = combine(hashing.average_family(0), [tf.constant(user), tf.constant(tab)])
    >>> bool((served.numpy() == hashing.combine_numpy(hashing.average_family(0), [user, tab])).all())
    True
    """
    key = tf.constant(hashing.offset(family), tf.int64)
    for position, part in enumerate(parts):
        key = key + part * tf.constant(hashing.multiplier(family, position), tf.int64)
    return key


class ServingGraph:
    """What the tables say about the rows of one batch, inside the graph of training and of serving.

    Args:
      plan: what is computed.
      tables: small tables, embedded as constants, and the shapes of the large ones.
      variables: the large tables.
      hashes: of every source, int64 (n, H).
      time: local time in ms, int64 (n,); -1, or later than all that the tables know, for "now".
    """

    def __init__(
        self,
        plan: TransformPlan,
        tables: Tables,
        variables: TableVariables,
        hashes: tf.Tensor,
        time: tf.Tensor,
    ) -> None:
        self._plan, self._tables, self._variables, self._hashes = plan, tables, variables, hashes
        self._end = len(tables.buckets)
        index = tf.searchsorted(tf.constant(tables.buckets), tf.math.floordiv(time, plan.bucket_ms))
        # A bucket may hold the last rows that were averaged over and, after them, the first to evaluate.
        self._bucket = tf.where((time < 0) | (time > int(tables.latest[0])), self._end, index)
        self._key_bucket = tf.fill(tf.shape(index), self._end) if plan.others else self._bucket
        self._ids, self._domain = self._vocabulary_ids()

    @property
    def domain(self) -> tf.Tensor:
        """Index of the row's domain, D for one never seen, int64 (n,)."""
        return tf.where(self._domain > 0, self._domain - 1, len(self._tables.domain_hashes))

    def vocabulary_ids(self) -> tf.Tensor:
        """Ids int64 (n, widths) of all `vocabulary` features: 0 missing, known values, then hash buckets."""
        return self._ids

    def _vocabulary_ids(self) -> tuple[tf.Tensor, tf.Tensor]:
        sources = [self._plan.sources[vocabulary.source] for vocabulary in self._plan.vocabularies]
        widths = [source.width for source in sources]
        columns = [source.offset + place for source in sources for place in range(source.width)]
        families = [hashing.vocabulary_family(index) for index in range(len(sources))]
        hashes = tf.gather(self._hashes, columns, axis=1)
        key = hashes * _repeat([hashing.multiplier(f, 0) for f in families], widths)
        key += _repeat([hashing.offset(f) for f in families], widths)
        position, known = _find(self._variables.vocabulary_keys, len(self._tables.vocabulary_keys), key)
        ids = tf.cast(tf.gather(self._variables.vocabulary_ids, position), tf.int64)
        sizes = _repeat(self._tables.vocabulary_sizes.tolist(), widths)
        buckets = _repeat([v.oov_buckets for v in self._plan.vocabularies], widths)
        zero = tf.constant(0, tf.int64)
        unknown = tf.where(hashes == hashing.MISSING, zero, 1 + sizes + hashes % buckets)
        domain = tf.where(known[:, 0], ids[:, 0], zero)
        return tf.where(known, ids, unknown)[:, 1:], domain

    def averages(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """`averages` float32 (n, A) and, where declared, `history` float32 (n, D * values).

        The domain's averages are differences from the overall mean, those of a key differences from its domain's
        average (see `target_encoding`), in units of the spread of a single impression, all as of the row's bucket, or
        those of keys from all buckets but the row's own (`train_state`); counts are `log(1 + W)` over their root mean
        square.
        0 says that nothing is known.
        """
        behaviours = len(self._plan.behaviours)
        at = tf.stack([self._bucket, tf.cast(self._domain, tf.int32)], axis=1)
        domain = tf.gather_nd(self._variables.domain_averages, at)
        known = tf.gather_nd(tf.constant(self._tables.domain_known), at)
        centre, spread = (
            tf.gather(tf.constant(t), self._bucket) for t in (self._tables.overall, self._tables.spread)
        )
        features = [tf.concat([(domain - centre) / spread, known[:, None]], axis=1)]
        if not self._plan.keys:
            return features[0], None
        spread = self._as_of(self._tables.spread)
        states = self._states()
        estimates = self._estimates(states)
        values = tf.concat([estimates / spread[:, None], self._counts(states)], axis=2)
        given = [index for index, key in enumerate(self._plan.keys) if key.is_feature]
        if given:
            if len(given) < len(self._plan.keys):
                values = tf.gather(values, given, axis=1)
            features.append(tf.reshape(values, [-1, len(given) * (behaviours + 1)]))
        return tf.concat(features, axis=1), self._history(states, spread)

    def _as_of(self, table: np.ndarray) -> tf.Tensor:
        """What goes with the sums of keys."""
        return tf.gather(tf.constant(table), self._key_bucket)

    def _estimates(self, states: tf.Tensor) -> tf.Tensor:
        """`r` (n, K, F) from states (n, K, v): the keys of one depth of the hierarchy at a time."""
        strength = self._as_of(self._tables.strength.transpose(1, 0, 2))
        keys, places = self._plan.keys, {DOMAIN_PARENT: 0}
        found = tf.zeros_like(states[:, :1, : len(self._plan.behaviours)])
        while len(places) <= len(keys):
            ready = [i for i, k in enumerate(keys) if i not in places and k.parent in places]
            parents = tf.gather(found, [places[keys[index].parent] for index in ready], axis=1)
            mine = tf.gather(states, ready, axis=1), tf.gather(strength, ready, axis=1)
            places |= {index: len(places) + place for place, index in enumerate(ready)}
            found = tf.concat([found, self._shrink(mine[0], parents, mine[1])], axis=1)
        return tf.gather(found, [places[index] for index in range(len(keys))], axis=1)

    def _shrink(self, states: tf.Tensor, parent: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        behaviours, missing = len(self._plan.behaviours), self._tables.missing
        counts = states[..., behaviours : behaviours + 1]
        if (missing >= 0).any():
            counts -= tf.where(missing >= 0, tf.gather(states, np.maximum(missing, 0), axis=-1), 0.0)
        weight = counts + strength
        return tf.where(
            weight > 0,
            (states[..., :behaviours] + strength * parent) / tf.where(weight > 0, weight, 1.0),
            parent,
        )

    def _counts(self, states: tf.Tensor, index: int | None = None) -> tf.Tensor:
        """`log(1 + W)` scaled, (n, k, 1): of all keys, or of the key `index` in many domains."""
        behaviours = len(self._plan.behaviours)
        scale = self._tables.count_scale if index is None else self._tables.count_scale[index : index + 1]
        return tf.math.log1p(states[..., behaviours : behaviours + 1]) / scale[:, None]

    def _columns(self, index: int) -> list[list[int]]:
        """Columns of the hashes that make up a key, one list per source."""
        sources = [self._plan.sources[source] for source in self._plan.keys[index].sources]
        return [[source.offset + place for place in range(source.width)] for source in sources]

    def _states(self) -> tf.Tensor:
        """The states of all keys, float32 (n, K, v), by one search."""
        plan = self._plan
        widths = [key.width for key in plan.keys]
        families = [hashing.average_family(index) for index in range(len(widths))]
        key = _repeat([hashing.offset(family) for family in families], widths)[None]
        present = tf.constant(True)
        for place in range(max(len(k.sources) for k in plan.keys)):
            columns, factors = [], []
            for index, family in enumerate(families):
                sources = self._columns(index)
                exists = place < len(sources)
                # A key of fewer columns repeats its first one, times nothing.
                columns.append(np.resize(sources[place if exists else 0], widths[index]))
                factors.append(hashing.multiplier(family, place) if exists else np.int64(0))
            part = tf.gather(self._hashes, np.concatenate(columns), axis=1)
            key += part * _repeat(factors, widths)
            present &= part != hashing.MISSING
        states = self._search(key, present)
        if max(widths) == 1:
            return states
        return tf.einsum(
            "nqv,qk->nkv", states, np.repeat(np.eye(len(widths), dtype=np.float32), widths, axis=0)
        )

    def _search(self, keys: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """States (n, q, v) of keys (n, q) that each row sees; zeros for keys that are not known."""
        seen = self._before(self._key_bucket, keys, present)
        if not self._plan.others:
            return seen

        def own() -> tf.Tensor:
            after = tf.minimum(self._bucket + 1, self._end)
            return self._before(after, keys, present) - self._before(self._bucket, keys, present)

        # A server has no rows of a bucket of training and looks up once.
        trains = tf.reduce_any(self._bucket < self._end)
        return seen - tf.cond(trains, own, lambda: tf.zeros_like(seen))

    def _before(self, bucket: tf.Tensor, keys: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """States (n, q, v) of keys (n, q) before each row's bucket (n,); zeros for keys that are not known."""
        position, known = _find(self._variables.keys, int(self._tables.key_sizes[:, 0].sum()), keys)
        first = tf.cast(position, tf.int64) * (self._end + 1)
        moment = first + tf.cast(bucket, tf.int64)[:, None]
        at = tf.searchsorted(self._variables.key_buckets, tf.reshape(moment, [-1])) - 1
        at = tf.reshape(tf.maximum(at, 0), tf.shape(keys))
        found = tf.gather(self._variables.key_buckets, at)
        valid = present & known & (found >= first) & (found < moment)
        return tf.where(valid[:, :, None], tf.gather(self._variables.states, at), 0.0)

    def _history(self, states: tf.Tensor, spread: tf.Tensor) -> tf.Tensor | None:
        plan, tables = self._plan, self._tables
        if not plan.history:
            return None
        hashes, domains = tf.constant(tables.domain_hashes)[None], len(tables.domain_hashes)
        values = []
        for entry in plan.history:
            own = tf.gather(self._hashes, self._columns(entry.own)[0], axis=1)
            strength = self._as_of(tables.strength[entry.own])[:, None]
            parent = self._shrink(states[:, entry.own, None], tf.zeros_like(strength), strength)
            sources = plan.keys[entry.crossed].sources
            parts = [hashes if source == plan.vocabularies[0].source else own for source in sources]
            keys = combine(hashing.average_family(entry.crossed), parts)
            crossed = self._search(keys, own != hashing.MISSING)
            estimate = self._shrink(crossed, parent, self._as_of(tables.strength[entry.crossed])[:, None])
            averages = estimate / spread[:, None]
            if len(plan.history_behaviours) < len(plan.behaviours):
                averages = tf.gather(averages, plan.history_behaviours, axis=2)
            values += [averages, self._counts(crossed, entry.crossed)]
        return tf.reshape(tf.concat(values, axis=2), [-1, domains * len(plan.history_names)])


def buckets_seen(plan: TransformPlan, tables: Tables, time: np.ndarray) -> np.ndarray:
    """As of which buckets `ServingGraph` looks keys up for rows of these times, sorted indices, T for the end.

    Args:
      plan, tables: as there.
      time: local time in ms, int64 (n,), -1 for "now".
    """
    end = len(tables.buckets)
    at = np.searchsorted(tables.buckets, time // plan.bucket_ms)
    at = np.unique(np.where((time < 0) | (time > int(tables.latest[0])), end, at))
    if plan.others:
        return np.unique(np.concatenate([at, np.minimum(at + 1, end), [end]]))
    return at


def quantile_ids(boundaries: np.ndarray, values: tf.Tensor) -> tf.Tensor:
    """Bucket 1 and up of each value, 0 for NaN, int64 (n, Q). `boundaries` (Q, b), `values` (n, Q).

    >>> quantile_ids(np.array([[10.0, 20.0]], np.float32), tf.constant([[5.0], [10.0], [99.0], [np.nan]]))[:, 0].numpy()
    array([1, 2, 3, 0])
    """
    # An infinite number of a caller must not reach the padding: its bucket would be the next feature's.
    finite = tf.minimum(values, tf.float32.max)
    position = tf.searchsorted(tf.constant(boundaries), tf.transpose(finite), side="right")
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
