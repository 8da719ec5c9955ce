"""A log without any time: split at random by user, named as the weaker choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.dataset.times import RANDOM_PARTS, to_local_ms
from components.errors import InputError
from pipeline.datasets.checking.check import check
from pipeline.datasets.proposal.propose import ProposalRequest
from tests.pipeline.datasets.proposed import csv_log, write

ROWS = 4000


def log(folder: Path) -> Path:
    rng = np.random.default_rng(7)
    return csv_log(
        folder,
        {
            "user_id": rng.integers(0, 300, ROWS),
            "item_id": rng.integers(0, 60, ROWS),
            "tab": rng.choice(["a", "b"], ROWS),
            "click": rng.integers(0, 2, ROWS),
        },
    )


def test_the_error_offers_it(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"the timestamp cannot be guessed.*--no-time splits it at random by user"
    ):
        write(ProposalRequest([log(tmp_path)], output=tmp_path / "a.yaml", yes=True))
    frame = pl.read_csv(tmp_path / "log.csv").select("tab", "click", price=pl.lit(0.5))
    (tmp_path / "b").mkdir()
    frame.write_csv(tmp_path / "b" / "b.csv")
    with pytest.raises(
        InputError, match="--no-time splits the log at random by user: name the user's column"
    ):
        write(ProposalRequest([tmp_path / "b" / "b.csv"], output=tmp_path / "b.yaml", yes=True, no_time=True))


@pytest.mark.parametrize(("names", "by"), [(("x", "item_id"), "item_id"), (("x", "y"), "x")])
def test_without_a_user_rows_of_an_item_or_of_what_has_most_values_stay_together(
    tmp_path: Path, names: tuple[str, str], by: str
) -> None:
    frame = pl.read_csv(log(tmp_path)).rename(dict(zip(("user_id", "item_id"), names, strict=True)))
    (tmp_path / "b").mkdir()
    frame.write_csv(tmp_path / "b" / "b.csv")
    written = write(
        ProposalRequest([tmp_path / "b" / "b.csv"], output=tmp_path / "b.yaml", yes=True, no_time=True)
    )
    assert written.declaration.timestamp.column == by
    assert not any(by in key.columns for key in written.declaration.moving_average.keys)
    assert any(f"at random by {by}" in w and "--user names one" in w for w in written.proposal.draft.warnings)


def test_a_split_by_user(tmp_path: Path) -> None:
    written = write(ProposalRequest([log(tmp_path)], output=tmp_path / "a.yaml", yes=True, no_time=True))
    declared = written.declaration
    assert declared.timestamp.model_dump() == {"column": "user_id", "unit": "random"}
    assert "user_id" in declared.features
    # Nobody has earlier rows.
    assert not any({"user", "user_id"} & set(key.columns) for key in declared.moving_average.keys)
    assert "At random by user, for there is no time" in written.text
    assert any(
        "the split is at random by user_id, not forward in time" in w for w in written.proposal.draft.warnings
    )
    result = check(declared, tmp_path)
    assert result.would_run, result.findings
    assert result.figures["train"] + result.figures["eval"] == ROWS
    assert 0.1 < result.figures["eval"] / ROWS < 0.4
    # Nobody is in two parts.
    assert any("100.0% of the evaluation's" in finding.found for finding in result.findings)


def test_parts_depend_on_the_value_alone() -> None:
    users = pl.Series([*map(str, range(2000)), None])
    drawn = to_local_ms(users, "random", "Asia/Kolkata").values
    again = to_local_ms(pl.Series(range(2000)).reverse(), "random", "UTC").values.reverse()
    assert drawn[:2000].to_list() == again.to_list()
    assert drawn[2000] is None
    counts = drawn.drop_nulls().value_counts()["count"].to_list()
    assert len(counts) == RANDOM_PARTS
    assert min(counts) > 140
