"""What a check finds beyond what the ingestion refuses, against counts worked out by hand or with sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf import text_format
from rich.console import Console

from components.dataset import Declaration
from components.dataset.schema import draft_schema
from pipeline.datasets import sampling
from pipeline.datasets.checking.check import check
from pipeline.datasets.checking.findings import CheckResult, Finding
from pipeline.datasets.checking.table import findings_table
from tests.components.example_gen.small import (
    DAY_MS,
    DECLARATION,
    FIRST_DAY_MS,
    LOG_HEADER,
    declare,
    log_text,
    write_data,
)

JUDGED = ("evaluation.min_rows=4", "evaluation.min_rarer=0", "evaluation.thresholds.average_auc={min: 0.5}")


def declared(folder: Path, *overrides: str) -> Declaration:
    declaration = declare(folder, [*JUDGED, *overrides])
    (folder / "small.pbtxt").write_text(text_format.MessageToString(draft_schema(declaration)))
    return declaration


def line(day: int, scene: int, user: int, item: str, click: int, second: int = 0) -> str:
    at = FIRST_DAY_MS + day * DAY_MS + second * 1000
    return f"{at},{scene},{user},{item},{click},3,6,x;y,n"


def log(*lines: str) -> dict[str, str | bytes]:
    return {"log.csv": "\n".join([LOG_HEADER, *lines]) + "\n"}


def found(result: CheckResult, topic: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.topic == topic]


def test_a_good_log_would_run(tmp_path: Path) -> None:
    result = check(declared(tmp_path), write_data(tmp_path, {"log.csv": log_text()}))
    assert result.would_run
    assert not [finding for finding in result.findings if finding.level == "fail"]
    assert (result.rows, result.figures["train"], result.figures["eval"]) == (48, 36, 12)
    assert result.figures["first_eval_day"] == "2022-04-28"
    assert [finding.level for finding in found(result, "schema")] == ["ok"]


@pytest.mark.parametrize(
    ("files", "level", "words"),
    [
        ({"searches.csv": "at,user,click\n1,1,0\n"}, "ok", "searches.csv: click, by user, click"),
        ({"searches.csv": "at,customer,click\n1,1,0\n"}, "fail", "whose events they are"),
        ({}, "fail", "searches.csv"),
    ],
)
def test_events_are_looked_at(tmp_path: Path, files: dict[str, str | bytes], level: str, words: str) -> None:
    text = DECLARATION + "events: [{files: [searches.csv]}]\n"
    declaration = declare(tmp_path, JUDGED, text)
    [finding] = found(check(declaration, write_data(tmp_path, {"log.csv": log_text(), **files})), "events")
    assert finding.level == level and words in finding.found


def test_duplicates_are_counted_as_the_ingestion_counts_them(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log1.csv": log_text(), "log2.csv": log_text(days=2)})
    result = check(declared(tmp_path), data)
    [finding] = found(result, "duplicates")
    assert finding.found.startswith("24 rows (33.3%) repeat")
    assert finding.level == "warn"


def test_new_users_and_items(tmp_path: Path) -> None:
    rows = [
        line(day, second % 2, second % 3, "ab"[second % 2], second % 2, second)
        for day in (0, 1)
        for second in range(8)
    ]
    # Of six evaluation rows, those of users 8 and 9 are new: three rows, two of four users.
    users = (0, 1, 8, 8, 9, 0)
    rows += [line(2, n % 2, user, "abc"[n % 3], n // 2 % 2, n) for n, user in enumerate(users)]
    result = check(declared(tmp_path), write_data(tmp_path, log(*rows)))
    [cold] = found(result, "cold users")
    assert cold.found == "50.0% of the evaluation's 4 users are new, with 50.0% of its rows"
    [items] = found(result, "cold items")
    assert items.found == "33.3% of the evaluation's 3 items are new, with 33.3% of its rows"


def test_domains_that_cannot_be_judged(tmp_path: Path) -> None:
    rows = [line(day, n % 3, n, "a", n // 3 % 2, n) for day in (0, 1) for n in range(12)]
    rows += [line(2, 0, n, "a", n % 2, n) for n in range(6)]  # decides
    rows += [line(2, 1, n, "a", 1, 10 + n) for n in range(5)]  # one class
    rows += [line(2, 2, n, "a", n % 2, 20 + n) for n in range(2)]  # few rows
    rows += [line(2, 7, n, "a", n % 2, 30 + n) for n in range(4)]  # decides, untrained
    result = check(declared(tmp_path), write_data(tmp_path, log(*rows)))
    texts = [finding.found for finding in found(result, "domains")]
    assert texts == [
        "one class in the evaluation: 1 (5 rows, 5 clicks)",
        "too few rows, or too few of a class, in the evaluation: 2 (2 rows, 1 click)",
        "no training rows: 7 (4 rows, 2 clicks)",
        "2 of 4 domains decide: at least 4 rows, 1 of each class in the evaluation",
    ]
    assert result.would_run


def test_no_domain_to_judge_by_means_no_model(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text()})
    result = check(declared(tmp_path, "evaluation.min_rows=100"), data)
    assert not result.would_run
    [finding] = [finding for finding in found(result, "domains") if finding.level == "fail"]
    assert finding.found.startswith("0 of 2 domains decide")
    assert "evaluation.min_rows" in finding.remedy


def test_too_few_clicks_to_judge_by_mean_no_model(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text()})
    result = check(declared(tmp_path, "evaluation.min_rarer=10"), data)
    assert not result.would_run
    [finding] = found(result, "evaluation")
    assert (finding.level, finding.found[:32]) == ("fail", "the evaluation has 5 clicks in 1")
    assert finding.remedy.endswith("evaluation.min_rarer: 0")


def test_gaps_and_thin_days(tmp_path: Path) -> None:
    rows = [line(day, n % 2, n % 5, "a", n // 2 % 2, n) for day in (0, 1, 4, 5) for n in range(40)]
    rows += [line(3, 0, 1, "a", 1)]
    result = check(declared(tmp_path), write_data(tmp_path, log(*rows)))
    texts = [finding.found for finding in found(result, "time")]
    assert texts == [
        "1 days without rows: 2022-04-27",
        "1 days with less than a tenth of the usual 40 rows: 2022-04-28 (1 rows)",
    ]


def test_lookups_without_a_match_and_features_that_are_never_there(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text()}, users="user,age\n1,\n2,\n")
    result = check(declared(tmp_path), data)
    texts = [finding.found for finding in result.findings]
    assert "users.csv: 50.0% of the rows have no match; its columns are missing there" in texts
    assert "never there: age" in texts


def test_a_table_whose_keys_are_written_otherwise_is_named_before_what_the_schema_misses(
    tmp_path: Path,
) -> None:
    said = "none of the 48 rows has a line in items.csv: are keys written otherwise there (leading zeros, spaces)?"
    data = write_data(tmp_path, {"log.csv": log_text()}, items="id,colour,codes\n0a,red,1\n0b,,\n")
    declaration = declared(tmp_path)
    schema = draft_schema(declaration)
    [colour] = [feature for feature in schema.feature if feature.name == "item_colour"]
    for least, level in ((0.0, "warn"), (0.9, "fail")):
        colour.presence.min_fraction = least
        (tmp_path / "small.pbtxt").write_text(text_format.MessageToString(schema))
        findings = check(declaration, data).findings
        assert [finding.level for finding in findings if finding.found == said] == [level]
    failed = [finding.topic for finding in findings if finding.level == "fail"]
    assert failed[0] == "lookups" and "schema" in failed


def test_shares_of_missing_values_are_said(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text()}, users="user,age\n1,30\n")
    texts = [(finding.level, finding.found) for finding in check(declared(tmp_path), data).findings]
    assert ("ok", "missing: age 75.0%, item_colour 66.7%, item_codes 66.7%") in texts


def test_an_integer_of_minus_one_is_no_value(tmp_path: Path) -> None:
    rows = [
        line(day, n % 2, -1 if n > 3 else n, "ab"[n % 2], n // 2 % 2, n) for day in range(3) for n in range(8)
    ]
    data = write_data(tmp_path, log(*rows), users="user,age\n0,-1\n1,-1\n2,-1\n3,-1\n-1,-1\n")
    result = check(declared(tmp_path), data)
    assert "never there: age" in [finding.found for finding in result.findings]
    [cold] = found(result, "cold users")
    assert cold.found.startswith("0.0% of the evaluation's 4 users")


def test_every_missing_column_is_named(tmp_path: Path) -> None:
    data = write_data(
        tmp_path, {"log.csv": log_text().replace("tags", "tugs", 1).replace("length", "size", 1)}
    )
    result = check(declared(tmp_path), data)
    text = " ".join(finding.found for finding in result.findings)
    assert "tags" in text
    assert "length" in text
    assert not result.would_run


def test_a_schema_that_the_data_does_not_fit(tmp_path: Path) -> None:
    declaration = declared(tmp_path)
    schema = draft_schema(declaration)
    for feature in schema.feature:
        if feature.name == "age":
            feature.presence.min_fraction = 1.0
            feature.presence.min_count = 1
    (tmp_path / "small.pbtxt").write_text(text_format.MessageToString(schema))
    result = check(declaration, write_data(tmp_path, {"log.csv": log_text()}))
    assert not result.would_run
    assert any("column age" in finding.found for finding in found(result, "schema"))


def test_settings_that_a_later_component_refuses(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text()})
    declaration = declared(tmp_path, "moving_average.keys=[[tags, item_codes]]")
    assert not check(declaration, data).would_run
    (tmp_path / "small.pbtxt").write_text("no schema")
    result = check(declare(tmp_path, JUDGED), data)
    assert any("small.pbtxt:1: not a schema" in finding.found for finding in found(result, "schema"))
    assert not result.would_run
    (tmp_path / "small.pbtxt").unlink()
    result = check(declare(tmp_path, JUDGED), data)
    assert [(finding.level, finding.found[:35]) for finding in found(result, "schema")] == [
        ("warn", "small.pbtxt is not there beside sma"),
        ("ok", "the examples fit their declared typ"),
    ]
    assert result.would_run


@pytest.fixture
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are taken from logs of a megabyte."""
    monkeypatch.setattr(sampling, "WHOLE_BYTES", 100_000)
    monkeypatch.setattr(sampling, "WINDOW_BYTES", 8_192)
    monkeypatch.setattr("pipeline.datasets.checking.check.SAMPLE_ROWS", 2_000)


@pytest.mark.usefixtures("small_samples")
def test_quick_stops_after_a_sample_and_says_so(tmp_path: Path) -> None:
    lines = [line(day, n % 2, n % 5, "a", n // 2 % 2, n) for day in range(4) for n in range(10_000)]
    result = check(declared(tmp_path), write_data(tmp_path, log(*lines)), quick=True)
    assert result.sampled
    assert 1_000 < result.rows < 8_000
    assert result.would_run is None


def test_quick_promises_nothing_of_what_it_does_not_look_at(tmp_path: Path) -> None:
    lines = [
        line(day, n % 2, n % 5, "a", n // 2 % 2 if day < 3 else 0, n) for day in range(4) for n in range(40)
    ]
    data = write_data(tmp_path, log(*lines))
    result = check(declared(tmp_path), data, quick=True)
    assert (result.would_run, result.document()["would_run"]) == (None, None)
    assert check(declared(tmp_path), data).would_run is False
    (data / "log.csv").unlink()
    assert check(declared(tmp_path), data, quick=True).would_run is False


@pytest.mark.usefixtures("small_samples")
def test_the_sample_is_told_before_the_rest_is_read(tmp_path: Path) -> None:
    lines = [line(day, n % 2, n % 5, "a", 7, n) for day in range(4) for n in range(10_000)]
    told: list[tuple[Finding, ...]] = []
    result = check(declared(tmp_path), write_data(tmp_path, log(*lines)), early=told.append)
    assert any("expected 0 or 1" in finding.found for finding in told[0])
    assert not result.would_run
    assert result.rows == 40_000


def test_json_and_table(tmp_path: Path) -> None:
    result = check(declared(tmp_path), write_data(tmp_path, {"log.csv": log_text()}))
    document = json.loads(json.dumps(result.document()))
    assert document["would_run"] is True
    assert {"level", "topic", "found", "remedy"} == set(document["findings"][0])
    console = Console(width=60, record=True)
    console.print(findings_table([Finding("fail", "rows", "column [a]: bad " * 9, "mend [b]")], "t"))
    text = console.export_text()
    assert "✗ fail" in text
    assert text.count("[a]:") == 9


@pytest.mark.parametrize("rows", [0, 1])
def test_nearly_nothing(tmp_path: Path, rows: int) -> None:
    result = check(declared(tmp_path), write_data(tmp_path, log(*[line(0, 0, 1, "a", 1)][:rows])))
    assert not result.would_run


def test_a_feature_that_knows_the_click_is_suspected(tmp_path: Path) -> None:
    """The item is `a` where there was a click; the user says nothing."""
    rows = [
        line(day, second % 2, second // 7 % 4, "ba"[second % 3 % 2], second % 3 % 2, second)
        for day in range(3)
        for second in range(240)
    ]
    suspected = found(check(declared(tmp_path), write_data(tmp_path, log(*rows))), "leak?")
    # What the table knows of the item knows it too.
    assert {finding.found.split(" ")[0] for finding in suspected} == {"item", "item_colour", "item_codes"}
    assert {finding.level for finding in suspected} == {"warn"}


def test_days_whose_clicks_are_spelt_otherwise_are_told(tmp_path: Path) -> None:
    """On days 2 and 3 a click is `Y `, which no declaration knows."""
    rows = [
        line(day, n % 2, n % 5, "a", n // 2 % 2, n).replace(
            ",a,1,", ",a,y," if day < 2 or day > 3 else ",a,Y ,"
        )
        for day in range(6)
        for n in range(40)
    ]
    declaration = declared(
        tmp_path, "positive={one_of: [y]}", "behaviours.click={column: click, positive: {one_of: [y]}}"
    )
    told = [finding.found for finding in found(check(declaration, write_data(tmp_path, log(*rows))), "label")]
    assert told == [
        "click is 'Y' in 40 rows, as 'y' but for case or spaces, and counts as 0: 2022-04-27, 2022-04-28",
        "2 days with 80 rows and no click, where others have 50.0%: 2022-04-27, 2022-04-28",
    ]


def test_a_domain_that_is_spelled_two_ways_is_told(tmp_path: Path) -> None:
    rows = [line(day, n % 2, n % 5, "a", n // 2 % 2, n).split(",") for day in range(6) for n in range(40)]
    for row in rows:
        row[1] = ("Home", "feed")[int(row[1])]
    rows[7][1] = "Feed"
    named = [",".join(row) for row in rows]
    declaration = declared(tmp_path, "features.scene={type: string, treatment: vocabulary}")
    told = [
        finding.found for finding in found(check(declaration, write_data(tmp_path, log(*named))), "domains")
    ]
    assert "scene is 'feed' in 119 rows and 'Feed' in 1 rows, alike but for case or spaces" in told


@pytest.mark.parametrize(("value", "silent"), [(7, True), (1, False)])
def test_a_value_for_serving_that_no_row_has_is_told(tmp_path: Path, value: int, silent: bool) -> None:
    rows = [line(day, n % 2, n % 5, "a", n // 2 % 2, n) for day in range(3) for n in range(40)]
    users = "user,age\n0,1\n1,2\n2,3\n3,2\n4,1\n"
    declaration = declared(tmp_path, f"features.age.at_serving={value}")
    told = found(check(declaration, write_data(tmp_path, log(*rows), users=users)), "at_serving")
    assert bool(told) is silent
