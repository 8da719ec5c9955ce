"""The gates of a day's data, each answered in words: what moved, from what to what, where, and what to do."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from components.dataset.declaration import Declaration
from components.dataset.names import BEHAVIOUR_PREFIX
from components.dataset.sections import DriftGates
from components.drift.changes import Change, rate_changes, row_changes, scale_changes
from components.drift.figures import Measured
from components.example_gen.spellings import domain_doubts, label_doubts, plain

# How much figures usually move is a guess until so many good days tell.
_KNOWN_AFTER = 3
# A change of so much of what is refused is said.
_SAID = 2 / 3
# An hour that usually has so many rows is not empty by chance.
_USUAL_HOUR = 30
# Of a day's clicks so many may be spelled otherwise, and so be lost, before it is refused.
_LOST_CLICKS = 0.01


# Where a declaration sets the bound of a gate; of an empty hour, and of a label's spelling, there is none.
_KEYS = {
    "rows": "factor",
    "rows of a domain": "factor",
    "click rate": "factor",
    "click rate of a domain": "factor",
    "late clicks": "factor",
    "missing values": "missing_share",
    "unseen values": "unseen_share",
    "range": "range_factor",
    "scale": "scale_factor",
    "distribution": "distance",
    "skew": "skew",
    "skew of missing values": "missing_share",
}


GATES = "daily.gates"
"""In the words of every refusal that `dfei daily --accept` takes."""


@dataclass(frozen=True)
class Finding:
    """What a gate found.

    Attributes:
      gate: which, in a word or two.
      words: what moved, from what to what.
      refuses: whether the day is refused for it.
    """

    gate: str
    words: str
    refuses: bool = True

    @property
    def refusal(self) -> str:
        """The words, and where the bound is set."""
        key = _KEYS.get(self.gate)
        return f"{self.words} ({GATES}{f'.{key}' if key else ''})"


def bounds(declaration: Declaration, good_days: int) -> DriftGates:
    """The declared bounds; of the first days, when little tells what is usual, deviations and distances count twice.

    Args:
      declaration: the data set.
      good_days: that are known.
    """
    gates = declaration.daily.gates
    if good_days >= _KNOWN_AFTER:
        return gates
    twice = {"deviations": 2 * gates.deviations, "distance": min(1.0, 2 * gates.distance)}
    return gates.model_copy(update=twice)


def findings(declaration: Declaration, history: Sequence[Measured], today: Measured) -> list[Finding]:
    """What moved between the last good days and a day; the severe first.

    Args:
      declaration: whose `daily.gates` decide.
      history: the last good days, the newest first; none for the first day, of which nothing can be said.
      today: the day.
    """
    if not history:
        return []
    gates = bounds(declaration, len(history))
    found = [
        *_rows(gates, history, today),
        *_hours(declaration, history, today),
        *_click_rates(gates, history, today),
        *_late_clicks(gates, history, today),
        *_domains(declaration, history, today),
        *_features(declaration, history, today),
        *_scales(gates, history, today),
    ]
    return sorted(found, key=lambda finding: not finding.refuses)


def spellings(declaration: Declaration, today: Measured, spelled: Mapping[str, int]) -> Iterator[Finding]:
    """Clicks that count as none and domains that are taken for two, for how they are spelled.

    Args:
      declaration: the data set.
      today: the day.
      spelled: rows by text of the label, where it is a click but for case or spaces.
    """
    lost = sum(spelled.values())
    refuses = lost > _LOST_CLICKS * (today.overall.clicks + lost)
    for words in label_doubts(declaration, spelled):
        yield Finding("label", words, refuses)
    rows = {name: counts.rows for name, counts in today.domains.items()}
    for words in domain_doubts(declaration.domain, rows):
        yield Finding("spelling of a domain", words, refuses=False)


def _rows(gates: DriftGates, history: Sequence[Measured], today: Measured) -> Iterator[Finding]:
    whole = row_changes([{"": day.overall} for day in history], {"": today.overall})[""]
    if (refuses := _judged(whole, gates)) is not None:
        yield Finding("rows", f"{_rows_words(whole)} in all: {_volume_remedy(whole)}", refuses)
    for name, change in row_changes([day.domains for day in history], today.domains).items():
        # Where all domains have lost or gained as much, the sentence above says it.
        if whole.exceeds(gates.deviations, gates.factor) and change.found:
            continue
        if change.expected >= gates.min_rows and (refuses := _judged(change, gates)) is not None:
            words = f"domain {name}: {_rows_words(change)}: {_volume_remedy(change)}"
            # What was there on one day alone, as for an occasion, may be gone.
            once = change.days == 1 < len(history) and not change.found
            yield Finding("rows of a domain", words, refuses and not once)


def _rows_words(change: Change) -> str:
    return f"{change.found:,.0f} rows where about {change.expected:,.0f} are usual"


def _volume_remedy(change: Change) -> str:
    if change.factor < 1:
        return "is the delivery complete?"
    return "were rows of other days, or the same rows under other ids, delivered?"


def _hours(declaration: Declaration, history: Sequence[Measured], today: Measured) -> Iterator[Finding]:
    total = sum(day.overall.rows for day in history)
    empty = []
    for hour in range(24):
        usual = sum(day.hours[hour] for day in history) / total * today.overall.rows
        if usual >= _USUAL_HOUR and not today.hours[hour] and _exists(declaration.time_zone, today.day, hour):
            empty.append(hour)
    if empty:
        shown = ", ".join(f"{hour:02}:00" for hour in empty)
        yield Finding(
            "hours",
            f"no row in the hour from {shown}, where rows are usual: is the delivery complete, and the clock right?",
        )


def _exists(zone: str, day: str, hour: int) -> bool:
    """Whether the clock shows this hour on this day: in spring it leaves one out."""
    moment = datetime.datetime.fromisoformat(f"{day}T{hour:02}:30:00").replace(tzinfo=ZoneInfo(zone))
    back = moment.astimezone(datetime.timezone.utc).astimezone(ZoneInfo(zone))
    return back.hour == hour


def _click_rates(gates: DriftGates, history: Sequence[Measured], today: Measured) -> Iterator[Finding]:
    whole = rate_changes([{"": day.overall} for day in history], {"": today.overall})
    for change in whole.values():
        if (refuses := _judged(change, gates)) is not None:
            yield Finding("click rate", f"{_rate_words(change)} over all: is the label complete?", refuses)
    usual = row_changes([day.domains for day in history], today.domains)
    for name, change in rate_changes([day.domains for day in history], today.domains).items():
        if usual[name].expected >= gates.min_rows and (refuses := _judged(change, gates)) is not None:
            yield Finding(
                "click rate of a domain",
                f"domain {name}: {_rate_words(change)}: is the label complete there, or has the page changed?",
                refuses,
            )


def _late_clicks(gates: DriftGates, history: Sequence[Measured], today: Measured) -> Iterator[Finding]:
    """Clicks that have not been joined to the day's last rows yet: the rate has fallen there, and not before."""
    counted = [day for day in history if sum(day.clicks) == day.overall.clicks]
    found = []
    for hour in range(1, 24):
        days, now = [day.around(hour) for day in counted], today.around(hour)
        changes = rate_changes([day for day in days if len(day) == 2], now)
        if len(now) == len(changes) == 2:
            found.append((_apart(changes["after"], changes["before"]), hour, changes))
    if not found:
        return
    apart, hour, changes = min(found, key=lambda one: one[0].deviations)
    if apart.factor < 1 and (refuses := _judged(apart, gates)) is not None:
        yield Finding(
            "late clicks",
            f"from {hour:02}:00 on {_rate_words(changes['after'])}, and before it {_rate_words(changes['before'])}: "
            "have all clicks been joined to the day's last rows?",
            refuses,
        )


def _apart(after: Change, before: Change) -> Change:
    """How a change differs from another."""
    moved = math.log(after.factor) - math.log(before.factor)
    spread = math.hypot(after.spread, before.spread)
    return Change(after.expected, after.found, math.exp(moved), moved / spread, after.days)


def _scales(gates: DriftGates, history: Sequence[Measured], today: Measured) -> Iterator[Finding]:
    """Another unit of a number that is mostly 0, or is cut before it is averaged, leaves range and distribution."""
    for name, change in scale_changes([day.scales for day in history], today.scales).items():
        refuses = _judged(change, gates, gates.scale_factor)
        if refuses is not None:
            much, than = (change.factor, "larger") if change.factor > 1 else (1 / change.factor, "smaller")
            yield Finding(
                "scale",
                f"column {name}: what is not 0 in it is {much:,.3g} times {than} than usual (as a geometric mean "
                f"{change.found:,.3g} where {change.expected:,.3g} is usual): another unit, or another way to count?",
                refuses,
            )


def _judged(change: Change, gates: DriftGates, factor: float | None = None) -> bool | None:
    """Whether a change is refused; None where it need not even be said."""
    factor = factor or gates.factor
    if change.exceeds(gates.deviations, factor):
        return True
    return False if change.exceeds(_SAID * gates.deviations, factor**_SAID) else None


def _rate_words(change: Change) -> str:
    return (
        f"{change.found:.2%} of the rows are clicked where {change.expected:.2%} are usual "
        f"({abs(change.deviations):.0f} standard deviations)"
    )


def _domains(declaration: Declaration, history: Sequence[Measured], today: Measured) -> Iterator[Finding]:
    known = {name: plain(name) for day in history for name in day.domains}
    for name in sorted(set(today.domains) - set(known)):
        counts = today.domains[name]
        like = next((earlier for earlier, text in known.items() if text == plain(name)), None)
        told = "" if like is None else f" (is it {like!r}, spelled otherwise?)"
        yield Finding(
            "new domain",
            f"domain {name} is new{told}: {counts.rows:,} rows, {counts.click_rate:.2%} clicked; it starts from what "
            "all domains have in common",
            refuses=False,
        )


def _features(declaration: Declaration, history: Sequence[Measured], today: Measured) -> Iterator[Finding]:
    gates = declaration.daily.gates
    rows = sum(day.overall.rows for day in history)
    for name, figures in today.features.items():
        past = [day.features[name] for day in history if name in day.features]
        if not past or not today.overall.rows:
            continue
        column = name.removeprefix(BEHAVIOUR_PREFIX)
        missing = _Share.of(figures.missing, today.overall.rows)
        before = _Share.of(sum(day.missing for day in past), rows)
        if missing.rose_from(before, gates.deviations) > gates.missing_share:
            yield Finding(
                "missing values",
                f"column {column} is missing in {missing.share:.1%} of the rows where {before.share:.1%} is usual: was "
                "it renamed, or does a table lack its keys?",
            )
        known = [(day.unseen, day.values) for day in past if day.unseen is not None and day.values]
        if figures.unseen is not None and figures.values and known:
            unseen = _Share.of(figures.unseen, figures.values)
            usual = _Share.of(sum(new for new, _ in known), sum(values for _, values in known))
            # Of the values that would have been known, the share that is not.
            if unseen.rose_from(usual, gates.deviations) > gates.unseen_share * (1 - usual.share):
                yield Finding(
                    "unseen values",
                    f"column {column}: {unseen.share:.1%} of the values were never seen before, where "
                    f"{usual.share:.1%} is usual: were its ids or its spelling changed?",
                )
        yield from _range(gates, column, name, history, today)


@dataclass(frozen=True)
class _Share:
    """A share of so many rows."""

    share: float
    variance: float

    @classmethod
    def of(cls, some: int, rows: int) -> _Share:
        share = some / rows
        return cls(share, (some + 0.5) / (rows + 1) * (rows - some + 0.5) / (rows + 1) / rows)

    def rose_from(self, before: _Share, deviations: float) -> float:
        """By how much it is above that of before; 0 where chance explains it."""
        rise = self.share - before.share
        return rise if rise > deviations * math.sqrt(self.variance + before.variance) else 0.0


def _range(
    gates: DriftGates, column: str, name: str, history: Sequence[Measured], today: Measured
) -> Iterator[Finding]:
    """A single absurd number would stay in the averages and the moments for good."""
    figures = today.features[name]
    past = [day.features[name] for day in history if name in day.features]
    lows = [day.low for day in past if day.low is not None]
    highs = [day.high for day in past if day.high is not None]
    if not lows or not highs or figures.low is None or figures.high is None:
        return
    low, high = min(lows), max(highs)
    width = (high - low) or abs(high) or 1.0
    for value, outside in ((figures.low, low - figures.low), (figures.high, figures.high - high)):
        if outside > gates.range_factor * width:
            yield Finding(
                "range",
                f"column {column} holds {value:g} where {low:g} to {high:g} is usual: a poisoned value, or another "
                "unit?",
            )
