"""How the texts are written that the command line names: separator, encoding, and names where no header has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.dataset.sections import UTF_8, Impressions
from components.errors import InputError
from pipeline.datasets.proposal.headers import column_names


@dataclass(frozen=True)
class TextFormat:
    """How the texts that the command line names are written.

    Attributes:
      separator: of csv (`\\t` is a tab); by default the suffix's, or what the first lines show.
      encoding: of csv; by default UTF-8.
      columns: names for files whose first line is data: `a,b,c`, or a file of them; for a lookup `FILE=a,b,c`;
        HEADER where the first line is a header though it looks like data.
    """

    separator: str | None = None
    encoding: str | None = None
    columns: Sequence[str] = ()


def settings_of(text: TextFormat, lookups: Sequence[Path]) -> dict[Path | None, dict[str, Any]]:
    """What a section says of its files' text, by lookup; `None` is the log."""
    names: dict[Path | None, Sequence[str]] = {}
    for argument in text.columns:
        path, equals, listed = argument.partition("=")
        owner = next((lookup for lookup in lookups if equals and Path(path) == lookup), None)
        names[owner] = column_names(listed if owner is not None else argument)
    common = {
        "separator": "\t" if text.separator == r"\t" else text.separator,
        "encoding": text.encoding or UTF_8,
    }
    settings: dict[Path | None, dict[str, Any]] = {}
    for owner in (None, *lookups):
        settings[owner] = {**common, "columns": names.get(owner, [])}
        shown = {**settings[owner], "columns": []}
        try:
            Impressions(files=["*"], **shown)
        except ValidationError as error:
            raise InputError(_no_setting(text, error)) from None
    return settings


def _no_setting(text: TextFormat, error: ValidationError) -> str:
    if error.errors()[0]["loc"][0] == "encoding":
        return f"--encoding {text.encoding}: {error.errors()[0]['ctx']['error']}"
    return f"--separator {text.separator!r}: expected an ASCII character, such as ';' or '\\t', or a few, as in '::'"
