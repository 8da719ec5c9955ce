"""Lists of what was shown, and files of a domain each: said with how the log is to be written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.errors import InputError
from pipeline.datasets.proposal.propose import ProposalRequest
from pipeline.datasets.proposal.several import domains_of_files
from tests.pipeline.datasets.proposed import columns, csv_log, write

ROWS = 3000


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ("AliExpress_NL/train.csv", "AliExpress_ES/train.csv"),
            "the files lie in AliExpress_ES, AliExpress_NL",
        ),
        (("QK-video.csv", "QB-article.csv"), "the files are called QB-article, QK-video"),
        (
            ("books.csv.gz", "films.csv.gz", "music.csv.gz", "toys.csv.gz"),
            "are called books, films, music ...: if",
        ),
        (("train.csv", "test.csv"), ""),
        (("train_1.csv", "train_2.csv"), ""),
        (("clicks-2026-03-01.csv", "clicks-2026-03-02.csv"), ""),
        (("clicks-mar.csv", "clicks-apr.csv"), ""),
        (("scene=a/x.csv", "scene=b/x.csv"), ""),
        (("part-0-0f8fad5bd9cb469fa16570867728950e.csv", "part-1-7c9e6679b7054fde8d5a1e3b2f4c6d8a.csv"), ""),
        (("one.csv",), ""),
    ],
)
def test_files_that_stand_for_domains(names: tuple[str, ...], told: str) -> None:
    folder = Path("/data")
    said = domains_of_files(folder, [folder / name for name in names])
    assert told in said
    assert bool(said) == bool(told)


def test_a_domain_that_only_the_files_tell(tmp_path: Path) -> None:
    """It is named beside a doubted domain, and where there is none; as folders it is a column."""
    log = columns(user_id=np.arange(ROWS) % 90, code_b=np.arange(ROWS) % 7, code_c=np.arange(ROWS) % 5)
    del log["channel"]
    for shop in ("shop_NL", "shop_ES"):
        (tmp_path / shop).mkdir()
        csv_log(tmp_path / shop, log)
        (tmp_path / "hive" / f"domain={shop}").mkdir(parents=True)
        csv_log(tmp_path / "hive" / f"domain={shop}", log)
    files = [tmp_path / "shop_NL", tmp_path / "shop_ES"]
    with pytest.raises(
        InputError,
        match=r"(?s)the domain is not certain.*\nthe files lie in shop_ES, shop_NL: if these are",
    ):
        write(ProposalRequest(files, output=tmp_path / "a.yaml"))
    said = write(ProposalRequest(files, output=tmp_path / "a.yaml", yes=True))
    assert any(
        w.startswith("domain: the files lie in shop_ES, shop_NL") for w in said.proposal.draft.warnings
    )
    moved = write(ProposalRequest([tmp_path / "hive"], output=tmp_path / "b.yaml"))
    assert moved.declaration.domain == "domain"


@pytest.mark.parametrize("apart", [" ", "|", ","])
def test_lists_of_what_was_shown_are_named_where_no_label_is(tmp_path: Path, apart: str) -> None:
    lists = [apart.join(f"N{(n * k) % 900}" for k in range(1, 5)) for n in range(ROWS)]
    log = columns(user_id=np.arange(ROWS) % 90, pos=lists, neg=lists[::-1])
    del log["clicked"]
    path = csv_log(tmp_path, log)
    with pytest.raises(InputError, match=r"\npos, neg: several values in a row: .*write a row for each"):
        write(ProposalRequest([path], output=tmp_path / "a.yaml", yes=True))


def test_lists_named_like_what_was_done_are_doubted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lists = ["^".join(map(str, rng.integers(1, 60, rng.integers(1, 6)))) for _ in range(ROWS)]
    path = csv_log(tmp_path, columns(user_id=np.arange(ROWS) % 90, clicked_items=lists))
    written = write(ProposalRequest([path], output=tmp_path / "a.yaml", yes=True))
    assert written.declaration.features["clicked_items"].separator == "^"
    assert any(
        w.startswith("clicked_items: lists, named like what was done")
        for w in written.proposal.draft.warnings
    )
