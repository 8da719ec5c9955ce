"""The command on a real folder and a real ledger, with a pipeline that only notes what it was given."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from components.dataset.loader import load_declaration
from components.errors import InputError
from components.pusher.atomic import push, versions
from pipeline.daily import run as daily_run
from pipeline.daily.book import Book
from pipeline.daily.carry import Made, after
from pipeline.daily.days import Delivery
from pipeline.daily.history import history as history_of
from pipeline.daily.html import history_page
from pipeline.daily.ledger import Carry, DayEntry, DomainFigures, Progressive, Service
from pipeline.daily.request import DailyRequest
from pipeline.daily.rollback import rollback
from pipeline.daily.table import print_history
from pipeline.layout import RunLayout
from pipeline.root_lock import root_lock
from tests.components.example_gen.small import DECLARATION, ITEMS, USERS
from tests.pipeline.daily.test_days import DAYS, rows_of, write

Refusals = dict[str, list[str]]


@pytest.fixture()
def feed(tmp_path: Path) -> Path:
    """Three days, their declaration, and an empty root."""
    write(tmp_path / "data", {f"log-{day}.csv": rows_of(day) for day in range(3)})
    (tmp_path / "data" / "users.csv").write_text(USERS)
    (tmp_path / "data" / "items.csv").write_text(ITEMS)
    (tmp_path / "feed.yaml").write_text(DECLARATION)
    return tmp_path


@pytest.fixture()
def refusals(feed: Path, monkeypatch: pytest.MonkeyPatch) -> Refusals:
    """By day, the reasons for which the fake pipeline refuses it."""
    found: Refusals = {}
    layout = RunLayout(feed / "root")

    def make_day(
        declaration: Any, delivery: Delivery, entry: DayEntry, carry: Carry, place: object
    ) -> DayEntry:
        if delivery.day in found and not entry.accepted:
            return entry.model_copy(update={"reasons": found[delivery.day]})
        folder = layout.artifacts / f"{entry.day}-{entry.salt}-{entry.fingerprint[:6]}"
        for name in ("model", "run", "state", "examples", "graph", "figures"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "model" / "saved_model.pb").write_text(entry.identity)
        serving = layout.serving / "dfei"
        version = push(folder / "model", serving, str(folder / "model"))
        service = Service(
            day=entry.day, model=str(folder / "model"), model_run=str(folder / "run"), version=str(version)
        )
        made = Made(
            entry.day,
            *(str(folder / name) for name in ("state", "examples", "graph", "figures")),
            service=service,
        )
        domains = {"0": DomainFigures(rows=30, positives=10, auc=0.6, auc_standard_error=0.1)}
        judged = Progressive(overall_auc=0.7, calibration=1.02, domains=domains) if carry.service else None
        return entry.model_copy(
            update={
                "status": "pushed",
                "refused_at": "",
                "pushed_to": str(version),
                "rows": {"train": 50, "eval": 10},
                "progressive": judged,
                "carry": after(carry, made, declaration.daily),
            }
        )

    monkeypatch.setattr("pipeline.daily.make.make_day", make_day)
    return found


def run(feed: Path, **options: Any) -> tuple[list[DayEntry], str]:
    request = DailyRequest(
        str(feed / "feed.yaml"), feed / "data", feed / "root", command="dfei daily", **options
    )
    text = io.StringIO()
    made = daily_run.daily(request, Console(file=text, width=400))
    return made, text.getvalue()


def history(feed: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((feed / "root" / "history.json").read_text())
    return document


def test_a_day_that_lies_where_no_pattern_looks_is_named(feed: Path, refusals: Refusals) -> None:
    (feed / "data/april").mkdir()
    write(feed / "data/april", {"log-3.csv": rows_of(3)})
    _, text = run(feed)
    assert "1 file looks like the log and no pattern matches: april/log-3.csv" in text


def test_what_was_refused_stays_on_the_page_when_the_day_is_made_again(
    feed: Path, refusals: Refusals
) -> None:
    refusals[DAYS[1]] = ["half of the rows are gone"]
    run(feed)
    del refusals[DAYS[1]]
    run(feed, first=DAYS[1])
    assert [day["status"] for day in history(feed)["days"]] == ["pushed"] * 3
    page = (feed / "root/history.html").read_text()
    assert page.count("half of the rows are gone") == 1
    assert f"{DAYS[1]} refused" in page
    journal = feed / "root/daily/journal.jsonl"
    journal.write_text(journal.read_text() + '{"at": "2026')  # cut off by a kill
    run(feed, first=DAYS[2])
    assert f"{DAYS[1]} refused" in (feed / "root/history.html").read_text()


def test_all_that_are_due_then_nothing(feed: Path, refusals: Refusals) -> None:
    made, text = run(feed)
    assert [entry.status for entry in made] == ["pushed"] * 3
    assert "overall AUC of 0.7000 and predicted 1.02 times as many clicks as came" in text
    assert [day["day"] for day in history(feed)["days"]] == DAYS
    assert len(versions(feed / "root/serving/dfei")) == 3
    made, text = run(feed)
    assert made == []
    assert "nothing is due: 2022-04-27 is the newest day, pushed" in text
    assert (feed / "root/history.html").read_text().count(DAYS[1]) > 1


def test_one_day_at_a_time(feed: Path, refusals: Refusals) -> None:
    assert [run(feed, next_only=True)[0][0].day for _ in range(3)] == DAYS


def test_a_refusal_changes_nothing_is_said_and_calls_the_users_command(
    feed: Path, refusals: Refusals
) -> None:
    refusals[DAYS[1]] = [
        "domain 7: 0 rows where about 300 are usual: is the delivery complete? (daily.gates.factor)"
    ]
    command = 'printf "%s %s %s" "$DFEI_DAY" "$DFEI_STATUS" "$DFEI_REASONS" > "$DFEI_ROOT/said"'
    made, text = run(feed, on_refusal=command)
    assert [entry.status for entry in made] == ["pushed", "refused", "pushed"]
    assert made[1].carry == made[0].carry
    assert (feed / "root/said").read_text() == f"{DAYS[1]} refused {refusals[DAYS[1]][0]}"
    assert f"give this command again with --accept {DAYS[1]}" in text
    assert f"The bound is the default: {feed / 'feed.yaml'} sets none" in text
    assert f"Still served: {made[0].pushed_to}, which has learned {DAYS[0]}" in text
    assert text.count("0 rows where about 300") == 1
    [refused] = [day for day in history(feed)["days"] if day["status"] == "refused"]
    assert refused["reasons"] == refusals[DAYS[1]]
    made, _ = run(feed, accept=DAYS[1])
    assert [(entry.day, entry.status) for entry in made] == [(DAYS[1], "pushed"), (DAYS[2], "pushed")]


def test_what_cannot_be_read_is_not_accepted(feed: Path, refusals: Refusals) -> None:
    refusals[DAYS[1]] = ["log-1.csv: the column user_id is in none of the files"]
    with pytest.raises(InputError, match=f"--accept {DAYS[1]}: no gate has refused it yet"):
        run(feed, accept=DAYS[1])
    made, text = run(feed)
    assert [entry.status for entry in made] == ["pushed", "refused", "pushed"]
    assert "--accept" not in text
    assert "Deliver the day anew" in text
    for day, why in ((DAYS[1], "refused: log-1.csv: the column"), (DAYS[0], "pushed")):
        with pytest.raises(InputError, match=f"--accept {day}: .* this day is {why}"):
            run(feed, accept=day)


def test_what_is_said_to_be_served_is_the_newest_version(feed: Path, refusals: Refusals) -> None:
    made, _ = run(feed)
    refusals[DAYS[1]] = ["0 rows (daily.gates.factor)"]
    _, text = run(feed, first=DAYS[1], last=DAYS[1], next_only=True)
    assert f"Still served: {made[2].pushed_to}, which has learned {DAYS[2]}" in text


def test_a_command_that_fails_is_said(feed: Path, refusals: Refusals) -> None:
    refusals[DAYS[0]] = ["no"]
    made, text = run(feed, on_refusal="exit 7", next_only=True)
    assert [entry.status for entry in made] == ["refused"]
    assert "--on-refusal: exit code 7" in text


def test_a_missing_day_is_written_down(feed: Path, refusals: Refusals) -> None:
    (feed / "data/log-1.csv").unlink()
    made, text = run(feed)
    assert [entry.status for entry in made] == ["pushed", "missing", "pushed"]
    assert "no file of this day has arrived" in text
    write(feed / "data", {"log-1.csv": rows_of(1)})
    made, text = run(feed)
    assert [(entry.day, entry.cause) for entry in made] == [
        (DAYS[1], "it arrived late"),
        (DAYS[2], "a day before it was made anew"),
    ]


def test_an_unreadable_file_is_a_refused_day(feed: Path, refusals: Refusals) -> None:
    (feed / "data/log-1.csv").write_text("nothing,that,is,known\n1,2,3,4\n")
    made, _ = run(feed)
    assert [entry.status for entry in made] == ["pushed", "refused", "pushed"]
    assert "has no column at (the timestamp)" in made[1].reasons[0]


def test_two_at_once(feed: Path, refusals: Refusals) -> None:
    with (
        root_lock(RunLayout((feed / "root").resolve()).lock),
        pytest.raises(InputError, match="in use by another run"),
    ):
        run(feed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": "yesterday"}, "--from yesterday: write a day as 2026-03-14"),
        ({"last": "2022-4-25"}, "--to 2022-4-25: write a day as"),
        ({"first": DAYS[1], "last": DAYS[0]}, f"--to {DAYS[0]} is before --from {DAYS[1]}"),
        ({"first": "2022-05-30"}, f"--from 2022-05-30: the data hold {DAYS[0]} to {DAYS[2]}"),
        ({"accept": "2022-05-30"}, "--accept 2022-05-30: the data hold"),
    ],
)
def test_days_that_cannot_be(feed: Path, refusals: Refusals, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(feed, **options)


def test_no_data_at_all(feed: Path, refusals: Refusals) -> None:
    for path in (feed / "data").glob("log-*"):
        path.unlink()
    with pytest.raises(InputError, match=r"no file of log\*.csv holds a day"):
        run(feed)


def test_what_yesterday_made_is_gone(feed: Path, refusals: Refusals) -> None:
    run(feed, last=DAYS[1])
    entry = Book(RunLayout(feed / "root")).ledger.entries()[DAYS[1]]
    Path(entry.carry.state).rmdir()
    with pytest.raises(
        InputError, match=f"is gone, which the day after {DAYS[1]} starts from: `dfei daily --from {DAYS[1]}`"
    ):
        run(feed)
    made, _ = run(feed, first=DAYS[1])
    assert [(entry.day, entry.status) for entry in made] == [(DAYS[1], "pushed"), (DAYS[2], "pushed")]


def test_the_clock_was_set_back(feed: Path, refusals: Refusals) -> None:
    run(feed, last=DAYS[0])
    ledger = Book(RunLayout(feed / "root")).ledger
    ledger.write(ledger.entries()[DAYS[0]].model_copy(update={"finished": "2999-01-01T00:00:00+00:00"}))
    _, text = run(feed)
    assert "was it set back?" in text


def test_rollback_and_the_next_push_is_newer(feed: Path, refusals: Refusals) -> None:
    run(feed)
    book, serving = Book(RunLayout(feed / "root")), feed / "root/serving/dfei"
    before = versions(serving)
    done = rollback(book, serving, None)
    assert done.day == DAYS[1]
    assert Path(done.chosen).name == str(before[1])
    assert versions(serving)[:-1] == before
    assert (serving / str(versions(serving)[-1]) / "saved_model.pb").read_text() == (
        serving / str(before[1]) / "saved_model.pb"
    ).read_text()
    carry = book.ledger.entries()[DAYS[2]].carry
    assert carry.service is not None
    assert (carry.service.day, carry.service.version, carry.unlearned) == (DAYS[1], done.pushed_to, [DAYS[2]])
    assert run(feed)[0] == []
    write(feed / "data", {"log-3.csv": rows_of(3)})
    [entry] = run(feed)[0]
    assert int(Path(entry.pushed_to or "").name) > int(Path(done.pushed_to).name)
    assert entry.carry.unlearned == []
    assert rollback(book, serving, str(before[0])).day == DAYS[0]
    with pytest.raises(InputError, match="the first model that was pushed"):
        rollback(book, serving, None)
    with pytest.raises(InputError, match="12: no such version; on the disk are"):
        rollback(book, serving, "12")


def test_killed_between_push_and_entry(
    feed: Path, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day is due again, and its model is not pushed twice."""
    from pipeline.daily.ledger import Ledger

    whole: Callable[[Ledger, DayEntry], None] = Ledger.write

    def killed(self: Ledger, entry: DayEntry) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        run(feed, next_only=True)
    served = versions(feed / "root/serving/dfei")
    monkeypatch.setattr(Ledger, "write", whole)
    [entry] = run(feed, next_only=True)[0]
    assert versions(feed / "root/serving/dfei") == served == [int(Path(entry.pushed_to or "").name)]


def test_a_refused_model_says_what_is_served_and_what_to_do(feed: Path, refusals: Refusals) -> None:
    carry = run(feed, next_only=True)[0][0].carry
    reason = "overall AUC 0.4 is below the threshold 0.5: evaluation.thresholds.overall_auc.min"
    entry = DayEntry(day=DAYS[1], status="refused", refused_at="model", reasons=[reason], carry=carry)
    text = io.StringIO()
    daily_run._tell(
        entry, entry.carry.service, "The bound is set in feed.yaml", Console(file=text, width=400)
    )
    assert carry.service is not None
    assert [line.strip() for line in text.getvalue().splitlines()] == [
        f"refused {DAYS[1]}",
        reason,
        "The bound is set in feed.yaml",
        f"Still served: {carry.service.version}, which has learned {DAYS[0]}",
        "The next day learns these rows too. If it is refused as well, look at the days in history.html before you "
        "lower a bound",
    ]


def test_the_first_day_is_no_alarm() -> None:
    first = DayEntry(day=DAYS[0], status="refused", reasons=["the first day fills the averages"])
    text = io.StringIO()
    daily_run._tell(first, None, "feed.yaml", Console(file=text, width=400))
    assert text.getvalue().splitlines() == [f"learned {DAYS[0]}", "  the first day fills the averages"]
    declaration = load_declaration("simulated", ())
    document = history_of({first.day: first}, declaration)
    assert document["days"][0]["status"] == "refused"
    page = history_page(document, declaration, [], [], "dfei daily", "/home/me")
    assert "In the directory /home/me: relative paths begin there." in page
    assert "the first filled the averages" in page
    assert "refused" not in page.split("</head>")[1].replace("--c2", "")
    console = Console(file=io.StringIO(), width=80)
    print_history({first.day: first}, declaration, console)
    assert "refused" not in console.file.getvalue()
