"""Where a run leaves its files."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class RunLayout:
    """The folders and files below a run's root.

    Attributes:
      root: what the user gave as `--root`.
    """

    root: Path

    @property
    def artifacts(self) -> Path:
        """The pipeline root: one folder per component and execution."""
        return self.root / "artifacts"

    @property
    def metadata(self) -> Path:
        """The metadata store (SQLite)."""
        return self.root / "metadata.sqlite"

    @property
    def serving(self) -> Path:
        """`<serving>/<model name>/<version>`: what TF Serving watches."""
        return self.root / "serving"

    @property
    def work(self) -> Path:
        """Scratch space that outlives a kill: training checkpoints."""
        return self.root / "work"

    @property
    def logs(self) -> Path:
        """What the libraries say, one file per run."""
        return self.root / "logs"

    @property
    def schemas(self) -> Path:
        """Copies of the schemas, named by their content."""
        return self.root / "schemas"

    @property
    def metrics(self) -> Path:
        """`metrics.json`."""
        return self.root / "metrics.json"

    @property
    def report(self) -> Path:
        """`report.html`."""
        return self.root / "report.html"

    @property
    def summary(self) -> Path:
        """`run.json`: everything the report shows, to rebuild it from."""
        return self.root / "run.json"

    @property
    def comparison(self) -> Path:
        """`comparison.json`: the result of a comparison."""
        return self.root / "comparison.json"

    @property
    def comparison_page(self) -> Path:
        """`comparison.html`."""
        return self.root / "comparison.html"

    @property
    def periods(self) -> Path:
        """One folder per period of a backtest, with its comparison."""
        return self.root / "periods"

    @property
    def backtest(self) -> Path:
        """`backtest.json`: the result of a backtest."""
        return self.root / "backtest.json"

    @property
    def backtest_page(self) -> Path:
        """`backtest.html`."""
        return self.root / "backtest.html"

    @property
    def study(self) -> Path:
        """`study.json`: the result of a study."""
        return self.root / "study.json"

    @property
    def study_page(self) -> Path:
        """`study.html`."""
        return self.root / "study.html"

    @property
    def lock(self) -> Path:
        """Held while a run uses the root."""
        return self.root / ".lock"
