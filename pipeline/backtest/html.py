"""`backtest.html`: the backtest on one self-contained page."""

from __future__ import annotations

from pathlib import Path

from pipeline.backtest import story
from pipeline.backtest.result import Backtest
from pipeline.compare.figures import auc_map, average_plot, difference_plot
from pipeline.compare.html import SHOWN_DOMAINS
from pipeline.compare.table import WORDS, spread
from pipeline.report.metrics import write_whole
from pipeline.report.numbers import plural
from pipeline.report.page import render

TEMPLATES = Path(__file__).parent / "templates"


def backtest_page(backtest: Backtest) -> str:
    """The page as text."""
    reference = backtest.model(backtest.reference)
    tested = [(model.title, model.versus) for model in backtest.models if model.versus is not None]
    names = [model.title for model in backtest.models]
    rivals = [model for model in backtest.models if model.versus is not None and model.versus.domains]
    leads = [list(model.versus.domains) for model in rivals if model.versus is not None]
    return render(
        "backtest.html",
        TEMPLATES,
        title=f"{plural(len(backtest.models), 'model')} on {plural(len(backtest.periods), 'period')} of "
        f"{backtest.dataset}",
        backtest=backtest,
        reference=reference,
        lead=[" ".join(story.outcome(backtest)), story.protocol(backtest)],
        averages=average_plot(
            [(model.title, model.average_auc) for model in backtest.models],
            strong=[model.name == backtest.reference for model in backtest.models],
            best=backtest.best_possible,
        ),
        differences=difference_plot(tested, reference.title) if tested else None,
        map=auc_map(
            names,
            [period.last for period in backtest.periods],
            [[period.mean for period in model.periods] for model in backtest.models],
            [period.rows["eval"] for period in backtest.periods],
            [True] * len(backtest.periods),
            "period to",
            name_length=16,
        ),
        rivals=rivals,
        leads=leads[0][:SHOWN_DOMAINS] if leads else [],
        spread=spread,
        words=WORDS,
        tuned=bool(backtest.trials),
    )


def write_page(backtest: Backtest, path: Path) -> None:
    """Writes the page; a reader never sees half of it.

    Args:
      backtest: the result.
      path: the file.
    """
    write_whole(path, backtest_page(backtest))
