"""Which days are due: late, delivered anew, missing, made again; and that kills change nothing in the end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset.sections import Daily
from pipeline.daily.carry import Made, after
from pipeline.daily.days import Deliveries, Delivery, Part
from pipeline.daily.ledger import Carry, DayEntry, Ledger, Service
from pipeline.daily.plan import DueDay, Wanted, next_due

DAILY = Daily(replay_days=2, rebase_days=3)
TODAY = "2026-12-31"
NOTHING = Wanted()


def day(number: int) -> str:
    return f"2026-03-{number:02}"


def delivered(contents: Mapping[int, str]) -> Deliveries:
    """Days of which each has one file, whose rows are told apart by a text; `bad...` is refused."""
    return Deliveries(
        days={
            day(number): Delivery(day=day(number), parts={f"{number}.csv": part(text)})
            for number, text in sorted(contents.items())
        }
    )


def part(text: str, rows: int = 1000) -> Part:
    return Part(rows=rows, hash=hashlib.blake2b(text.encode(), digest_size=16).hexdigest())


def make(
    due: DueDay, entries: Mapping[str, DayEntry], contents: Mapping[int, str], accepted: frozenset[str]
) -> DayEntry:
    """A day's pipeline in a few lines: what it makes is named by everything that it was made of."""
    before = (
        entries[max(d for d in entries if d < due.day)] if min(entries, default=due.day) < due.day else None
    )
    carry = before.carry if before else Carry()
    earlier = entries.get(due.day)
    entry = DayEntry(
        day=due.day,
        status="missing",
        prior=before.identity if before else "",
        cause=due.cause,
        accepted=due.day in accepted,
        salt=(earlier.salt if earlier else 0) + (due.cause == "asked for"),
    )
    if due.delivery is None:
        return entry.model_copy(update={"carry": after(carry, None, DAILY)})
    text = contents[int(due.day[-2:])]
    entry = entry.model_copy(update={"fingerprint": due.delivery.fingerprint, "parts": due.delivery.parts})
    if text.startswith("bad data") and not entry.accepted:
        return entry.model_copy(update={"status": "refused", "carry": after(carry, None, DAILY)})
    state = f"{carry.state}/{text}"
    learned = [*reversed(carry.unlearned), due.day]
    weights = (carry.service.model if carry.service else "") + "+" + ",".join(learned)
    service = None
    if not text.startswith("bad model"):
        service = Service(day=due.day, model=weights, model_run=weights, version=f"v-{weights}")
    made = Made(due.day, state, f"rows {text}", f"graph {text}", f"figures {text}", "", service)
    status = "pushed" if service else "refused"
    return entry.model_copy(update={"status": status, "carry": after(carry, made, DAILY)})


class Killed(BaseException):
    """The process ends."""


def run(
    folder: Path, contents: Mapping[int, str], wanted: Wanted = NOTHING, kill_at: int | None = None
) -> list[str]:
    """What `dfei daily` does, on the real ledger; `kill_at` days in, before the entry is written."""
    ledger = Ledger(folder)
    done: list[str] = []
    while True:
        entries = ledger.entries()
        due, _ = next_due(delivered(contents), entries, TODAY, 0.001, wanted, frozenset(done))
        if due is None:
            return done
        entry = make(due, entries, contents, wanted.accepted)
        if kill_at == len(done):
            raise Killed
        ledger.write(entry)
        done.append(due.day)


def outcome(folder: Path) -> dict[str, tuple[str, Carry]]:
    return {name: (entry.status, entry.carry) for name, entry in Ledger(folder).entries().items()}


def test_every_day_in_order_and_nothing_twice(tmp_path: Path) -> None:
    assert run(tmp_path, {1: "a", 2: "b", 3: "c"}) == [day(1), day(2), day(3)]
    assert run(tmp_path, {1: "a", 2: "b", 3: "c"}) == []
    assert run(tmp_path, {1: "a", 2: "b", 3: "c", 4: "d"}) == [day(4)]
    status, carry = outcome(tmp_path)[day(4)]
    assert (status, carry.state) == ("pushed", "/a/b/c/d")
    assert [learned.day for learned in carry.learned] == [day(4), day(3), day(2)]


def test_the_newest_day_waits_until_it_is_over() -> None:
    arrived = delivered({1: "a", 2: "b"})
    entries = {}
    due, _ = next_due(arrived, entries, day(2), 0.001)
    assert due is not None and due.day == day(1)
    entries[day(1)] = make(due, {}, {1: "a", 2: "b"}, frozenset())
    assert next_due(arrived, entries, day(2), 0.001)[0] is None
    due, _ = next_due(arrived, entries, day(3), 0.001)
    assert due is not None and due.day == day(2)


def test_a_day_that_is_late_is_missing_first_and_then_put_right(tmp_path: Path) -> None:
    assert run(tmp_path, {1: "a", 3: "c"}) == [day(1), day(2), day(3)]
    assert [status for status, _ in outcome(tmp_path).values()] == ["pushed", "missing", "pushed"]
    assert outcome(tmp_path)[day(3)][1].state == "/a/c"
    assert run(tmp_path, {1: "a", 2: "b", 3: "c", 4: "d"}) == [day(2), day(3), day(4)]
    run(tmp_path / "on time", {1: "a", 2: "b", 3: "c", 4: "d"})
    assert outcome(tmp_path) == outcome(tmp_path / "on time")


def test_a_day_delivered_anew_is_made_again_with_those_after_it(tmp_path: Path) -> None:
    run(tmp_path, {1: "a", 2: "bad data", 3: "c", 4: "d"})
    assert [status for status, _ in outcome(tmp_path).values()] == ["pushed", "refused", "pushed", "pushed"]
    assert run(tmp_path, {1: "a", 2: "b", 3: "c", 4: "d"}) == [day(2), day(3), day(4)]
    run(tmp_path / "at once", {1: "a", 2: "b", 3: "c", 4: "d"})
    assert outcome(tmp_path) == outcome(tmp_path / "at once")


def test_refused_data_change_nothing_and_a_refused_model_only_the_weights(tmp_path: Path) -> None:
    run(tmp_path, {1: "a", 2: "bad data", 3: "bad model", 4: "bad model 2", 5: "e"})
    found = outcome(tmp_path)
    assert found[day(2)][1] == found[day(1)][1]
    state, weights = found[day(3)][1].state, found[day(3)][1].service
    assert (state, weights) == ("/a/bad model", found[day(1)][1].service)
    assert found[day(4)][1].unlearned == [day(4), day(3)]
    last = found[day(5)][1]
    assert last.unlearned == []
    assert last.service is not None and last.service.model == f"+{day(1)}+{day(3)},{day(4)},{day(5)}"


def test_a_refused_day_is_not_tried_again_unless_it_is_accepted(tmp_path: Path) -> None:
    contents = {1: "a", 2: "bad data", 3: "c"}
    run(tmp_path, contents)
    assert run(tmp_path, contents) == []
    assert run(tmp_path, contents, Wanted(accepted=frozenset({day(2)}))) == [day(2), day(3)]
    assert outcome(tmp_path)[day(2)][0] == "pushed"
    assert run(tmp_path, contents) == []


def test_days_made_again_are_as_they_were(tmp_path: Path) -> None:
    contents = {1: "a", 2: "b", 3: "c", 4: "d"}
    run(tmp_path, contents)
    before = outcome(tmp_path)
    assert run(tmp_path, contents, Wanted(first=day(2), last=day(3))) == [day(2), day(3)]
    assert run(tmp_path, contents) == [day(4)]
    assert outcome(tmp_path) == before


def test_a_feed_that_was_begun_later_leaves_older_days_alone(tmp_path: Path) -> None:
    contents = {1: "a", 2: "b", 3: "c", 4: "d"}
    assert run(tmp_path, contents, Wanted(first=day(3))) == [day(3), day(4)]
    assert run(tmp_path, contents) == []
    assert run(tmp_path, contents, Wanted(first=day(2))) == [day(2), day(3), day(4)]


def test_files_of_old_days_may_be_cleared_away(tmp_path: Path) -> None:
    run(tmp_path, {1: "a", 2: "b"})
    assert run(tmp_path, {2: "b", 3: "c"}) == [day(3)]
    assert outcome(tmp_path)[day(3)][1].state == "/a/b/c"


@pytest.mark.parametrize(("late", "again"), [(2, False), (3, True)])
def test_a_few_late_events_are_only_said(late: int, again: bool) -> None:
    def with_events(rows: int) -> Delivery:
        return Delivery(
            day=day(1), parts={"1.csv": part("1")}, events={"0": {"search.csv": part(str(rows), rows)}}
        )

    first = with_events(2000)
    entry = DayEntry(
        day=day(1),
        status="pushed",
        fingerprint=first.fingerprint,
        parts=first.parts,
        event_rows=first.event_rows,
    )
    arrived = Deliveries(days={day(1): with_events(2000 + late)})
    due, said = next_due(arrived, {day(1): entry}, TODAY, 0.001, NOTHING)
    if again:
        assert due is not None and due.cause == "3 late events"
    else:
        assert due is None
        assert said == [
            f"{day(1)}: 2 late events (daily.late_share allows 0.10%): the day stays as it was made"
        ]


@pytest.mark.parametrize(("late", "again"), [(1, False), (2, True)])
def test_a_few_late_rows_are_only_said(late: int, again: bool) -> None:
    delivery = Delivery(day=day(1), parts={"1.csv": part("a")})
    arrived = Deliveries(days={day(1): delivery})
    due, _ = next_due(arrived, {}, TODAY, 0.001)
    assert due is not None
    entry = make(due, {}, {1: "a"}, frozenset())
    more = delivery.model_copy(update={"parts": {**delivery.parts, "2.csv": part("late", late)}})
    due, said = next_due(Deliveries(days={day(1): more}), {day(1): entry}, TODAY, 0.001)
    if again:
        assert due is not None and due.cause == "2 late rows"
    else:
        assert due is None
        assert said == [
            f"{day(1)}: 1 late rows (daily.late_share allows 0.10%): the day stays as it was made"
        ]


@given(
    days=st.lists(st.sampled_from(["good", "bad data", "bad model", ""]), min_size=1, max_size=7),
    order=st.randoms(use_true_random=False),
    kills=st.lists(st.integers(0, 6), max_size=5),
)
def test_however_days_arrive_and_whenever_it_is_killed(
    tmp_path_factory: pytest.TempPathFactory, days: list[str], order: object, kills: list[int]
) -> None:
    """Days arrive in any order, some are delivered anew, and runs are killed: the end is that of one run at the end."""
    folder = tmp_path_factory.mktemp("feed")
    final = {n: f"{text} {n}" for n, text in enumerate(days, 1) if text}
    steps = list(final)
    order.shuffle(steps)  # type: ignore[attr-defined]
    arrived: dict[int, str] = {}
    first = min(final, default=1)
    for step, number in enumerate(steps):
        arrived[number] = f"half of {number}" if step % 2 else final[number]
        wanted = Wanted(first=day(first)) if day(first) not in Ledger(folder).entries() else Wanted()
        if min(arrived) != first:
            continue
        kill = kills.pop() if kills else None
        try:
            run(folder, arrived, wanted, kill)
        except Killed:
            continue
    run(folder, final, Wanted(first=day(first)) if not Ledger(folder).entries() else Wanted())
    run(folder / "at once", final)
    assert outcome(folder) == outcome(folder / "at once")


def test_an_entry_is_whole_or_not_there(tmp_path: Path) -> None:
    run(tmp_path, {1: "a", 2: "b"})
    (tmp_path / "days" / f".{day(3)}.json.partial").write_text('{"day": "2026-')
    assert list(Ledger(tmp_path).entries()) == [day(1), day(2)]
