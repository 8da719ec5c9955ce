"""What stands for no value, in a log as in a request: an integer -1 of a feature, an infinite number taken as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.transform.columns import Columns, read_columns
from components.transform.transform_plan import make_plan
from tests.components.transform import direct, helpers
from tests.components.transform.strategies import DAY

FEATURES = {
    "tab": {"type": "int", "treatment": "vocabulary"},
    "user": {"type": "int", "treatment": "vocabulary"},
    "item": {"type": "string", "treatment": "vocabulary"},
    "codes": {"type": "int", "treatment": "vocabulary", "separator": ",", "max_length": 2},
    "one": {"type": "int", "treatment": "vocabulary", "separator": ","},
    "visits": {"type": "int", "treatment": "normalise"},
    "fans": {"type": "int", "treatment": "log_normalise"},
    "rank": {"type": "int", "treatment": "buckets", "buckets": 4},
    "shift": {"type": "float", "treatment": "as_is"},
}
DECLARED = helpers.declaration(
    features=FEATURES,
    moving_average={
        "keys": [["user"], ["part"]],
        "ranges": {"part": {"column": "visits", "edges": [-5, 0, 5]}},
        "prior_strength": 2.0,
    },
)
WHOLE = {
    "tab": 1,
    "user": 3,
    "item": "a",
    "codes": [4, 5],
    "one": [6],
    "visits": 7,
    "fans": 2,
    "rank": 1,
    "shift": 0.5,
}
REST = {"click": 1, "behaviour.click": 1.0, "behaviour.like": 0.0, "local_time_ms": 19_000 * DAY}


def read(**changes: Any) -> Columns:
    row = {**WHOLE, **REST, **changes}
    return read_columns(direct.inputs_of(DECLARED, [row]), make_plan(DECLARED))


def equal(one: Columns, other: Columns) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in zip(*([x.numpy() for x in vars(c).values()] for c in (one, other)), strict=True)
    )


def test_minus_one_is_what_an_empty_cell_is() -> None:
    for name in ("user", "visits", "fans", "rank"):
        assert equal(read(**{name: -1}), read(**{name: None})), name
        assert not equal(read(**{name: -2}), read(**{name: None})), name


def test_the_domain_a_list_a_float_and_a_behaviour_may_be_minus_one() -> None:
    for name, value, empty in [
        ("tab", -1, None),
        ("codes", [-1], None),
        ("one", [-1], None),
        ("shift", -1.0, None),
        ("behaviour.like", -1.0, None),
    ]:
        assert not equal(read(**{name: value}), read(**{name: empty})), name


def test_an_infinite_number_that_is_taken_as_it_is_is_none() -> None:
    for value in (np.inf, -np.inf, np.nan):
        assert equal(read(shift=value), read(shift=None)), value
    assert not equal(read(shift=3e38), read(shift=None))


def test_rows_of_nobody_are_no_past_of_anybody() -> None:
    rows = [{**WHOLE, **REST, "user": user, "click": 1} for user in (-1, -1, -1, 3)]
    asked = [{**WHOLE, **REST, "user": user, "local_time_ms": 19_001 * DAY} for user in (-1, None, 3)]
    found = direct.averages(DECLARED, direct.analyse(DECLARED, rows), asked)
    count = found["user.count"]
    assert count[0] == count[1] == 0
    assert count[2] > 0


def test_the_first_value_counts_of_a_list_of_which_one_is_used() -> None:
    assert equal(read(one=[6, 9]), read(one=[6]))
    assert not equal(read(one=[9, 6]), read(one=[6]))
