"""Which separator a text's first lines show."""

from __future__ import annotations

import pytest

from components.dataset.separators import shown_separator

PACKED = ["7\x012\t3\t4\x01a", "8\x015\x01b", "9\x011\t2\x01c", "1\x016\t7\t8\x01d", "2\x019\t1\x01e"]


@pytest.mark.parametrize(
    ("lines", "usual", "width", "shown"),
    [
        (PACKED, "\t", 0, "\x01"),
        (PACKED, "", 0, "\x01"),
        (["user\x01item\x01ts"], "\t", 0, "\x01"),
        (["user\x01item\x01ts", "7\x018\x019"], ",", 0, "\x01"),
        # Of one line only the number of names tells.
        (["7\x012\t3\t4\t5\x01a"], "\t", 3, "\x01"),
        (["7\x012\t3\t4\t5\x01a"], "\t", 0, None),
        # Features packed into a column of a table.
        ([f"{n},1,205\x02{n}\x031.0\x01301\x029\x031.0" for n in range(6)], ",", 0, None),
        ([f"{n},1,205\x02{n}\x031.0\x01301\x029\x031.0" for n in range(6)], "", 0, ","),
        (["user\titem", "7\t8"], "\t", 0, None),
    ],
)
def test_hives_separator(lines: list[str], usual: str, width: int, shown: str | None) -> None:
    assert shown_separator(lines, usual, width) == shown
