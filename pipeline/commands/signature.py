"""`dfei signature`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.shared import AsJson, Quiet, ending, leave


def signature(
    model_dir: Annotated[
        Path | None, typer.Argument(help="A pushed model, or one version of it: ROOT/serving/dfei.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Or a server: http(s)://HOST:PORT/MODEL for REST, grpc(s)://HOST:PORT/MODEL."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say what a model wants to be asked, and a request that it answers.

    Names and types of the inputs of each signature, what stands for a missing value, which are lists or dates, the
    domains that were in training, and curl: from a folder with a real row of the days that it was evaluated on, from
    a server with a domain alone. Lists, dates and domains are told by `dfei serve` over REST.

    Examples:

        dfei signature out/first/serving/dfei

        dfei signature --url http://localhost:8501/dfei --json
    """
    with ending():
        from pipeline.screen import print_json
        from pipeline.signature import describe, print_signature
        from pipeline.terminal import chatter_hidden

        with chatter_hidden(quiet=quiet):
            told = describe(model_dir, url)
        if as_json:
            print_json(told.document())
        else:
            print_signature(told)
    leave(0)
