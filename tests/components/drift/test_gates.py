"""What of a day's figures is refused, and that good days pass."""

from __future__ import annotations

import re

import numpy as np
import pytest

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.drift.changes import rate_changes, row_changes
from components.drift.figures import Counts, FeatureFigures, Measured
from components.drift.gates import Finding, bounds, findings, spellings
from components.drift.ranking import ranks_worse
from components.evaluator.results import DomainResult, EvaluationResult, Overall
from components.example_gen.scales import Scale

RATES = {"0": 0.3, "1": 0.05, "2": 0.5, "3": 0.1}
ROWS = {"0": 4000, "1": 2000, "2": 800, "3": 40}
HOURS = 1 + 0.55 * np.cos((np.arange(24) - 20) * np.pi / 12)


@pytest.fixture(scope="module")
def declaration() -> Declaration:
    return load_declaration("simulated", [])


def a_day(rng: np.random.Generator, day: int, drift: float = 0.1, volume: float = 0.1) -> Measured:
    """A good day: each domain's rows and odds move by chance and by a little more."""
    domains = {}
    for name, rate in RATES.items():
        odds = np.log(rate / (1 - rate)) + rng.normal(0, drift)
        rows = int(rng.poisson(ROWS[name] * np.exp(rng.normal(0, volume))))
        domains[name] = Counts(rows=rows, clicks=int(rng.binomial(rows, 1 / (1 + np.exp(-odds)))))
    total = sum(counts.rows for counts in domains.values())
    hours = rng.multinomial(total, HOURS / HOURS.sum())
    clicked = sum(counts.clicks for counts in domains.values())
    clicks = np.random.default_rng(total).multivariate_hypergeometric(hours, clicked)
    return Measured(
        day=f"2026-03-{day:02}",
        overall=Counts(rows=total, clicks=sum(counts.clicks for counts in domains.values())),
        domains=domains,
        hours=[int(n) for n in hours],
        clicks=[int(n) for n in clicks],
        features={
            "device": FeatureFigures(missing=int(0.01 * total), values=total, unseen=0),
            "item_id": FeatureFigures(values=total, unseen=int(0.1 * total)),
            "duration_s": FeatureFigures(values=total, low=3.0, high=300.0 + day),
        },
    )


@pytest.fixture()
def week() -> list[Measured]:
    rng = np.random.default_rng(7)
    return [a_day(rng, day) for day in range(7, 0, -1)]


def refused(declaration: Declaration, history: list[Measured], today: Measured) -> list[Finding]:
    return [finding for finding in findings(declaration, history, today) if finding.refuses]


def without_evening_clicks(day: Measured, first: int, kept: float) -> Measured:
    clicks = [count if hour < first else int(count * kept) for hour, count in enumerate(day.clicks)]
    overall = Counts(rows=day.overall.rows, clicks=sum(clicks))
    return day.model_copy(update={"clicks": clicks, "overall": overall})


@pytest.mark.parametrize(("first", "kept"), [(18, 0.25), (20, 0.0), (22, 0.0), (23, 0.1)])
def test_clicks_that_have_not_come_yet(
    declaration: Declaration, week: list[Measured], first: int, kept: float
) -> None:
    today = without_evening_clicks(a_day(np.random.default_rng(3), 8), first, kept)
    [finding] = [one for one in refused(declaration, week, today) if one.gate == "late clicks"]
    assert f"from {first}:00 on" in finding.words
    assert "have all clicks been joined" in finding.words
    assert finding.refusal.endswith("(daily.gates.factor)")
    # Of days that were measured before clicks were counted by the hour nothing is known.
    before = [day.model_copy(update={"clicks": [0] * 24}) for day in week]
    assert "late clicks" not in {one.gate for one in findings(declaration, before, today)}


def with_domain(day: Measured, name: str, counts: Counts) -> Measured:
    changed = {**day.domains, name: counts}
    return day.model_copy(
        update={
            "domains": changed,
            "overall": Counts(
                rows=sum(one.rows for one in changed.values()),
                clicks=sum(one.clicks for one in changed.values()),
            ),
        }
    )


def test_good_days_pass(declaration: Declaration) -> None:
    """A thousand days of a feed that drifts: less than one in a hundred is refused."""
    rng = np.random.default_rng(1)
    days = [a_day(rng, 1 + n % 28) for n in range(1000)]
    bad = sum(bool(refused(declaration, days[max(0, n - 7) : n][::-1], days[n])) for n in range(1, 1000))
    assert bad < 10


def test_half_the_rows_are_refused_in_one_sentence(declaration: Declaration, week: list[Measured]) -> None:
    today = week[0].model_copy(deep=True)
    for counts in [today.overall, *today.domains.values()]:
        counts.rows, counts.clicks = counts.rows // 2, counts.clicks // 2
    [finding] = refused(declaration, week, today)
    assert finding.gate == "rows"
    assert "rows where about" in finding.words
    assert "is the delivery complete?" in finding.words


def test_a_domain_that_is_gone_is_refused_and_a_small_one_is_not(
    declaration: Declaration, week: list[Measured]
) -> None:
    [finding] = refused(declaration, week, with_domain(week[0], "2", Counts()))
    assert finding.words.startswith("domain 2: 0 rows where about")
    assert refused(declaration, week, with_domain(week[0], "3", Counts())) == []


def test_what_is_gone_for_good_is_refused_once(declaration: Declaration, week: list[Measured]) -> None:
    def gone(day: Measured) -> Measured:
        return day.model_copy(update={"domains": {n: c for n, c in day.domains.items() if n != "2"}})

    assert refused(declaration, week, gone(week[0]))
    # That day was accepted, and those after it are as it was.
    for accepted in range(1, 7):
        history = [*map(gone, week[:accepted]), *week[accepted:]]
        said = [one.words for one in findings(declaration, history, gone(week[0])) if one.refuses]
        assert said == []


def test_what_comes_once_a_week_is_no_habit(declaration: Declaration, week: list[Measured]) -> None:
    def mailed(day: Measured) -> Measured:
        return with_domain(day, "mail", Counts(rows=600, clicks=60))

    # The day after the first mail nothing says that it comes daily; on the feed's second day nothing says otherwise.
    history = [mailed(week[0]), *week[1:]]
    [found] = [one for one in findings(declaration, history, week[0]) if "mail" in one.words]
    assert not found.refuses and found.words.startswith("domain mail: 0 rows where about 600 are usual")
    assert refused(declaration, history[:1], week[0])
    # Mails a week apart: neither the second one nor the day after it is refused.
    assert refused(declaration, [*week[:6], mailed(week[6])], mailed(week[0])) == []
    assert refused(declaration, [mailed(week[0]), *week[:6], mailed(week[6])], week[0]) == []
    assert refused(declaration, [mailed(one) for one in week], week[0])


def test_what_is_usual_is_not_known_of_the_first_days(declaration: Declaration, week: list[Measured]) -> None:
    """A domain's first day may be a part of one: twice its rows pass. That no label is left does not."""
    first = with_domain(week[1], "2", Counts(rows=400, clicks=200))
    today = with_domain(week[0], "2", Counts(rows=850, clicks=425))
    assert refused(declaration, [first], today) == []
    none = with_domain(today, "0", Counts(rows=today.domains["0"].rows))
    assert refused(declaration, [first], none)
    assert [bounds(declaration, days).distance for days in (1, 2, 3)] == [0.6, 0.6, 0.3]


def test_a_domain_that_is_gone_is_named_though_it_was_most_of_the_rows(
    declaration: Declaration, week: list[Measured]
) -> None:
    found = refused(declaration, week, with_domain(week[0], "0", Counts()))
    assert {finding.words.split(" rows")[0] for finding in found if finding.gate == "rows of a domain"} == {
        "domain 0: 0"
    }
    assert "in all" in found[0].words


def test_a_new_domain_is_said_and_passes(declaration: Declaration, week: list[Measured]) -> None:
    found = findings(declaration, week, with_domain(week[0], "new", Counts(rows=300, clicks=30)))
    [said] = [finding for finding in found if finding.gate == "new domain"]
    assert said.words.startswith("domain new is new: 300 rows, 10.00% clicked")
    assert not said.refuses


@pytest.mark.parametrize("name", ["0", "1", "2"])
def test_half_the_clicks_of_a_domain_are_refused_by_name(
    declaration: Declaration, week: list[Measured], name: str
) -> None:
    counts = week[0].domains[name]
    halved = Counts(rows=counts.rows, clicks=round(counts.rows * RATES[name] / 2))
    found = refused(declaration, week, with_domain(week[0], name, halved))
    assert found[-1].gate == "click rate of a domain"
    assert found[-1].words.startswith(f"domain {name}: ")


def test_a_new_domain_that_a_known_one_is_but_for_case_is_asked_about(
    declaration: Declaration, week: list[Measured]
) -> None:
    named = [with_domain(day, "Search", Counts(rows=400, clicks=40)) for day in week]
    today = with_domain(
        with_domain(week[0], "Search", Counts(rows=380, clicks=40)), "SEARCH", Counts(rows=20)
    )
    [new] = [finding for finding in findings(declaration, named[1:], today) if finding.gate == "new domain"]
    assert new.words.startswith("domain SEARCH is new (is it 'Search', spelled otherwise?): 20 rows")
    [alike] = spellings(declaration, today, {})
    assert (alike.gate, alike.refuses) == ("spelling of a domain", False)
    assert "domain_id is 'Search' in 380 rows and 'SEARCH' in 20 rows" in alike.words


@pytest.mark.parametrize(("rows", "refuses"), [(3, False), (40, True)])
def test_a_day_whose_clicks_are_spelled_otherwise_is_refused(
    week: list[Measured], rows: int, refuses: bool
) -> None:
    declared = load_declaration("simulated", ["positive={one_of: [ja]}"])
    [finding] = spellings(declared, week[0], {"Ja": rows})
    assert finding.refuses is refuses
    assert finding.words.startswith(
        f"click is 'Ja' in {rows} rows, as 'ja' but for case or spaces, and counts as 0"
    )


def test_no_click_at_all_and_nothing_but_clicks(declaration: Declaration, week: list[Measured]) -> None:
    for share in (0, 1):
        today = week[0].model_copy(deep=True)
        for counts in [today.overall, *today.domains.values()]:
            counts.clicks = share * counts.rows
        assert "click rate" in {finding.gate for finding in refused(declaration, week, today)}


def test_few_clicks_are_not_taken_for_many(declaration: Declaration) -> None:
    """2 clicks where 8 are usual happen once in 70 days, and none where 100 are usual never."""

    def clicks(domain: int) -> dict[str, Counts]:
        return {"": Counts(rows=10 * domain + 60, clicks=domain)}

    few = rate_changes([{"": Counts(rows=140, clicks=8)}] * 7, {"": Counts(rows=140, clicks=2)})[""]
    assert -3 < few.deviations < -1.8
    none = rate_changes([{"": Counts(rows=1000, clicks=100)}] * 7, {"": Counts(rows=1000)})[""]
    assert none.deviations < -10
    assert row_changes([clicks(9)] * 7, {"": Counts()})[""].deviations < -10


def test_a_change_that_is_not_quite_refused_is_said(declaration: Declaration, week: list[Measured]) -> None:
    rate = rate_changes([day.domains for day in week], week[0].domains)["0"].expected
    for share, refuses in ((0.5, True), (0.72, False)):
        rows = week[0].domains["0"].rows
        moved = with_domain(week[0], "0", Counts(rows=rows, clicks=round(rows * rate * share)))
        [found] = [one for one in findings(declaration, week, moved) if one.words.startswith("domain 0")]
        assert found.refuses == refuses


def test_of_values_that_would_be_known_a_third_is_not(declaration: Declaration, week: list[Measured]) -> None:
    """Where most are new every day, a poisoned half does not raise the share by as much."""
    for day in week:
        total = day.overall.rows
        day.features["item_id"] = FeatureFigures(values=total, unseen=int(0.6 * total))
    today = week[0].model_copy(deep=True)
    total = today.overall.rows
    today.features["item_id"].unseen = int(0.8 * total)
    [found] = refused(declaration, week, today)
    assert found.gate == "unseen values"
    today.features["item_id"].unseen = int(0.65 * total)
    assert refused(declaration, week, today) == []


def test_an_hour_without_rows(declaration: Declaration, week: list[Measured]) -> None:
    today = week[0].model_copy(deep=True)
    today.hours[0] = today.clicks[0] = 0
    [finding] = refused(declaration, week, today)
    assert finding.words.startswith("no row in the hour from 00:00")
    # No setting bounds it, and it can be accepted like the others.
    assert finding.refusal == f"{finding.words} (daily.gates)"


def test_the_hour_that_the_clock_leaves_out_in_spring_is_no_gap(
    declaration: Declaration, week: list[Measured]
) -> None:
    berlin = declaration.model_copy(update={"time_zone": "Europe/Berlin"})
    hours = [200] * 24
    history = [day.model_copy(update={"hours": hours}) for day in week]
    spring = week[0].model_copy(update={"hours": [200, 200, 0, *hours[3:]], "day": "2026-03-29"})
    assert refused(berlin, history, spring) == []
    assert len(refused(berlin, history, spring.model_copy(update={"day": "2026-03-28"}))) == 1


@pytest.mark.parametrize(
    ("column", "figures", "words"),
    [
        ("device", {"missing": 2000}, r"column device is missing in"),
        ("item_id", {"unseen": 6000}, r"column item_id: 8"),
        ("duration_s", {"high": 300_000.0}, "column duration_s holds 300000 where 3 to 307 is usual"),
        ("duration_s", {"low": -1e30}, "column duration_s holds -1e[+]30 where 3 to 307 is usual"),
    ],
)
def test_features(
    declaration: Declaration, week: list[Measured], column: str, figures: dict[str, float], words: str
) -> None:
    today = week[0].model_copy(deep=True)
    changed = today.features[column].model_copy(update=figures)
    today = today.model_copy(update={"features": {**today.features, column: changed}})
    [finding] = refused(declaration, week, today)
    assert re.match(words, finding.words)


def test_the_first_day_has_nothing_to_be_held_against(declaration: Declaration, week: list[Measured]) -> None:
    assert findings(declaration, [], week[0]) == []


def test_changes_by_hand() -> None:
    """Two days of 100 and 200 rows: weights 1 and 1/2, the newest first, of the logarithms."""
    history = [{"a": Counts(rows=100, clicks=10)}, {"a": Counts(rows=200, clicks=100)}]
    change = row_changes(history, {"a": Counts(rows=50, clicks=5)})["a"]
    expected = np.exp((np.log(100) + np.log(200) / 2) / 1.5)
    assert change.expected == pytest.approx(expected)
    assert change.factor == pytest.approx(50 / expected)
    rate = rate_changes(history, {"a": Counts(rows=50, clicks=5)})["a"]
    odds = (np.log(10.5 / 90.5) + np.log(100.5 / 100.5) / 2) / 1.5
    assert rate.expected == pytest.approx(1 / (1 + np.exp(-odds)))
    assert rate.factor == pytest.approx((5.5 / 45.5) / np.exp(odds))


def evaluation(auc: float, error: float = 0.005) -> EvaluationResult:
    domain = DomainResult(rows=1000, positives=300, auc=auc, auc_standard_error=error)
    return EvaluationResult(rows=1000, positives=300, overall=Overall(), domains={"0": domain}, blessed=True)


def test_labels_that_belong_to_other_rows() -> None:
    history = [evaluation(0.7), evaluation(0.72)]
    assert ranks_worse(history, evaluation(0.66), 0.06) == ""
    assert "AUC of 0.5000, where 0.7067 was usual on the last 2 good days" in ranks_worse(
        history, evaluation(0.5), 0.06
    )
    assert ranks_worse(history, evaluation(0.5, error=0.08), 0.06) == ""
    assert ranks_worse([], evaluation(0.5), 0.06) == ""


def test_what_a_young_feed_gains_is_no_habit_of_falling() -> None:
    """The first days of a feed of 6,000 rows a day, by its model in service, and one whose labels were shuffled."""
    found = [
        (0.573, 0.021),
        (0.589, 0.018),
        (0.651, 0.015),
        (0.654, 0.016),
        (0.691, 0.013),
        (0.655, 0.022),
        (0.698, 0.018),
    ]
    history: list[EvaluationResult] = []
    for auc, error in found:
        assert ranks_worse(history, evaluation(auc, error), 0.05) == ""
        history.insert(0, evaluation(auc, error))
    assert "AUC of 0.4970" in ranks_worse(history, evaluation(0.497, 0.018), 0.05)
    assert ranks_worse(history, evaluation(0.62, 0.018), 0.05) == ""


def test_labels_of_other_rows_on_a_day_of_few_rows_in_each_domain() -> None:
    """A newcomer's feed, 1,900 rows a day: within domains nothing is known, over all rows the fall is plain."""

    def day(overall: float, within: float) -> EvaluationResult:
        scores = Overall(auc=overall, auc_standard_error=0.033)
        return evaluation(within, error=0.08).model_copy(update={"overall": scores})

    history = [day(auc, 0.5) for auc in (0.732, 0.698, 0.683, 0.709, 0.648)]
    assert "of all domains together with an AUC of 0.5260, where 0.7127 was usual" in ranks_worse(
        history, day(0.526, 0.51), 0.05
    )
    assert ranks_worse(history, day(0.62, 0.51), 0.05) == ""


def amounts(rng: np.random.Generator, unit: float = 1.0) -> Scale:
    """Of a number that is 0 in nine rows of ten and has a long tail."""
    logs = np.log(unit) + rng.normal(4, 1.5, 350) + rng.normal(0, 0.1)
    return Scale(rows=350, mean=float(logs.mean()), squares=float(((logs - logs.mean()) ** 2).sum()))


@pytest.mark.parametrize("column", ["listened_seconds", "searches.csv: listened_seconds"])
@pytest.mark.parametrize("unit", [1000.0, 1 / 60, 100.0])
def test_another_unit_of_a_number_that_is_mostly_0_is_refused(
    declaration: Declaration, week: list[Measured], unit: float, column: str
) -> None:
    rng = np.random.default_rng(3)
    past = [day.model_copy(update={"scales": {column: amounts(rng)}}) for day in week]
    good = past[0].model_copy(update={"scales": {column: amounts(rng)}})
    assert refused(declaration, past[1:], good) == []
    bad = past[0].model_copy(update={"scales": {column: amounts(rng, unit)}})
    [found] = refused(declaration, past[1:], bad)
    assert found.refusal.startswith(f"column {column}: what is not 0 in it is ")
    assert found.refusal.endswith("another unit, or another way to count? (daily.gates.scale_factor)")
    assert ("larger" in found.words) == (unit > 1)
    # Known of a single day, too; of none nothing is said.
    assert len(refused(declaration, past[1:2], bad)) == 1
    assert refused(declaration, week[1:], bad) == []


def test_a_flag_that_is_written_in_percent_is_refused(declaration: Declaration, week: list[Measured]) -> None:
    past = [day.model_copy(update={"scales": {"liked": Scale(rows=40)}}) for day in week]
    bad = past[0].model_copy(update={"scales": {"liked": Scale(rows=40, mean=float(np.log(100)))}})
    assert refused(declaration, past[1:], past[0]) == []
    assert [found.gate for found in refused(declaration, past[1:], bad)] == ["scale"]


def test_good_amounts_pass(declaration: Declaration) -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        days = [
            a_day(rng, day).model_copy(update={"scales": {"spent": amounts(rng)}}) for day in range(7, 0, -1)
        ]
        assert [found for found in findings(declaration, days[1:], days[0]) if found.gate == "scale"] == []
