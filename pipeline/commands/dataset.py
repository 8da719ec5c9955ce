"""`dfei dataset ...`."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from pipeline.commands.shared import AsJson, Quiet, Settings, ending, leave
from pipeline.screen import as_is

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.screen import Steps

dataset = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Describe a data set of your own, look for what is wrong with one, or fetch a public one.",
)
Column = str | None


@dataset.command()
def new(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Impressions: CSV, JSON lines (either with .gz) or Parquet; files, folders (as Hive and Spark write "
            "them, too) or quoted globs."
        ),
    ],
    lookup: Annotated[
        list[str] | None,
        typer.Option(
            "--lookup",
            metavar="FILE=KEY",
            help="A table to join by a column that both have; FILE=OURS:THEIRS where the names differ. Repeat for "
            "more.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The declaration to write; default: NAME.yaml here.")
    ] = None,
    name: Annotated[
        Column,
        typer.Option(
            "--name",
            help="Name of the data set; default: that of --output, else of the first file or its folder.",
        ),
    ] = None,
    label: Annotated[
        Column, typer.Option("--label", metavar="COLUMN", help="What the model predicts.")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            "--positive",
            metavar="VALUE",
            help="Which values of the label count as 1: the lowest rating, or texts separated by commas.",
        ),
    ] = None,
    domain: Annotated[
        Column,
        typer.Option("--domain", metavar="COLUMN", help="Tab, scene, site, market ... of an impression."),
    ] = None,
    user: Annotated[Column, typer.Option("--user", metavar="COLUMN", help="Who saw it.")] = None,
    item: Annotated[Column, typer.Option("--item", metavar="COLUMN", help="What was shown.")] = None,
    timestamp: Annotated[
        Column, typer.Option("--timestamp", metavar="COLUMN", help="When it was shown.")
    ] = None,
    no_time: Annotated[
        bool,
        typer.Option(
            "--no-time",
            help="The log has no time at all: split it at random by user, which says less of tomorrow.",
        ),
    ] = False,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", metavar="ZONE", help="Where days begin, as in Europe/Paris.")
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option("--separator", help="Between the values of CSV; default: what the file shows."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            metavar="A,B,C",
            help="Names of the columns of CSV without a header, or a file with them; FILE=A,B,C for a lookup; `header` "
            "where the first line has them though it looks like data.",
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Of CSV, such as cp1252 or gb18030; default: UTF-8.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="COLUMN",
            help="Make a feature of a column that would be left out. Repeat for more.",
        ),
    ] = None,
    set_aside: Annotated[
        list[str] | None,
        typer.Option(
            "--set-aside",
            metavar="COLUMN",
            help="A column that is only known after the impression: no feature, no key. Repeat for more.",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option("--sample", min=1000, help="Rows looked at closely; label, domains and days: all rows."),
    ] = 200_000,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Take the likeliest guess without asking.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Look at files that nobody has described, and write a declaration and its schema.

    Every guess stands in the declaration with its reason. On a terminal it asks for each role, Enter takes its guess;
    elsewhere what it cannot guess is an error that names the option which gives it, unless `--yes` takes the likeliest.

    Exit codes: 0 written; 2 a file is not usable, or a role cannot be guessed.

    Examples:

        dfei dataset new logs/*.csv --lookup users.csv=user_id --lookup items.csv=item_id -o shop.yaml

        dfei dataset new 'feed/dt=*' --domain scene

        dfei dataset new ratings.csv --lookup movies.csv=movieId --domain occupation --lookup users.csv=userId --yes

        dfei dataset new events.parquet --label purchased --domain site_section --time-zone Europe/Paris

        dfei dataset new events.parquet --yes --json | jq .roles
    """
    with ending(), _screen("new", quiet, as_json) as (console, steps):
        from pipeline.datasets.proposal.ask import asker
        from pipeline.datasets.proposal.propose import ProposalRequest, propose

        interactive = console.is_terminal and sys.stdin.isatty() and not quiet and not as_json

        request = ProposalRequest(
            files=files,
            lookups=tuple(lookup or ()),
            output=output,
            name=name,
            roles={"label": label, "domain": domain, "user": user, "item": item, "timestamp": timestamp},
            positive=positive,
            zone=time_zone,
            separator=separator,
            encoding=encoding,
            columns=tuple(columns or ()),
            keep=tuple(keep or ()),
            set_aside=tuple(set_aside or ()),
            no_time=no_time,
            sample=sample,
            yes=yes,
            force=force,
        )
        done = propose(request, asker(console, steps.paused) if interactive and not yes else None, steps)
        roles = ", ".join(f"{role} {guess.column or '-'}" for role, guess in done.draft.guesses.items())
        console.print(f"{done.draft.name}: {as_is(roles)}; days of {done.draft.zone}", highlight=False)
        for line in done.draft.places():
            console.print(as_is(line), highlight=False)
        for warning in done.draft.warnings:
            console.print(f"[yellow]![/] {as_is(warning)}", highlight=False)
        told, data = shlex.quote(str(done.declaration)), shlex.quote(str(done.data_dir))
        console.print(
            f"{done.rows:,} rows; wrote {done.declaration} and {done.schema}\n"
            f"next: dfei dataset check {told} --data {data}\n"
            f"      dfei run --dataset {told} --data {data} --root out/{done.draft.name}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if as_json:
        from pipeline.screen import print_json

        print_json(done.document())
    leave(0)


@dataset.command()
def check(
    declaration: Annotated[
        str, typer.Argument(metavar="FILE.yaml", help="A declaration, or the name of one.")
    ],
    data: Annotated[Path, typer.Option("--data", help="Folder with the impression files and lookup tables.")],
    settings: Settings = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Stop after the sample: split, domains and schema stay unchecked.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say what a run would trip over: in seconds on a sample, then on every row.

    Each line of the table has its remedy. It reads with the code that a run reads with.

    Exit codes: 0 a run would get to an evaluated model, or with `--quick` nothing in a sample speaks against it (and
    `would_run` is null in JSON); 2 it would not.

    Examples:

        dfei dataset check shop.yaml --data data

        dfei dataset check kuairand-pure --data KuaiRand-Pure --set label=long_view

        dfei dataset check shop.yaml --data data --quick --json
    """
    with ending("stopped; nothing was written"):
        from pipeline.screen import print_json

        with _screen("check", quiet, as_json) as (console, steps):
            from pipeline.datasets.checking.check import check as look
            from pipeline.datasets.checking.findings import Finding
            from pipeline.datasets.checking.table import findings_table
            from pipeline.request import declared

            def early(findings: tuple[Finding, ...]) -> None:
                bad = [finding for finding in findings if finding.level != "ok"]
                if bad:
                    console.print(findings_table(bad, "in a sample"))
                else:
                    console.print("nothing wrong in a sample; now every row", highlight=False)

            read = declared(declaration, settings or (), None)
            result = look(read, data, quick=quick, progress=steps, early=early)
            rows = f": {result.rows:,} rows{' (a sample)' if result.sampled else ''}" if result.rows else ""
            title = as_is(f"{result.dataset}{rows}")
            console.print(findings_table(result.findings, title))
            console.print(
                {
                    True: "[green]a run would get to an evaluated model[/]",
                    False: "[bold red]a run would fail[/]: see the lines marked fail",
                    None: "nothing here ends a run; split, domains and schema were not looked at (--quick)",
                }[result.would_run]
            )
        if as_json:
            print_json(result.document())
    leave(2 if result.would_run is False else 0)


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

        console.print(find_release(name).notice, highlight=False, markup=False)
        bars = Progress(
            TextColumn("{task.description}", markup=False),
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
        console.print(f"{len(facts.files)} files in {facts.data}{already}", highlight=False, markup=False)


@contextmanager
def _screen(command: str, quiet: bool, as_json: bool = False) -> Iterator[tuple[Console, Steps]]:
    """A console and its progress, with the libraries' chatter kept off both."""
    from pipeline.screen import Steps
    from pipeline.terminal import libraries_to

    with (
        tempfile.TemporaryDirectory(prefix="dfei-") as folder,
        libraries_to(Path(folder) / f"{command}.log", quiet, as_json) as console,
        Steps(console) as steps,
    ):
        yield console, steps
