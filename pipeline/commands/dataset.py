"""`dfei dataset ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from components import progress
from pipeline.commands.shared import AsJson, Quiet, ending

dataset = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Fetch a public data set's files as its declaration reads them.",
)


@dataset.command()
def download(
    name: Annotated[str, typer.Argument(help="kuairand-pure or kuairand-1k.")],
    directory: Annotated[Path, typer.Argument(help="Folder in which the release's own folder is made.")],
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", help="A mirror's folder with the archive, instead of the public release."),
    ] = None,
    md5: Annotated[
        str | None, typer.Option("--md5", help="The archive's checksum, for a mirror that packs otherwise.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Download KuaiRand's public release, verify it and unpack it.

    A download that broke goes on where it broke when the same command is given again.

    Examples:

        dfei dataset download kuairand-pure data

        dfei run --dataset kuairand-pure --data data/KuaiRand-Pure --root out/kuairand
    """
    with ending("stopped; the same command goes on where it stopped"):
        from pipeline.datasets.download import download as fetch
        from pipeline.datasets.download_releases import find_release
        from pipeline.screen import command_console, print_json

        console = command_console(quiet, as_json)

        console.print(find_release(name).notice, highlight=False)
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        with bars:
            task = bars.add_task("starting", total=None)

            def show(step: progress.Progress) -> None:
                bars.update(task, description=step.step, completed=step.done, total=step.total)

            facts = fetch(name, directory, base_url=base_url, md5=md5, progress=show)
        if as_json:
            print_json(
                {
                    "data": str(facts.data),
                    "files": facts.files,
                    "licence": facts.licence,
                    "resumed": facts.resumed,
                    "reused": facts.reused,
                }
            )
        already = " (already there)" if facts.reused else ""
        console.print(f"{len(facts.files)} files in {facts.data}{already}", highlight=False)
