"""`dfei simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.shared import AsJson, Quiet, ending


def simulate(
    directory: Annotated[Path, typer.Argument(help="Folder to write; made where it is missing.")],
    domains: Annotated[int, typer.Option(help="Number of domains.")] = 21,
    rows: Annotated[int, typer.Option(help="Number of impressions.")] = 200_000,
    days: Annotated[int, typer.Option(help="Days that they cover.")] = 14,
    seed: Annotated[int, typer.Option(help="The same seed writes the same files.")] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a simulated feed of many related domains, with its known best possible AUC.

    Domains are of very uneven size, click rates run from 1 to 56 %, users are active in few domains, some users and
    items are cold, and interests drift. `truth.json` states the AUC that the true probabilities reach: no model can
    honestly beat it.

    Examples:

        dfei simulate feed

        dfei simulate feed-1000 --domains 1000 --rows 2000000

        dfei run --dataset simulated --data feed --root out/feed
    """
    from pipeline.screen import Steps, command_console, print_json
    from pipeline.simulate import simulate as write_feed

    console = command_console(quiet, as_json)
    with (
        ending(f"stopped; nothing was left in {directory}: the same command starts anew"),
        Steps(console) as show,
    ):
        facts = write_feed(directory, domains=domains, rows=rows, days=days, seed=seed, progress=show)
    average, overall = facts.best.average_auc, facts.best.overall.auc
    console.print(
        f"{rows:,} impressions in {domains} domains, {days} days: {directory}"
        + (" (already there)" if facts.reused else "")
        + f"\nbest possible AUC on the evaluation days: average {_figure(average)}, overall {_figure(overall)}",
        highlight=False,
        markup=False,
    )
    if as_json:
        print_json(
            {
                "directory": str(directory),
                "rows": rows,
                "domains": domains,
                "days": days,
                "seed": seed,
                "reused": facts.reused,
                "best_possible": {"average_auc": average, "overall_auc": overall},
            }
        )


def _figure(auc: float | None) -> str:
    return "undefined" if auc is None else f"{auc:.4f}"
