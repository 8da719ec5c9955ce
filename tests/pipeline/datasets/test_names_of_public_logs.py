"""What names and values of public logs say: each of these was taken for something else once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets.proposal.propose import ProposalRequest
from tests.pipeline.datasets.proposed import Written, columns, csv_log, write

ROWS = 3000
COUNT = np.arange(ROWS)


def proposed(folder: Path, log: dict[str, object], **given: object) -> Written:
    path = csv_log(folder, log)
    return write(ProposalRequest([path], output=folder / "a.yaml", yes=True, **given))  # type: ignore[arg-type]


def test_an_item_may_have_one_user_alone(tmp_path: Path) -> None:
    """As where the user is who wrote what is shown."""
    rng = np.random.default_rng(0)
    item = rng.integers(0, 300, ROWS)
    clicked = rng.random(ROWS) < 0.1 + 0.6 * (item % 7 == 0)
    log = columns(user_id=item % 60, item_id=item, clicked=clicked.astype(int))
    declaration = proposed(tmp_path, log).declaration
    assert (declaration.user, declaration.item) == ("user_id", "item_id")
    assert ["user", "user"] not in [list(key.columns) for key in declaration.moving_average.keys]


def test_hives_separator_is_told_from_those_of_lists_within(tmp_path: Path) -> None:
    names = ["tokens", "user_id", "item_id", "ts", "channel", "clicked"]
    rng = np.random.default_rng(0)
    ts = columns()["ts"]
    rows = [
        "\x01".join(
            [
                "\t".join(map(str, rng.integers(1, 99, rng.integers(3, 9)))),
                f"u{n % 40}",
                f"i{n % 70}",
                str(ts[n]),  # type: ignore[index]
                f"c{n % 3}",
                str(n * 7 % 5 // 4),
            ]
        )
        for n in range(ROWS)
    ]
    (tmp_path / "log.tsv").write_text("\n".join(rows) + "\n")
    request = ProposalRequest(
        [tmp_path / "log.tsv"], output=tmp_path / "a.yaml", yes=True, columns=[",".join(names)]
    )
    written = write(request)
    assert written.declaration.impressions.separator == "\x01"
    assert (written.declaration.user, written.declaration.label) == ("user_id", "clicked")
