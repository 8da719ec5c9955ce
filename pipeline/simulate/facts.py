"""What is known of a simulated feed on disk, and whether it is the one that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.errors import InputError
from pipeline.simulate.settings import FORMAT, SimulationSettings
from pipeline.simulate.truth import TRUTH_FILE, BestPossible, best_possible_auc, damaged, read_truth


@dataclass(frozen=True)
class SimulationFacts:
    """What a simulated feed is.

    Attributes:
        directory: where it lies.
        settings: what it was made from.
        first_day, last_day: ISO dates, UTC.
        clicks: number of clicks in all.
        click_rates: mean observed click rate per domain, by the text of the domain id.
        cold_user_share, cold_item_share: shares of the evaluation rows whose user or item has no earlier row.
        best: the best possible scores on the evaluation days.
        best_all_days: the same on the whole feed.
        reused: whether the feed was there already.
    """

    directory: Path
    settings: SimulationSettings
    first_day: str
    last_day: str
    clicks: int
    click_rates: dict[str, float]
    cold_user_share: float
    cold_item_share: float
    best: BestPossible
    best_all_days: BestPossible
    reused: bool


def read_facts(directory: Path, *, reused: bool = True) -> SimulationFacts:
    """The facts of a simulated feed on disk.

    Raises:
        InputError: there is none, or its `truth.json` is damaged.
    """
    document = read_truth(directory)
    try:
        settings = SimulationSettings(**document["settings"])
        every_day = best_possible_auc(directory, eval_days=settings.days)
        return SimulationFacts(
            directory=directory,
            settings=settings,
            first_day=document["first_day"],
            last_day=document["last_day"],
            clicks=every_day.overall.positives,
            click_rates={name: score.positives / score.rows for name, score in every_day.domains.items()},
            cold_user_share=document["cold"]["user_share"],
            cold_item_share=document["cold"]["item_share"],
            best=best_possible_auc(directory),
            best_all_days=every_day,
            reused=reused,
        )
    except (KeyError, TypeError) as error:
        raise damaged(directory, error) from error


def is_reusable(directory: Path, settings: SimulationSettings) -> bool:
    """Whether the very feed lies there; False when the directory is empty."""
    if not directory.is_dir():
        raise InputError(f"{directory}: is a file; a simulated feed needs a directory of its own")
    if next(directory.iterdir(), None) is None:
        return False
    if not (directory / TRUTH_FILE).exists():
        raise InputError(
            f"{directory}: the directory is not empty and holds no simulated feed. Choose another directory"
        )
    document = read_truth(directory)
    if document.get("format") != FORMAT or document.get("settings") != settings.to_dict():
        raise InputError(
            f"{directory}: holds another simulated feed (settings {document.get('settings')}, format "
            f"{document.get('format')}); wanted {settings.to_dict()}, format {FORMAT}. Delete it or choose "
            "another directory"
        )
    files = document.get("files")
    if not isinstance(files, dict) or not files:
        raise damaged(directory, KeyError("files"))
    for name, size in files.items():
        path = directory / name
        if not path.is_file() or path.stat().st_size != size:
            raise InputError(
                f"{path}: missing or changed since it was simulated (expected {size} bytes). Delete "
                f"{directory} and simulate again"
            )
    return True
