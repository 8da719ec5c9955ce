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
from pipeline.daily.history import write_history
from pipeline.daily.html import history_page
from pipeline.daily.ledger import Carry, DayEntry, DomainFigures, Progressive, Service
from pipeline.daily.request import DailyRequest
from pipeline.daily.rollback import rollback
from pipeline.daily.served import Served, pushed_by, served
from pipeline.daily.table import print_history
from pipeline.layout import RunLayout
from pipeline.root_lock import root_lock
from tests.components.example_gen.small import DECLARATION, ITEMS, USERS
from tests.pipeline.daily.test_days import DAYS, rows_of, write


class Refusals(dict[str, list[str]]):
    """By day, the reasons for which the fake pipeline refuses it.

    Attributes:
      models: days whose model it refuses.
      given: by day, what it started from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.models: set[str] = set()
        self.given: dict[str, Carry] = {}


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
    found = Refusals()
    layout = RunLayout((feed / "root").resolve())

    def make_day(
        declaration: Any, delivery: Delivery, entry: DayEntry, carry: Carry, place: object
    ) -> DayEntry:
        found.given[entry.day] = carry
        if delivery.day in found and not entry.accepted:
            return entry.model_copy(update={"reasons": found[delivery.day]})
        folder = layout.artifacts / f"{entry.day}-{entry.salt}-{entry.fingerprint[:6]}"
        for name in ("model", "run", "state", "examples", "graph", "figures"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        model, run = str(folder / "model"), str(folder / "run")
        service = None
        if entry.day not in found.models:
            (folder / "model" / "saved_model.pb").write_text(entry.identity)
            told = pushed_by(entry.day, layout.root)
            version = str(push(folder / "model", layout.serving / "dfei", model, told=told))
            service = Service(day=entry.day, model=model, model_run=run, version=version)
        made = Made(
            entry.day,
            *(str(folder / name) for name in ("state", "examples", "graph", "figures")),
            service=service,
        )
        domains = {"0": DomainFigures(rows=30, positives=10, auc=0.6, auc_standard_error=0.1)}
        judged = Progressive(overall_auc=0.7, calibration=1.02, domains=domains) if carry.judge else None
        return entry.model_copy(
            update={
                "status": "pushed" if service else "refused",
                "refused_at": "" if service else "model",
                "pushed_to": service.version if service else None,
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


def in_service(feed: Path) -> tuple[str, str | None]:
    """The version that the terminal, the page and `history.json` call served, and the day that it has learned."""
    found = history(feed)["in_service"]
    newest = versions(feed / "root/serving/dfei")[-1]
    assert Path(found["version"]).name == str(newest)
    assert f"in service: {found['version']}, which" in (feed / "root/history.html").read_text()
    return found["version"], found["day"]


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
    made, _ = run(feed, accept=(DAYS[1],))
    assert [(entry.day, entry.status) for entry in made] == [(DAYS[1], "pushed"), (DAYS[2], "pushed")]


@pytest.mark.parametrize("between", ["-", "_", ""])
def test_a_declared_date_finds_the_days_of_the_log_and_of_its_tables(
    feed: Path, refusals: Refusals, between: str
) -> None:
    for number, day in enumerate(DAYS):
        written = day.replace("-", between)
        (feed / f"data/log-{number}.csv").rename(feed / f"data/log_{written}.csv")
        (feed / f"data/items_{written}.csv").write_text(ITEMS)
    (feed / "data/items.csv").unlink()
    text = DECLARATION.replace("log*.csv", "log_{data_day}.csv").replace(
        "[items.csv]", "['items_{data_day}.csv']"
    )
    (feed / "feed.yaml").write_text(text)
    made, said = run(feed)
    assert [(entry.day, entry.status) for entry in made] == [(day, "pushed") for day in DAYS]
    assert "no pattern matches" not in said


def test_several_days_are_accepted_at_once(feed: Path, refusals: Refusals) -> None:
    # The last is refused for what no setting bounds.
    refusals[DAYS[0]], refusals[DAYS[2]] = ["few rows (daily.gates.factor)"], ["no row at 7 (daily.gates)"]
    made, text = run(feed)
    assert [entry.status for entry in made] == ["refused", "pushed", "refused"]
    assert f"--accept {DAYS[2]}" in text
    made, _ = run(feed, accept=(DAYS[0], DAYS[2]))
    assert [(entry.day, entry.status) for entry in made] == [(day, "pushed") for day in DAYS]
    assert [day["accepted"] for day in history(feed)["days"]] == [True, False, True]
    with pytest.raises(InputError, match="--accept 2030-01-01: the data hold"):
        run(feed, accept=(DAYS[0], "2030-01-01"))


def test_what_cannot_be_read_is_not_accepted(feed: Path, refusals: Refusals) -> None:
    refusals[DAYS[1]] = ["log-1.csv: the column user_id is in none of the files"]
    with pytest.raises(InputError, match=f"--accept {DAYS[1]}: no gate has refused it yet"):
        run(feed, accept=(DAYS[1],))
    made, text = run(feed)
    assert [entry.status for entry in made] == ["pushed", "refused", "pushed"]
    assert "--accept" not in text
    assert "Deliver the day anew" in text
    for day, why in ((DAYS[1], "refused: log-1.csv: the column"), (DAYS[0], "pushed")):
        with pytest.raises(InputError, match=f"--accept {day}: .* this day is {why}"):
            run(feed, accept=(day,))


def test_files_that_were_not_judged_are_not_accepted(feed: Path, refusals: Refusals) -> None:
    refusals[DAYS[1]] = ["few rows (daily.gates.factor)"]
    run(feed)
    log = feed / "data" / "log-1.csv"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(
        InputError, match=f"--accept {DAYS[1]}: its files are others than those that were judged"
    ):
        run(feed, accept=(DAYS[1],))
    made, _ = run(feed)
    assert [entry.status for entry in made] == ["refused", "pushed"]
    made, _ = run(feed, accept=(DAYS[1],))
    assert [entry.status for entry in made] == ["pushed", "pushed"]


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
    write(feed / "data", {"log-1.csv": rows_of(1)})
    assert run(feed)[0][0].cause == "delivered anew"


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
        ({"accept": ("2022-05-30",)}, "--accept 2022-05-30: the data hold"),
    ],
)
def test_days_that_cannot_be(feed: Path, refusals: Refusals, options: dict[str, Any], message: str) -> None:
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
    book, serving = Book(RunLayout((feed / "root").resolve())), (feed / "root/serving/dfei").resolve()
    before = versions(serving)
    done = rollback(book, serving, None)
    assert done.day == DAYS[1]
    assert Path(done.chosen).name == str(before[1])
    assert versions(serving)[:-1] == before
    assert (serving / str(versions(serving)[-1]) / "saved_model.pb").read_text() == (
        serving / str(before[1]) / "saved_model.pb"
    ).read_text()
    write_history(book, load_declaration("simulated", ()), serving, "dfei rollback")
    assert in_service(feed) == (done.pushed_to, DAYS[1])
    assert run(feed)[0] == []
    write(feed / "data", {"log-3.csv": rows_of(3)})
    [entry] = run(feed)[0]
    assert int(Path(entry.pushed_to or "").name) > int(Path(done.pushed_to).name)
    assert refusals.given[entry.day].unlearned == [DAYS[2]]
    assert entry.carry.unlearned == []
    assert rollback(book, serving, str(before[0])).day == DAYS[0]
    with pytest.raises(InputError, match="no day has pushed a model before it"):
        rollback(book, serving, None)
    with pytest.raises(InputError, match="12: no such version; on the disk are"):
        rollback(book, serving, "12")


def deliver(feed: Path, day: int, other: int = 9) -> None:
    """A day anew, with fewer rows."""
    write(feed / "data", {f"log-{day}.csv": rows_of(day, 60 - other)})


def test_a_day_delivered_anew_and_refused_is_still_served(feed: Path, refusals: Refusals) -> None:
    """What a server takes is the newest version: no screen may name another."""
    made, _ = run(feed)
    deliver(feed, 2)
    refusals[DAYS[2]] = ["half of the rows are gone (daily.gates.factor)"]
    _, text = run(feed)
    learned = f"which has learned {DAYS[2]}, as that day was before it was made anew"
    assert f"Still served: {made[2].pushed_to}, {learned}" in text
    assert in_service(feed) == (made[2].pushed_to, DAYS[2])
    book, serving = Book(RunLayout((feed / "root").resolve())), feed / "root/serving/dfei"
    out = io.StringIO()
    entries, declaration = book.ledger.entries(), load_declaration("simulated", ())
    print_history(
        entries, declaration, served(entries, serving, book.layout.root), Console(file=out, width=400)
    )
    assert f"in service: {made[2].pushed_to}, {learned}" in out.getvalue()
    # The day before the one that is served, whatever the ledger has of the refused one.
    assert rollback(book, serving, None).day == DAYS[1]
    _, text = run(feed, first=DAYS[2])
    assert (
        f"Still served: {serving.resolve() / str(versions(serving)[-1])}, which has learned {DAYS[1]}" in text
    )


def test_of_a_model_that_somebody_went_back_from_nothing_is_learned_again(
    feed: Path, refusals: Refusals
) -> None:
    write(feed / "data", {"log-3.csv": rows_of(3)})
    made, _ = run(feed)
    first = made[0]
    book, serving = Book(RunLayout((feed / "root").resolve())), feed / "root/serving/dfei"
    rollback(book, serving, Path(first.pushed_to or "").name)
    # The newest day again: its day before has a model that was taken back.
    deliver(feed, 3)
    [again] = run(feed)[0]
    assert again.notes == [f"goes on from the model that has learned {DAYS[0]}: somebody went back to it"]
    given = refusals.given[again.day]
    assert given.service == first.carry.service
    assert given.unlearned == [DAYS[2], DAYS[1]]
    # Later, too, and after another rollback.
    write(feed / "data", {"log-4.csv": rows_of(4)})
    run(feed)
    assert rollback(book, serving, None).day == again.day
    deliver(feed, 3, 6)
    run(feed)
    assert refusals.given[again.day].service == first.carry.service
    # Whoever went back too far may return.
    known = made[2].carry.service
    assert known is not None
    assert rollback(book, serving, Path(known.version).name).day == DAYS[2]
    deliver(feed, 3, 3)
    run(feed)
    assert refusals.given[again.day].service == known


def test_what_is_served_judges_the_first_model_whoever_made_it(feed: Path, refusals: Refusals) -> None:
    serving = feed / "root/serving/dfei"
    (feed / "by_hand").mkdir()
    (feed / "by_hand/saved_model.pb").write_text("of a run")
    earlier = push(feed / "by_hand", serving, "/elsewhere/model")
    refusals.models.update(DAYS[:2])
    made, text = run(feed)
    assert [entry.status for entry in made] == ["refused", "refused", "pushed"]
    assert f"Still served: {earlier.resolve()}, which no day of this feed has made" in text
    assert f"judged by version {earlier.name}, which is in service" in made[1].notes[0]
    for entry in made:
        given = refusals.given[entry.day]
        assert (Path(given.judge) / "Format-Serving/saved_model.pb").read_text() == "of a run"
        assert given.service is None and entry.carry.incumbent == ""
    write(feed / "data", {"log-3.csv": rows_of(3)})
    [entry] = run(feed)[0]
    service = made[2].carry.service
    assert service is not None and refusals.given[entry.day].judge == service.model
    assert entry.notes == []
    # Made again, the days end as they did.
    run(feed, first=DAYS[0])
    assert refusals.given[DAYS[1]].judge == ""


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
    before = versions(feed / "root/serving/dfei")
    monkeypatch.setattr(Ledger, "write", whole)
    [entry] = run(feed, next_only=True)[0]
    assert versions(feed / "root/serving/dfei") == before == [int(Path(entry.pushed_to or "").name)]
    # It is not judged by what it made itself.
    assert refusals.given[entry.day].judge == ""


def test_a_refused_model_says_what_is_served_and_what_to_do(feed: Path, refusals: Refusals) -> None:
    carry = run(feed, next_only=True)[0][0].carry
    reason = "overall AUC 0.4 is below the threshold 0.5: evaluation.thresholds.overall_auc.min"
    entry = DayEntry(day=DAYS[1], status="refused", refused_at="model", reasons=[reason], carry=carry)
    text = io.StringIO()
    assert carry.service is not None
    now = Served(Path(carry.service.version), day=DAYS[0], known=True)
    daily_run._tell(entry, now, "The bound is set in feed.yaml", Console(file=text, width=400))
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
    document = history_of({first.day: first}, declaration, None)
    assert document["days"][0]["status"] == "refused"
    page = history_page(document, declaration, [], None, [], "dfei daily", "/home/me")
    assert "In the directory /home/me: relative paths begin there." in page
    assert "the first filled the averages" in page
    assert "refused" not in page.split("</head>")[1].replace("--c2", "")
    console = Console(file=io.StringIO(), width=80)
    print_history({first.day: first}, declaration, None, console)
    assert "refused" not in console.file.getvalue()
