"""Where `dfei daily` keeps its book, below a root."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline.daily.ledger import Ledger
from pipeline.layout import RunLayout


@dataclasses.dataclass(frozen=True)
class Book:
    """The files of a feed that is run day by day.

    Attributes:
      layout: of the root.
    """

    layout: RunLayout

    @property
    def folder(self) -> Path:
        """`<root>/daily`."""
        return self.layout.root / "daily"

    @property
    def ledger(self) -> Ledger:
        """One file a day."""
        return Ledger(self.folder)

    @property
    def memory(self) -> Path:
        """What is known of the data's files."""
        return self.folder / "files.json"

    @property
    def cut(self) -> Path:
        """Days cut out of files that hold several."""
        return self.folder / "cut"

    @property
    def history(self) -> Path:
        """`history.json`."""
        return self.layout.root / "history.json"

    @property
    def page(self) -> Path:
        """`history.html`."""
        return self.layout.root / "history.html"
