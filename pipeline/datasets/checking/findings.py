"""What a check has to say: one line for each finding, with its remedy."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

Level = Literal["fail", "warn", "ok"]
_ORDER = {"fail": 0, "warn": 1, "ok": 2}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
      level: fail: a run would end without a model; warn: worth a look; ok: as it should be.
      topic: what it is about, in a word or two.
      found: what was found.
      remedy: what to do; empty where there is nothing to do.
    """

    level: Level
    topic: str
    found: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """Everything a check found.

    Attributes:
      dataset: the declaration's name or file.
      data: the folder.
      findings: the worst first.
      rows: rows read; of the sample when `sampled`.
      sampled: whether only a sample was read.
      complete: whether every rule was asked: those of the split, the domains and the schema need all rows.
      figures: counts for programs: train, eval, duplicates, domains ...
    """

    dataset: str
    data: str
    findings: tuple[Finding, ...]
    rows: int = 0
    sampled: bool = False
    complete: bool = True
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def would_run(self) -> bool | None:
        """Whether a run would reach an evaluated model; `None` where nothing speaks against it, not all asked."""
        if any(finding.level == "fail" for finding in self.findings):
            return False
        return True if self.complete else None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "dataset": self.dataset,
            "data": self.data,
            "would_run": self.would_run,
            "rows": self.rows,
            "sampled": self.sampled,
            **self.figures,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
        }


def sorted_findings(findings: list[Finding]) -> tuple[Finding, ...]:
    """The worst first, else in the order in which they were found; each once."""
    unique = list(dict.fromkeys(findings))
    return tuple(sorted(unique, key=lambda finding: _ORDER[finding.level]))
