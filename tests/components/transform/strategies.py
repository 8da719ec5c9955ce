"""Hypothesis strategies for small impression logs: gaps, one-row domains, missing values, repeated keys."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.components.transform.helpers import declaration

DAY = 86_400_000
KEYS = [
    ["user"],
    {"columns": ["item"], "decay": 0.5},
    ["user", "domain"],
    ["generation"],
    ["generation", "domain"],
    ["tag"],
    ["tag", "user"],
]
DECAY = 0.8
KEY_DECAY = 1.0
CHAINS = {
    "user": [(["user"], KEY_DECAY)],
    "item": [(["item"], 0.5)],
    "user_x_domain": [(["user", "tab"], KEY_DECAY), (["user"], KEY_DECAY)],
    "generation": [(["generation"], KEY_DECAY)],
    "generation_x_domain": [(["generation", "tab"], KEY_DECAY), (["generation"], KEY_DECAY)],
    "tag": [(["tag"], KEY_DECAY)],
    "tag_x_user": [(["tag", "user"], KEY_DECAY), (["user"], KEY_DECAY)],
}
STRENGTH = 3.0
DECLARED = declaration(
    moving_average={
        "keys": KEYS,
        "ranges": {"generation": {"column": "age", "edges": [1.5, 30]}},
        "decay": DECAY,
        "key_decay": KEY_DECAY,
        "prior_strength": STRENGTH,
        "history": True,
    }
)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Sometimes missing."""
    return st.one_of(st.none(), values)


def with_generation(row: dict[str, Any]) -> dict[str, Any]:
    """The row and, for the oracle, which of the declared ranges its age is in."""
    age = row["age"]
    return {
        **row,
        "generation": None if age is None else "old" if age >= 30 else "middle" if age >= 1.5 else "young",
    }


def row() -> st.SearchStrategy[dict[str, Any]]:
    """One impression. The tags of a row differ from each other."""
    return st.fixed_dictionaries(
        {
            "tab": st.integers(0, 3),
            "user": maybe(st.integers(0, 3)),
            "item": maybe(st.sampled_from(["a", "b", ""]).map(lambda text: text or None)),
            "tag": st.lists(st.sampled_from(["x", "y", "z"]), max_size=3, unique=True),
            "age": maybe(st.sampled_from([-1.0, 0.0, 1.5, 29.99, 30.0, 1e30])),
            "local_time_ms": st.integers(0, 9 * DAY - 1),
            "behaviour.click": st.integers(0, 1).map(float),
            "behaviour.like": maybe(st.sampled_from([0.0, 0.25, 2.0])),
            "click": st.integers(0, 1),
        }
    ).map(with_generation)


def log(max_size: int = 25) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A log with at least one row."""
    return st.lists(row(), min_size=1, max_size=max_size)
