"""Another part of KuaiRand's logs, made of the shared one: later days, other users, other videos."""

from __future__ import annotations

from pathlib import Path

import polars as pl

DAYS_LATER = 14
OTHER_USERS = 30_000
OTHER_VIDEOS = 10_000
_DAY_MS = 86_400_000


def write_later_part(source: Path, target: Path) -> int:
    """Writes a part in KuaiRand's layout whose users and half of whose videos the shared part does not have.

    Half of the users (of the rarer tabs all) are taken over with new ids, and a third of those are in no user table, as
    happens with logs that are younger than the tables. Days are moved by two weeks.

    Args:
        source: the shared part's folder.
        target: made, with a `data` folder as downloaded.

    Returns:
        Rows of the log.
    """
    folder = target / "data"
    folder.mkdir(parents=True)
    [log_file] = sorted((source / "data").glob("log_standard_*_pure.csv"))
    log = pl.read_csv(log_file)
    rare = log.group_by("tab").len().filter(pl.col("len") < 1000)["tab"]
    log = log.filter((pl.col("user_id") % 2 == 0) | pl.col("tab").is_in(rare.implode()))
    log = log.with_columns(
        pl.col("time_ms") + DAYS_LATER * _DAY_MS,
        pl.col("user_id") + OTHER_USERS,
        _moved("video_id"),
        date=pl.col("date")
        .cast(pl.String)
        .str.to_date("%Y%m%d")
        .dt.offset_by(f"{DAYS_LATER}d")
        .dt.strftime("%Y%m%d")
        .cast(pl.Int64),
    )
    log.write_csv(folder / "log_standard_5_09_to_5_21_pure.csv")
    # As text, so that no value changes its looks.
    users = pl.read_csv(source / "data" / "user_features_pure.csv", infer_schema=False)
    moved = users.with_columns((pl.col("user_id").cast(pl.Int64) + OTHER_USERS).cast(pl.String))
    moved.filter(pl.col("user_id").cast(pl.Int64) % 3 != 0).write_csv(folder / "user_features_pure.csv")
    videos = pl.read_csv(source / "data" / "video_features_basic_pure.csv", infer_schema=False)
    videos.with_columns(pl.col("video_id").cast(pl.Int64)).with_columns(_moved("video_id")).write_csv(
        folder / "video_features_basic_pure.csv"
    )
    return len(log)


def _moved(column: str) -> pl.Expr:
    return pl.when(pl.col(column) % 2 == 0).then(pl.col(column)).otherwise(pl.col(column) + OTHER_VIDEOS)
