"""`dfei compare`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.shared import (
    AsJson,
    Data,
    Dataset,
    Jobs,
    Models,
    Quiet,
    Root,
    Seeds,
    Serving,
    Settings,
    Trials,
    as_typed,
    run_command,
)
from pipeline.layout import RunLayout


def _list_models(wanted: bool) -> None:
    if not wanted:
        return
    from pipeline.compare.variants import VARIANTS

    for variant in VARIANTS.values():
        typer.echo(f"{variant.name:<28} {variant.title:<36} {' '.join(variant.settings)}".rstrip())
    raise typer.Exit(0)


def compare(
    dataset: Dataset,
    root: Root,
    data: Data = None,
    models: Models = None,
    seeds: Seeds = 3,
    trials: Trials = 0,
    jobs: Jobs = None,
    settings: Settings = None,
    push: Annotated[
        bool,
        typer.Option(
            "--push/--no-push", help="Push the model that the last lines advise: what validates best."
        ),
    ] = False,
    champion: Annotated[
        str,
        typer.Option(
            "--champion", metavar="MODEL", help="With --push: push this one of the models, if it passed."
        ),
    ] = "",
    serving: Serving = None,
    list_models: Annotated[
        bool,
        typer.Option(
            "--list", help="List models and variants, and leave.", is_eager=True, callback=_list_models
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare models on the same features: a table, `comparison.json` and `comparison.html`.

    Adding a model or a seed trains only that; a comparison that was killed goes on from where it was.

    Exit codes: 0 done; 1 a gate refused the data, or with --push every model; 2 the input is wrong.

    Examples:

        dfei compare --dataset simulated --root out/comparison

        dfei compare --dataset kuairand-pure --data KuaiRand-Pure --root out/kuairand --seeds 5 --trials 4

        dfei compare --dataset simulated --root out/comparison --models dfei,dfei-without-dfe,dfei-without-dfi
    """
    from pipeline.compare.request import CompareRequest
    from pipeline.compare.run import compare as run_comparison

    layout = RunLayout(root.resolve())
    request = CompareRequest(
        dataset=dataset,
        data=data,
        root=root,
        overrides=tuple(settings or ()),
        models=tuple(models or ()),
        seeds=seeds,
        jobs=jobs,
        trials=trials,
        push=push,
        champion=champion,
        serving=serving,
        command=as_typed(),
    )

    def work(console: Console) -> str:
        comparison, _ = run_comparison(request, console)
        if comparison.refused:
            return "the champion was not pushed: " + "; ".join(comparison.refused)
        return ""

    run_command(layout.root, "compare", work, layout.comparison, quiet=quiet, as_json=as_json)
