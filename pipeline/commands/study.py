"""`dfei study domains|cold|decay|cost|paper`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from components.errors import InputError
from pipeline.commands.shared import (
    AsJson,
    Data,
    Dataset,
    Jobs,
    Quiet,
    Root,
    Seeds,
    Settings,
    Trials,
    as_typed,
    ending,
    run_command,
)
from pipeline.layout import RunLayout

if TYPE_CHECKING:
    from pipeline.study.plan import Plan, StudyRequest

study = typer.Typer(
    no_args_is_help=True,
    help="Answer one of the paper's open questions by a series of comparisons, on one page.",
)

Numbers = Annotated[int, typer.Option("--domains", help="Domains of the simulated feed.")]
ManyNumbers = Annotated[
    str, typer.Option("--domains", metavar="N,M", help="Numbers of domains, a feed for each.")
]
Rows = Annotated[int, typer.Option("--rows", help="Impressions of each simulated feed.")]
Models = Annotated[
    list[str], typer.Option("--models", metavar="A,B", help="Models and variants, separated by commas.")
]

Planned = Callable[["StudyRequest"], "Plan"]


def _many(option: str, text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise InputError(f"{option} {text}: give whole numbers separated by commas, as in 5,21,100")
    return found


def _run(
    ask: Callable[[], Planned],
    root: Root,
    models: Models,
    seeds: Seeds = 3,
    trials: Trials = 0,
    jobs: Jobs = None,
    settings: Settings = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Runs a study. All parameters but the first are options of every study."""
    from pipeline.study.plan import StudyRequest
    from pipeline.study.run import study as run_study

    layout = RunLayout(root.resolve())
    with ending():
        request = StudyRequest(
            root=layout.root,
            models=tuple(models),
            seeds=seeds,
            jobs=jobs,
            trials=trials,
            overrides=tuple(settings or ()),
            command=as_typed(),
        )
        plan = ask()(request)

    def work(console: Console) -> str:
        run_study(plan, request.root, console)
        return ""

    run_command(layout.root, "study", work, layout.study, quiet=quiet, as_json=as_json)


def _study(models: str, **defaults: object) -> Callable[[Callable[..., Planned]], None]:
    """Makes a command of a function that has the options of one study alone: those of every study are added.

    Args:
      models: unless others are named.
      defaults: of other options that every study has, where this one's differ.
    """
    defaults["models"] = [models]

    def command(ask: Callable[..., Planned]) -> None:
        own = inspect.signature(ask, eval_str=True).parameters
        _, root, *shared = inspect.signature(_run, eval_str=True).parameters.values()
        shared = [one.replace(default=defaults.get(one.name, one.default)) for one in shared]

        def run(**given: Any) -> None:
            mine = {name: given.pop(name) for name in own}
            _run(lambda: ask(**mine), **given)

        run.__doc__ = ask.__doc__
        run.__signature__ = inspect.Signature([root, *own.values(), *shared])  # type: ignore[attr-defined]
        study.command(ask.__name__)(run)

    return command


@_study("dfei,mlp,lightgbm")
def domains(
    domains: ManyNumbers = "5,21,50",
    rows: Rows = 60_000,
    rows_per_domain: Annotated[
        int | None,
        typer.Option("--rows-per-domain", help="Impressions of each domain on average, instead of --rows."),
    ] = None,
) -> Planned:
    """Does DFEI's lead grow with the number of domains? On simulated feeds, in the head, the middle and the tail.

    Examples:

        dfei study domains --root out/domains

        dfei study domains --root out/growing --domains 5,21,100,300 --rows-per-domain 3000
    """
    from pipeline.study.domains import plan

    return lambda request: plan(request, _many("--domains", domains), rows, rows_per_domain)


@_study("dfei,mlp,mlp-without-domain,lightgbm")
def cold(
    seen: Annotated[
        str, typer.Option("--seen", metavar="N,M", help="Rows of each new domain before the evaluation.")
    ] = "0,100,1000",
    dataset: Dataset = "simulated",
    data: Data = None,
    hold: Annotated[
        str,
        typer.Option("--hold", metavar="A,B", help="Domains of real logs that are new, each in turn."),
    ] = "",
    domains: Numbers = 21,
    rows: Rows = 60_000,
) -> Planned:
    """What do new domains get, and new users and items? A third of a feed's domains is new, or one of real logs.

    Of a new domain the last rows before the evaluation are read, and no others.

    Examples:

        dfei study cold --root out/cold

        dfei study cold --root out/cold --rows 200000 --seen 0,100,1000,10000

        dfei study cold --root out/cold-kuairand --dataset kuairand-pure --data KuaiRand-Pure --hold 2,6
    """
    from pipeline.study.cold import plan

    held = [name for name in hold.split(",") if name]
    return lambda request: plan(request, _many("--seen", seen), dataset, data, held, domains, rows)


@_study("dfei,dfei-slow-features,dfei-fast-features")
def decay(
    decays: Annotated[
        str,
        typer.Option(
            "--decays", metavar="A,B", help="Values of moving_average.decay beside the declared one."
        ),
    ] = "0.5,0.8,0.95",
    dataset: Dataset = "simulated",
    data: Data = None,
    domains: Numbers = 21,
    rows: Rows = 60_000,
) -> Planned:
    """How fast should a domain's averages and its v forget, by size, click rate and drift?

    Examples:

        dfei study decay --root out/decay

        dfei study decay --root out/decay-kuairand --dataset kuairand-pure --data KuaiRand-Pure
    """
    from pipeline.study.decay import plan

    return lambda request: plan(request, decays.split(","), dataset, data, domains, rows)


@_study("dfei,mlp,mmoe,star,pepnet,lightgbm", seeds=1, jobs=1)
def cost(
    domains: ManyNumbers = "5,21,100",
    rows: Rows = 30_000,
) -> Planned:
    """What do training and serving cost, by the number of domains? One training at a time, side by side in one run.

    Examples:

        dfei study cost --root out/cost

        dfei study cost --root out/cost --domains 5,21,100,1000 --models dfei,mlp
    """
    from pipeline.study.cost import plan

    return lambda request: plan(request, _many("--domains", domains), rows)


@_study("dfei,mlp,mmoe,dfei-without-dfe,dfei-without-dfi,dfei-frozen-random")
def paper(
    dataset: Dataset = "simulated",
    data: Data = None,
    before: Annotated[
        list[str] | None,
        typer.Option(
            "--before", metavar="MOMENT", help="The log ends here (split.before). Repeat for periods."
        ),
    ] = None,
    domains: Numbers = 21,
    rows: Rows = 60_000,
) -> Planned:
    """In the paper's own setting, no averages of behaviour among the inputs: does its order hold?

    Examples:

        dfei study paper --root out/paper

        dfei study paper --root out/paper-kuairand --dataset kuairand-pure --data KuaiRand-Pure --before 2022-05-06
    """
    from pipeline.study.paper import plan

    return lambda request: plan(request, dataset, data, before or [], domains, rows)
