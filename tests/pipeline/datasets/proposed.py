"""Logs that a declaration is proposed for, and what was proposed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl

from components.dataset import Declaration, load_declaration
from pipeline.datasets.proposal.propose import Proposal, ProposalRequest, propose


@dataclasses.dataclass(frozen=True)
class Written:
    """A proposal and what it wrote."""

    proposal: Proposal
    declaration: Declaration
    text: str


def write(request: ProposalRequest, ask: object = None) -> Written:
    proposal = propose(request, ask)  # type: ignore[arg-type]
    text = proposal.declaration.read_text(encoding="utf-8")
    return Written(proposal, load_declaration(str(proposal.declaration)), text)


def films(folder: Path, **changes: object) -> ProposalRequest:
    data = folder / "data"
    return dataclasses.replace(
        ProposalRequest(
            [data / "ratings.csv"],
            [f"{data}/movies.csv=movieId", f"{data}/users.csv=userId"],
            folder / "films.yaml",
            force=True,
        ),
        **changes,  # type: ignore[arg-type]
    )


def csv_log(
    folder: Path, columns: dict[str, object], name: str = "log.csv", separator: str = ",", bom: bool = False
) -> Path:
    path = folder / name
    text = pl.DataFrame(columns).write_csv(separator=separator)
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    return path


def columns(rows: int = 3000, seconds: int = 10 * 86_400, **more: object) -> dict[str, object]:
    """A log without user, item or lookup."""
    rng = np.random.default_rng(5)
    return {
        "ts": 1_714_996_800 + np.sort(rng.integers(0, seconds, rows)),
        "channel": rng.choice(["app", "web", "mail"], rows),
        "clicked": rng.integers(0, 2, rows),
        "price": np.round(rng.random(rows) * 20, 2),
        **more,
    }
