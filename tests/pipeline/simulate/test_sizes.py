"""Every size of feed, determinism, and the pieces that a whole feed would hide."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.errors import InputError
from components.progress import Progress
from pipeline.simulate import feed as feed_module
from pipeline.simulate import read_day, simulate
from pipeline.simulate.exposure import clock
from pipeline.simulate.population import draw_users
from pipeline.simulate.settings import DAY_MS, Relatedness, make_settings
from pipeline.simulate.world import domain_sizes, related_effects, stream


def digest(directory: Path) -> str:
    state = hashlib.sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        state.update(path.relative_to(directory).as_posix().encode() + path.read_bytes())
    return state.hexdigest()


def read(directory: Path) -> pl.DataFrame:
    return pl.concat(pl.read_csv(path) for path in sorted((directory / "impressions").iterdir()))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate(tmp_path / name, rows=5_000, domains=5, seed=seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


@pytest.mark.parametrize(("domains", "rows"), [(2, 2_000), (21, 2_000), (1_000, 2_000), (1_000, 30_000)])
def test_any_number_of_domains_and_rows(tmp_path: Path, domains: int, rows: int) -> None:
    facts = simulate(tmp_path / "feed", domains=domains, rows=rows, min_rows=10)
    table = read(tmp_path / "feed")
    assert table.height == rows
    assert table["domain_id"].n_unique() == domains
    assert table["domain_id"].is_between(0, domains - 1).all()
    assert len(facts.best.domains) == domains
    assert facts.clicks == table["click"].sum() > 0
    assert facts.best.average_auc is not None
    assert table.join(pl.read_csv(tmp_path / "feed" / "users.csv"), on="user_id", how="anti").height == 0
    assert table.join(pl.read_csv(tmp_path / "feed" / "items.csv"), on="item_id", how="anti").height == 0


def test_given_users_items_and_days(tmp_path: Path) -> None:
    simulate(tmp_path / "feed", domains=3, rows=1_000, users=40, items=20, days=3, eval_days=1)
    assert pl.read_csv(tmp_path / "feed" / "users.csv").height == 40
    assert pl.read_csv(tmp_path / "feed" / "items.csv").height == 20
    assert len(list((tmp_path / "feed" / "impressions").iterdir())) == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"domains": 1}, "domains must be at least 2 .* got 1"),
        ({"rows": 40}, "rows must be at least 100"),
        ({"domains": 400, "rows": 500}, "rows must be at least 800"),
        ({"users": 3}, "users must be at least 20"),
        ({"items": 3}, "items must be at least 20"),
        ({"days": 2}, "days must be at least 3"),
        ({"eval_days": 14}, "eval_days must be less than days"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_sizes_out_of_range(tmp_path: Path, wrong: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate(tmp_path / "feed", **wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_day_in_slices_is_in_order_complete_and_aligned_with_its_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "_SLICE_ROWS", 100)
    reports: list[Progress] = []
    facts = simulate(tmp_path / "feed", domains=4, rows=9_000, days=5, progress=reports.append)
    assert [report.total for report in reports] == [9_000] * len(reports)
    assert len(reports) >= 90
    assert reports[-1].done == 9_000
    assert max(b.done - a.done for a, b in itertools.pairwise(reports)) < 200
    rows = read(tmp_path / "feed")
    assert rows["timestamp_ms"].is_sorted()
    assert rows["domain_id"].value_counts()["count"].sum() == 9_000
    day = pl.concat(read_day(tmp_path / "feed", number) for number in range(5))
    spread = (day["click"] - day["probability"]).mean()
    assert -0.02 < spread < 0.02  # type: ignore[operator]
    assert facts.best_all_days.overall.auc > 0.7  # type: ignore[operator]


def test_the_truth_is_not_among_the_impressions(tmp_path: Path) -> None:
    simulate(tmp_path / "feed", rows=2_000)
    found = {path.name for path in (tmp_path / "feed").glob("impressions/part-*.csv")}
    assert found == {f"part-{day:03}.csv" for day in range(14)}
    assert all("probability" not in path.read_text() for path in (tmp_path / "feed").rglob("*.csv"))
    document = json.loads((tmp_path / "feed" / "truth.json").read_text())
    assert document["settings"]["seed"] == 0
    assert set(document["best_possible"]) == {"eval", "all_days"}


def test_domain_sizes_are_exact_and_descending() -> None:
    for domains, rows in ((2, 101), (21, 200_000), (1_000, 2_000), (1_000, 10_000_000)):
        sizes = domain_sizes(domains, rows)
        assert sizes.sum() == rows
        assert sizes.min() >= 1
        assert (np.diff(sizes) <= 0).all()


def test_related_effects_correlate_by_cluster() -> None:
    cluster = np.arange(12) % 3
    effects = related_effects(stream(1), cluster, Relatedness(0.45, 0.35, 0.20), (20_000,))
    correlation = np.corrcoef(effects)
    same = cluster[:, None] == cluster[None, :]
    other = ~same
    np.fill_diagonal(same, False)
    np.testing.assert_allclose(correlation[same], 0.80, atol=0.03)
    np.testing.assert_allclose(correlation[other], 0.45, atol=0.05)


def test_interests_turn_from_day_to_day() -> None:
    settings = make_settings(
        domains=21, rows=200_000, users=3_000, items=None, days=14, seed=0, eval_days=2, min_rows=500
    )
    users = draw_users(stream(0), settings)
    everyone = np.arange(3_000)
    start = users.interest_on(everyone, 0)
    likeness = [
        np.corrcoef(start.ravel(), users.interest_on(everyone, day).ravel())[0, 1] for day in (1, 7, 13)
    ]
    assert likeness[0] > 0.99
    assert 0.75 < likeness[1] < 0.95
    assert 0.4 < likeness[2] < 0.8


def test_the_clock_runs_on_through_the_parts_of_a_day() -> None:
    parts = [clock(stream(part), 1_000, part, 4) for part in range(4)]
    times = np.concatenate(parts)
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] < DAY_MS
    evening = ((times > DAY_MS * 18 / 24) & (times < DAY_MS * 22 / 24)).sum()
    night = ((times > DAY_MS * 3 / 24) & (times < DAY_MS * 7 / 24)).sum()
    assert evening > 2 * night


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from pathlib import Path; from pipeline.simulate import simulate;"
        "simulate(Path(sys.argv[1]), rows=int(sys.argv[2]), users=20000, items=5000);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for rows in ("2000000", "8000000"):
        directory = tmp_path / rows
        done = subprocess.run(
            [sys.executable, "-c", program, str(directory), rows], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.25 * peaks[0]
