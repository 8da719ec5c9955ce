"""Behaviour state: what Transform knows of the past, carried from one day to the next.

`state(t) = fold(state(t-1), rows of day t)`, see `tables.build_tables`. Everything that Transform computes is here in a
form that can be continued: counts of vocabularies, moments, samples, moving averages, and what the strengths of the
shrinkage are learned from. The newest time bucket is kept apart, as sums: more rows of it may come, and an average
moves by whole buckets. So folding a log in any pieces, in the order of time, gives what one pass over it gives.

A state is a folder with `state.npz`, and `state.json` for people.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any

import numpy as np
import tensorflow as tf

from components.dataset.declaration import Declaration
from components.transform.chunks import Chunk
from components.transform.decay_choice import DecayState
from components.transform.target_encoding import STRENGTHS
from components.transform.transform_plan import TransformPlan, make_plan
from models.arrays import pack_texts, unpack_texts, write_arrays

STATE_FILE = "state.npz"
SUMMARY_FILE = "state.json"
_COPIED = 1 << 20
WAITING = 2
"""A state counts up to this many times `max_size` values of a vocabulary: those in it, and those that may come."""


@dataclass(frozen=True)
class BehaviourState:
    """All that is known after some day. `F` behaviours, `K` keys of averages, `C` candidate strengths.

    Attributes:
      definitions: `TransformPlan.definitions` of the declaration that it was made with.
      latest: local time of the newest row in ms, -1 before the first, int64 (1,).
      counts: of every value of the vocabularies, as `chunks.merge_counts` makes them; `last` is the day, from 1970 on,
        on which the value was seen last.
      moments: of the normalised features, as `chunks.merge_moments` makes them.
      numbers: sample of the `buckets` features, as `chunks.merge_numbers` makes it.
      domains: before the newest bucket, `key` (the hash), `averages` (D, F), NaN for none, and `rows` (D,).
      decays: of these domains, `key` and the fields of `decay_choice.DecayState`; no domain where a decay is declared.
      totals: sums, squares and counts of all behaviours before the newest bucket, float64 (3, F).
      keys: of the averages, before the newest bucket, sorted: `key`, `kind` (index in the plan), `bucket` (the last
        with rows), `state` (R and W), float64 (n, F + 1), and `missing` (decayed counts of rows in which a behaviour
        was missing), float64 (n, F).
      open_domains, open_keys: sums of the newest bucket, as `chunks.merge_sums` makes them; the latter with `kind`.
      sample: rows of the newest bucket, as `chunks.merge_sample` makes it.
      losses: squared error of every candidate strength before the newest bucket, float64 (K, C, F).
      log_counts: sum of `log(1 + W)^2` over the rows sampled before the newest bucket, and these, float64 (K, 2).
    """

    definitions: str
    latest: np.ndarray
    counts: Chunk
    moments: Chunk
    numbers: Chunk
    domains: Chunk
    decays: Chunk
    totals: np.ndarray
    keys: Chunk
    open_domains: Chunk
    open_keys: Chunk
    sample: Chunk
    losses: np.ndarray
    log_counts: np.ndarray

    @classmethod
    def empty(cls, plan: TransformPlan) -> BehaviourState:
        """What is known before the first row."""
        behaviours, hashed = len(plan.behaviours), plan.hashed_columns
        sums: Chunk = {
            **{name: np.zeros(0, np.int64) for name in ("key", "bucket", "domain")},
            "rows": np.zeros(0),
        }
        return cls(
            definitions=plan.definitions,
            latest=np.array([-1]),
            counts={
                **{name: np.zeros(0, np.int64) for name in ("key", "hash", "count")},
                **{name: np.zeros(0, np.int32) for name in ("column", "last")},
                "text": np.zeros(0, object),
            },
            moments={name: np.zeros((1, len(plan.normalised))) for name in ("count", "mean", "m2")},
            numbers={"key": np.zeros(0, np.int64), "numbers": np.zeros((0, len(plan.quantiles)), np.float32)},
            domains={
                "key": np.zeros(0, np.int64),
                "averages": np.zeros((0, behaviours)),
                "rows": np.zeros(0),
            },
            decays=decays_of(np.zeros(0, np.int64), [DecayState.empty(0, behaviours)]),
            totals=np.zeros((3, behaviours)),
            keys={
                **{name: np.zeros(0, np.int64) for name in ("key", "kind", "bucket")},
                "state": np.zeros((0, behaviours + 1)),
                "missing": np.zeros((0, behaviours)),
            },
            open_domains={**sums, "values": np.zeros((0, 3 * behaviours))},
            open_keys={**sums, "kind": np.zeros(0, np.int64), "values": np.zeros((0, 2 * behaviours))},
            sample={
                **{name: np.zeros(0, np.int64) for name in ("key", "bucket")},
                "hashes": np.zeros((0, hashed), np.int64),
                "behaviours": np.zeros((0, behaviours)),
            },
            losses=np.zeros((len(plan.keys), len(STRENGTHS), behaviours)),
            log_counts=np.zeros((len(plan.keys), 2)),
        )

    @functools.cached_property
    def known_keys(self) -> np.ndarray:
        """Every key of the averages of which something is kept."""
        return np.union1d(self.keys["key"], self.open_keys["key"])

    def to_bytes(self) -> bytes:
        """An uncompressed `.npz`."""
        stream = io.BytesIO()
        self.write(stream)
        return stream.getvalue()

    def write(self, stream: IO[bytes]) -> None:
        """Writes an uncompressed `.npz`."""
        arrays: dict[str, np.ndarray] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            parts = value if isinstance(value, dict) else {"": value}
            for name, part in parts.items():
                arrays[f"{field.name}.{name}"] = np.asarray(part)
        arrays["counts.text"], arrays["counts.length"] = pack_texts(arrays["counts.text"].tolist())
        # Most behaviours are known of every row.
        arrays["keys.lacking"] = np.flatnonzero(self.keys["missing"].any(axis=0))
        arrays["keys.missing"] = self.keys["missing"][:, arrays["keys.lacking"]]
        write_arrays(stream, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> BehaviourState:
        """What `to_bytes` wrote."""
        return cls.read(io.BytesIO(data))

    @classmethod
    def read(cls, stream: IO[bytes]) -> BehaviourState:
        """What `write` wrote."""
        found: dict[str, Any] = {}
        with np.load(stream, allow_pickle=False) as arrays:
            for name in arrays.files:
                field, _, part = name.partition(".")
                if part:
                    found.setdefault(field, {})[part] = arrays[name]
                else:
                    found[field] = arrays[name]
        keys, lacking = found["keys"], found["keys"].pop("lacking")
        missing = np.zeros((len(keys["key"]), found["totals"].shape[1]))
        missing[:, lacking] = keys["missing"]
        keys["missing"] = missing
        # A state of before decays could be chosen has none.
        nothing = decays_of(np.zeros(0, np.int64), [DecayState.empty(0, found["totals"].shape[1])])
        found.setdefault("decays", nothing)
        counts = found["counts"]
        lengths = counts.pop("length")
        texts = np.empty(len(lengths), object)
        texts[:] = unpack_texts(counts["text"], lengths)
        counts["text"] = texts
        return cls(**{**found, "definitions": str(found["definitions"])})


def decays_of(keys: np.ndarray, parts: Sequence[DecayState]) -> Chunk:
    """A state's `decays`: those of domains with these keys, one part after another."""
    names = [field.name for field in dataclasses.fields(DecayState)]
    return {"key": keys, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}}


def read_state(folder: str) -> BehaviourState:
    """The state in a folder.

    Raises:
      tf.errors.NotFoundError: there is none.
    """
    # A `.npz` is not read, nor written, from its beginning to its end, which is all that some file systems offer.
    with tempfile.TemporaryFile() as whole:
        with tf.io.gfile.GFile(f"{folder}/{STATE_FILE}", "rb") as file:
            shutil.copyfileobj(file, whole, _COPIED)
        whole.seek(0)
        return BehaviourState.read(whole)


def write_state(folder: str, state: BehaviourState, summary: Mapping[str, Any]) -> None:
    """Writes a state and what it says of itself; a reader never finds half of one."""
    tf.io.gfile.makedirs(folder)
    text = json.dumps(summary, indent=1, ensure_ascii=False).encode()
    with tempfile.TemporaryFile() as whole:
        state.write(whole)
        whole.seek(0)
        for name, content in ((SUMMARY_FILE, io.BytesIO(text)), (STATE_FILE, whole)):
            with tf.io.gfile.GFile(f"{folder}/{name}.part", "wb") as file:
                shutil.copyfileobj(content, file, _COPIED)
            tf.io.gfile.rename(f"{folder}/{name}.part", f"{folder}/{name}", overwrite=True)


def disagreement(state: BehaviourState, plan: TransformPlan) -> str | None:
    """What a declaration says otherwise than the one that a state was made with; `None`: the state can be continued.

    Sizes and limits (`max_size`, `min_count`, `max_keys`), the strength of the shrinkage, what the history gives, the
    model and its training may change from day to day.

    >>> from components.dataset.loader import load_declaration
    >>> before = make_plan(load_declaration("simulated", ["moving_average.decay=0.8"]))
    >>> disagreement(BehaviourState.empty(before), make_plan(load_declaration("simulated")))
    'moving_average.decay was 0.8 and is 0.9'
    """
    before, now = json.loads(state.definitions), json.loads(plan.definitions)
    for name in now:
        if before.get(name) != now[name]:
            return f"{name} was {_short(before.get(name))} and is {_short(now[name])}"
    return None


def cannot_continue(folder: str, declaration: Declaration) -> str | None:
    """Why the state in a folder cannot be continued with a declaration, in words; `None`: it can."""
    return disagreement(read_state(folder), make_plan(declaration))


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "…"


def moment_text(milliseconds: int) -> str:
    """A local time, to the minute.

    >>> moment_text(1_651_363_140_000)
    '2022-04-30 23:59'
    """
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)
    return moment.isoformat(" ", "minutes")
