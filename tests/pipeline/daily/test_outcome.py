"""What is refused of a day, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import InputError
from pipeline.daily.create import DATA
from pipeline.daily.outcome import refusal_of
from tests.components.example_gen.small import declare, log_text, run_ingest, write_data

GOOD = log_text()


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        (
            GOOD,
            ["positive.at_least=6"],
            "the label click is 0 in all 48 rows (its values: 0, 1; 1 is at least 6)",
        ),
        (
            GOOD.replace("length", "lenght", 1),
            [],
            "the column length is declared, but is in none of the files",
        ),
        (GOOD.replace(",1,", ",0,"), [], "the domain column scene has only the value '0'"),
    ],
)
def test_after_good_days_the_fault_is_in_the_delivery_and_not_in_the_declaration(
    tmp_path: Path, text: str, overrides: list[str], said: str
) -> None:
    with pytest.raises(InputError) as raised:
        run_ingest(declare(tmp_path, overrides), write_data(tmp_path, {"log.csv": text}), tmp_path / "out")
    first = refusal_of(raised.value, DATA[0], ["log.csv"])
    later = refusal_of(raised.value, DATA[0], ["log.csv"], declared_well=True)
    assert first is not None and later is not None
    assert said in first.reasons and said in later.reasons
    assert "declare another column" in first.reasons or "in the declaration" in first.reasons
    assert later.reasons.endswith(
        "The days before were read as declared: the fault is in this day's delivery"
    )
    assert "declare another" not in later.reasons and "in the declaration" not in later.reasons


def test_what_is_of_no_declaration_is_said_as_it_is() -> None:
    error = InputError("log.csv: cannot be read: it ended early")
    later = refusal_of(error, DATA[0], ["log.csv"], declared_well=True)
    assert later is not None and later.reasons == str(error)
