"""The split `events`: what users did without an impression of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.dataset.files import data_fingerprint
from components.errors import InputError
from components.example_gen.ingest import ingest, splits_of
from tests.components.example_gen.small import (
    DAY_MS,
    DECLARATION,
    FIRST_DAY_MS,
    declare,
    log_text,
    loop_runner,
    read_examples,
    write_data,
)

EVENTS = """\
events:
  - files: [searches.csv]
    timestamp: {column: when, unit: ms}
    columns: {item: found, click: chosen}
    behaviours: [click]
moving_average: {keys: [[user], [item], [age], [user, domain]]}
"""
FIRST = FIRST_DAY_MS - 3 * DAY_MS


def write(folder: Path, lines: list[str], text: str = EVENTS) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report and the events' examples."""
    searches = "\n".join(["when,user,found,chosen,length", *lines]) + "\n"
    data = write_data(folder, {"log1.csv": log_text(), "searches.csv": searches})
    declared = declare(folder, text=DECLARATION + text)
    uris = {split: str(folder / "out" / f"Split-{split}") for split in splits_of(declared)}
    report = ingest(declared, str(data), uris, str(folder / "tmp"), loop_runner())
    return report, read_examples(folder / "out", "events")


def test_events_have_the_columns_of_impressions_and_no_label(tmp_path: Path) -> None:
    lines = [f"{FIRST},1,a,1,7", f"{FIRST + 1},3,,0,", f"{FIRST_DAY_MS + 3 * DAY_MS},1,a,1,7"]
    report, examples = write(tmp_path, lines)
    [told] = report["events"]
    # One of them is clicked; the one that is too late does not count.
    assert told.pop("scales")["click"] == {"rows": 1, "mean": 0.0, "squares": 0.0}
    assert told == {
        "files": "searches.csv",
        "behaviours": ["click"],
        "rows": 2,
        "earlier": 0,
        "later": 1,
        "rejected": 0,
    }
    first, second = examples
    assert first["click"] == second["click"] == [-1]
    assert first["scene"] == [-(2**63)]
    assert (first["user"], first["item"], first["age"]) == ([1], [b"a"], [30])
    assert (first["behaviour.click"], second["behaviour.click"]) == ([1.0], [0.0])
    # `played` is of impressions alone, though `length` is in both.
    assert "behaviour.watched" not in first
    assert second["user"] == [3] and "item" not in second
    assert second["local_time_ms"] == [FIRST + 1 + 8 * 3_600_000]
    assert report["train"] == 36 and report["eval"] == 12


def test_the_log_is_read_as_without_events(tmp_path: Path) -> None:
    report, _ = write(tmp_path, [f"{FIRST},1,a,1,7"])
    rows = [read_examples(tmp_path / "out", split) for split in ("train", "eval")]
    data = write_data(tmp_path, {"log1.csv": log_text()})
    plain = declare(tmp_path)
    uris = {split: str(tmp_path / "plain" / f"Split-{split}") for split in splits_of(plain)}
    assert set(uris) == {"train", "eval"}
    without = ingest(plain, str(data), uris, str(tmp_path / "tmp2"), loop_runner())
    assert rows == [read_examples(tmp_path / "plain", split) for split in ("train", "eval")]
    assert {name: value for name, value in report.items() if name != "events"} == without


def test_a_changed_event_changes_the_fingerprint(tmp_path: Path) -> None:
    prints = set()
    for line in ("1,1,a,1,7", "2,1,a,1,7"):
        data = write_data(tmp_path, {"log1.csv": log_text(), "searches.csv": f"when,user,found\n{line}\n"})
        prints.add(data_fingerprint(declare(tmp_path, text=DECLARATION + EVENTS), str(data)))
    assert len(prints) == 2


@pytest.mark.parametrize(
    ("lines", "text", "message"),
    [
        ([f"{FIRST},,,1,7"], EVENTS, "searches.csv: 1 of 1 events cannot be used"),
        ([f"{FIRST},one,a,1,7"], EVENTS, "searches.csv: 1 of 1 events cannot be used"),
        ([f"{FIRST + 9 * DAY_MS},1,a,1,7"], EVENTS, "has no event before the rows to evaluate"),
        ([f"{FIRST},1,a,1,7"], EVENTS.replace("found", "fuond"), "fuond"),
        ([f"{FIRST},1,a,1,7"], EVENTS.replace("when", "whn"), "whn"),
        ([f"{FIRST},1,a,1,7"], EVENTS.replace("[click]", "[clck]"), "'clck' is no behaviour"),
        ([f"{FIRST},1,a,1,7"], EVENTS.replace("{item:", "{itm:"), "'itm' is no column of the declaration"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    tmp_path: Path, lines: list[str], text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write(tmp_path, lines, text)
