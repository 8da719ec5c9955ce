"""The days of a feed on a terminal."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from components.dataset.loader import load_declaration
from pipeline.daily.ledger import Carry, DayEntry, Progressive, Service
from pipeline.daily.served import Served
from pipeline.daily.table import print_history

VERSION = "/srv/feeds/of/a/shop/with/a/long/name/out/feed/serving/dfei/1773446402"
FIGURES = Progressive(
    overall_auc=0.7361,
    auc_standard_error=0.012,
    average_auc=0.6702,
    average_auc_standard_error=0.03,
    gauc=0.6444,
    calibration=1.037,
)


def test_nothing_is_cut_in_80_columns() -> None:
    entries = {
        "2026-03-14": DayEntry(
            day="2026-03-14", status="refused", reasons=["the first day fills the averages"]
        ),
        "2026-03-15": DayEntry(
            day="2026-03-15",
            status="pushed",
            rows={"train": 8_000_000, "eval": 1_999_999},
            progressive=FIGURES,
            cpu_seconds=3_725.0,
            carry=Carry(service=Service(day="2026-03-15", model="m", model_run="r", version=VERSION)),
        ),
    }
    text = io.StringIO()
    declaration = load_declaration("simulated", ["daily.deviations=2.5"])
    now = Served(Path(VERSION), "m", "2026-03-15", known=True)
    print_history(entries, declaration, now, Console(file=text, width=80))
    assert "…" not in text.getvalue()
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    assert max(len(line) for line in lines if "│" not in line and VERSION not in line) <= 80
    [first] = [line for line in lines if line.startswith(" 2026-03-14")]
    assert first.split()[:2] == ["2026-03-14", "learned"]
    [pushed] = [line for line in lines if line.startswith(" 2026-03-15")]
    figures = ["0.7361", "0.6702", ".059", "1.037"]
    assert pushed.split()[:7] == ["2026-03-15", "pushed", "9,999,999", *figures]
    assert "misses a bound by more than 2.5 standard errors" in " ".join(text.getvalue().split())
    assert f"in service: {VERSION}, which has learned 2026-03-15" in lines
    text = io.StringIO()
    print_history(entries, declaration, now, Console(file=text, width=120))
    figures = ["0.7361", ".024", "0.6702", ".059", "0.6444", "1.037"]
    assert " ".join(figures) in " ".join(text.getvalue().split())
