"""`dfei daily`, `dfei rollback`, `dfei history`, `dfei expire`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.shared import (
    AsJson,
    BeamOptions,
    BeamRunner,
    Data,
    Dataset,
    Metadata,
    Model,
    Quiet,
    Root,
    Serving,
    Settings,
    as_typed,
    ending,
    run_command,
)
from pipeline.layout import RunLayout


def daily(
    dataset: Dataset,
    root: Root,
    data: Data = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="DAY", help="Make this day and those after it, again where they were made."
        ),
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Stop after this day.")] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="DAY",
            help="The data of this refused day are true: make it, and those after it. Repeat for more.",
        ),
    ] = None,
    next_only: Annotated[bool, typer.Option("--next", help="One day that is due, not all of them.")] = False,
    on_refusal: Annotated[
        str | None,
        typer.Option(
            "--on-refusal",
            metavar="COMMAND",
            help="Run by the shell for each day that is refused or missing, with DFEI_DAY, DFEI_STATUS, DFEI_REASONS "
            "and DFEI_ROOT.",
        ),
    ] = None,
    model: Model = None,
    settings: Settings = None,
    serving: Serving = None,
    beam_runner: BeamRunner = "direct",
    beam_options: BeamOptions = None,
    metadata: Metadata = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Judge, learn and push each day of a feed that is due: at the cost of a day, with nobody at the keyboard.

    A day is a calendar day of the declared time zone, whatever files its rows lie in (`{data_day}` in a declared
    file name stands for its date). It is due when it is over and was never made, when its rows are others than
    before, or when a day before it was made anew. Each day is first scored by the model in service; the next model
    starts from the weights, and the averages from the state, of the day before. A day whose data or whose model a gate
    refuses changes nothing in service. Killed at any moment, the same command goes on.

    The first day fills the averages; the first model is trained on the day after.

    Exit codes: 0 all that was due is in service; 1 a day was refused, or is missing; 2 the input is wrong.

    Examples:

        dfei daily --dataset feed.yaml --data logs --root out/feed

        dfei daily --dataset simulated --root out/daily --next

        dfei daily --dataset feed.yaml --data logs --root out/feed --accept 2026-03-14

        dfei daily --dataset feed.yaml --data logs --root out/feed --from 2026-03-01 --to 2026-03-14
    """
    from pipeline.daily.book import Book
    from pipeline.daily.request import DailyRequest

    layout = RunLayout(root.resolve())
    request = DailyRequest(
        dataset=dataset,
        data=data,
        root=root,
        overrides=tuple(settings or ()),
        model=model,
        serving=serving,
        beam_runner=beam_runner,
        beam_options=tuple(beam_options or ()),
        metadata=metadata,
        command=as_typed(),
        first=first,
        last=last,
        accept=tuple(accept or ()),
        next_only=next_only,
        on_refusal=on_refusal,
    )

    def work(console: Console) -> str:
        from pipeline.daily.run import daily as run_daily

        made = run_daily(request, console)
        bad = [entry for entry in made if entry.wants_attention]
        # The screen has the reasons.
        said = [f": {' '.join(entry.reasons)}" if quiet or as_json else "" for entry in bad]
        return "; ".join(f"{entry.day} {entry.status}{why}" for entry, why in zip(bad, said, strict=True))

    run_command(layout.root, "daily", work, Book(layout).history, quiet=quiet, as_json=as_json)


def rollback(
    dataset: Dataset,
    root: Root,
    version: Annotated[
        str | None,
        typer.Argument(help="A number in the serving folder; default: the model in service before."),
    ] = None,
    model: Model = None,
    serving: Serving = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Serve an earlier version of a feed that runs day by day.

    It is pushed again under a new number, so servers take it as they take any push; the next day goes on from it.

    Examples:

        dfei rollback --dataset feed.yaml --root out/feed

        dfei rollback 1773446402 --dataset feed.yaml --root out/feed
    """
    from pipeline.screen import command_console, print_json
    from pipeline.terminal import chatter_hidden

    console = command_console(quiet, as_json)
    with ending(), chatter_hidden():
        from pipeline.daily.book import Book
        from pipeline.daily.history import write_history
        from pipeline.daily.rollback import rollback as roll_back
        from pipeline.request import declared
        from pipeline.root_lock import root_lock

        declaration = declared(dataset, (), model)
        layout = _existing(root)
        with root_lock(layout.lock):
            book = Book(layout)
            place = (serving.resolve() if serving else layout.serving) / declaration.model.name
            done = roll_back(book, place, version)
            write_history(book, declaration, place, as_typed())
    console.print(
        f"in service: {done.pushed_to}, which has learned {done.day} (as {done.chosen})",
        highlight=False,
        soft_wrap=True,
    )
    if as_json:
        print_json(
            {"before": done.before, "chosen": done.chosen, "pushed_to": done.pushed_to, "day": done.day}
        )


def history(
    dataset: Dataset,
    root: Root,
    model: Model = None,
    serving: Serving = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write and show what became of a feed day by day: `history.json` and `history.html`.

    Examples:

        dfei history --dataset feed.yaml --root out/feed
    """
    from pipeline.screen import command_console
    from pipeline.terminal import chatter_hidden

    console = command_console(quiet, as_json)
    with ending(), chatter_hidden():
        from pipeline.daily.book import Book
        from pipeline.daily.history import write_history
        from pipeline.daily.served import folder_of, served
        from pipeline.daily.table import print_history
        from pipeline.request import declared

        declaration = declared(dataset, (), model)
        book = Book(_existing(root))
        entries = book.ledger.entries()
        place = (serving.resolve() if serving else book.layout.serving) / declaration.model.name
        place = place if serving else folder_of(entries, place)
        write_history(book, declaration, place, as_typed())
        print_history(entries, declaration, served(entries, place, book.layout.root), console)
    console.print(f"history: {book.page}", highlight=False, markup=False, soft_wrap=True)
    if as_json:
        sys.stdout.write(book.history.read_text())


def expire(
    dataset: Dataset,
    root: Root,
    keep_days: Annotated[int, typer.Option("--keep-days", help="Last days that can be made again.")] = 14,
    keep_versions: Annotated[
        int, typer.Option("--keep-versions", help="Last versions that can be served again.")
    ] = 5,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and leave it.")
    ] = False,
    model: Model = None,
    serving: Serving = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Remove what no day, no baseline and no rollback needs any more.

    Examples:

        dfei expire --dataset feed.yaml --root out/feed --keep-days 14 --keep-versions 5
    """
    from pipeline.screen import command_console, print_json
    from pipeline.terminal import chatter_hidden

    console = command_console(quiet, as_json)
    with ending(), chatter_hidden():
        from pipeline.daily.book import Book
        from pipeline.request import declared
        from pipeline.root_lock import root_lock

        declaration = declared(dataset, (), model)
        layout = _existing(root)
        with root_lock(layout.lock):
            from tfx.orchestration import metadata

            from pipeline.daily.expire import expire as remove

            place = (serving.resolve() if serving else layout.serving) / declaration.model.name
            done = remove(
                Book(layout),
                place,
                metadata.sqlite_metadata_connection_config(str(layout.metadata)),
                keep_days=keep_days,
                keep_versions=keep_versions,
                dry_run=dry_run,
            )
    verb = "would be removed" if dry_run else "removed"
    console.print(
        f"{len(done.artifacts)} artifacts and {len(done.versions)} versions, {done.bytes / 1e6:,.1f} MB, {verb}",
        highlight=False,
    )
    if as_json:
        print_json(
            {"artifacts": done.artifacts, "versions": done.versions, "bytes": done.bytes, "dry_run": dry_run}
        )


def _existing(root: Path) -> RunLayout:
    """The layout of a root that is there."""
    from components.errors import InputError

    layout = RunLayout(root.resolve())
    if not (layout.root / "daily").is_dir():
        raise InputError(f"--root {root}: no feed was run there day by day (`dfei daily`)")
    return layout
