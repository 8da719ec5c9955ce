"""How large the numbers of a log are."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest

from components.example_gen.scales import Scale, numbers, read_scales, scales_of, together
from tests.components.example_gen.small import declare, log_text, run_ingest, write_data


def test_ids_have_no_size_and_behaviours_are_taken_before_they_are_cut(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    assert numbers(declaration) == ["length", "age", "click", "played"]
    rows = pl.DataFrame({"played": [0, None, 10, -1000], "length": [0.0, 0.0, math.nan, math.inf]})
    found = scales_of(rows, declaration)
    assert list(found) == ["played"]
    assert (found["played"].rows, found["played"].mean) == (2, pytest.approx(math.log(100)))
    assert found["played"].variance == pytest.approx(2 * math.log(10) ** 2)


def test_parts_make_the_whole(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    values = [1.0, 2.0, 50.0, 0.0, 7.0, 900.0]
    whole = scales_of(pl.DataFrame({"length": values}), declaration)["length"]
    parts = [scales_of(pl.DataFrame({"length": values[n::3]}), declaration) for n in range(3)]
    found = together(parts)["length"]
    assert (found.rows, found.mean, found.squares) == (
        whole.rows,
        pytest.approx(whole.mean),
        pytest.approx(whole.squares),
    )
    assert Scale().with_(Scale()) == Scale()


def test_the_report_of_the_ingestion_has_them(tmp_path: Path) -> None:
    """Of the numbers as they are delivered, where `watched` is cut at 2."""
    declaration = declare(tmp_path)
    data = write_data(tmp_path, {"log.csv": log_text()})
    report = json.loads(json.dumps(run_ingest(declaration, data, tmp_path / "out")))
    found = read_scales(report["scales"])
    rows = [row for row in range(12) if row] * 4
    assert (found["played"].rows, found["played"].mean) == (
        44,
        pytest.approx(sum(map(math.log, rows)) / len(rows)),
    )
    assert found["click"].variance == 0
