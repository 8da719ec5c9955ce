"""What is refused of a day, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.dataset.loader import load_declaration
from components.errors import InputError
from pipeline.daily import outcome as outcomes
from pipeline.daily.create import DATA, VALIDATOR
from pipeline.daily.ledger import Carry, DayEntry, Progressive
from pipeline.daily.outcome import Refusal, outcome, refusal_of
from pipeline.events import NodeRun
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
    assert "?." not in later.reasons and ".." not in later.reasons
    assert "declare another" not in later.reasons and "in the declaration" not in later.reasons


def test_what_is_of_no_declaration_is_said_as_it_is() -> None:
    error = InputError("log.csv: cannot be read: it ended early")
    later = refusal_of(error, DATA[0], ["log.csv"], declared_well=True)
    assert later is not None and later.reasons == str(error)


@pytest.mark.parametrize(
    ("auc", "error", "said"),
    [
        (0.51, 0.02, "average AUC 0.5100 ± 0.0392 (each domain counts the same). If that stays"),
        (0.55, 0.02, ""),
        (0.51, None, ""),
    ],
)
def test_a_ranking_within_the_domains_that_may_be_chance_is_said(
    auc: float, error: float | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Progressive(average_auc=auc, average_auc_standard_error=error, overall_auc=0.8)
    monkeypatch.setattr(outcomes, "_progressive", lambda runs: judged)
    daily = load_declaration("simulated").daily
    refusal = Refusal("data", "half of the rows are gone")
    day, notes = DayEntry(day="2022-04-27", status="refused"), ["as before"]
    found = outcome(day, Carry(), daily, {}, tmp_path, refusal, notes=notes, rebased=False)
    assert found["notes"][0] == "as before"
    assert len(found["notes"]) == (2 if said else 1)
    assert said in found["notes"][-1]


def test_a_lookup_without_any_of_the_days_keys_is_said_before_what_the_schema_misses(tmp_path: Path) -> None:
    report = {
        "train": 0,
        "eval": 200,
        "duplicates": 0,
        "rejected": 0,
        "unmatched": {"a.csv": 191, "b.csv": 3},
    }
    (tmp_path / "ingest_report.json").write_text(json.dumps(report))
    examples = SimpleNamespace(uri=str(tmp_path))
    runs = {"DeclaredExampleGen": NodeRun("DeclaredExampleGen", False, 1.0, 1.0, {"examples": [examples]})}
    refusal = Refusal("data", "column age: not there")
    day, daily = DayEntry(day="2022-04-27", status="refused"), load_declaration("simulated").daily

    def reasons() -> list[str]:
        found = outcome(day, Carry(), daily, runs, tmp_path, refusal, notes=[], rebased=False)
        return list(found["reasons"])

    first, last = reasons()
    assert first.startswith("191 of 200 rows have no line in a.csv: are keys written otherwise there")
    assert last == "column age: not there"
    # What refuses after the schema has another cause.
    runs[VALIDATOR] = NodeRun(VALIDATOR, False, 1.0, 1.0, {})
    assert reasons() == [last]


def test_rows_that_a_day_leaves_out_are_in_its_notes(tmp_path: Path) -> None:
    reject = {"file": "log.csv", "line": 7, "reason": "column scene: missing"}
    ingest = {"train": 90, "eval": 6, "duplicates": 0, "rejected": 4, "rows_read": 100, "rejects": [reject]}
    (tmp_path / "ingest_report.json").write_text(json.dumps(ingest))
    artifacts = {"examples": [SimpleNamespace(uri=str(tmp_path))]}
    ran = NodeRun("DeclaredExampleGen", False, 1.0, 1.0, artifacts)
    day = DayEntry(day="2022-04-27", status="refused")
    daily = load_declaration("simulated").daily
    refusal = Refusal("data", "half of the rows are gone")
    found = outcome(
        day, Carry(), daily, {"DeclaredExampleGen": ran}, tmp_path, refusal, notes=[], rebased=False
    )
    assert found["notes"] == [
        "4 of 100 rows cannot be used and were left out; the first: log.csv:7: column scene: missing"
    ]
