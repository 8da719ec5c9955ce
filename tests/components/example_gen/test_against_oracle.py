"""The ingestion against a literal one, on logs with every flaw that files have, cut at any place."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from components.errors import InputError
from tests.components.example_gen.oracle import ingest_literally
from tests.components.example_gen.small import (
    DAY_MS,
    FIRST_DAY_MS,
    ITEMS,
    LOG_HEADER,
    USERS,
    declare,
    log_text,
    loop_runner,
    read_examples,
    run_ingest,
    write_data,
)

texts = st.sampled_from(
    [
        "",
        "n",
        "two words",
        '"a,b"',
        '"say ""hi"""',
        '5" nail',
        '"',
        '""',
        '"x"y',
        "é",
        " padded ",
        '"a',
        "\\N",
    ]
)
numbers = st.sampled_from(
    ["0", "1", "2.5", "", "nan", "-3", " 4 ", "1e2", "x", "1e400", "inf", "NULL", "007", ".5"]
)
times = st.builds(
    lambda day, rest: str(FIRST_DAY_MS + day * DAY_MS + rest),
    st.integers(0, 4),
    st.sampled_from([0, 1, 3_600_000, DAY_MS - 1]),
)
rows = st.builds(
    lambda *values: ",".join(values),
    st.one_of(times, times, times, st.sampled_from(["", "12", "late", "1650816000000.0"])),
    st.sampled_from(["0", "1", "2", "1.0", "", "one"]),
    st.sampled_from(["1", "2", "3", "9", "", "1.5"]),
    st.sampled_from(["a", "b", "zz", "", '"a"']),
    st.sampled_from(["0", "1", "0", "1", "0", "1", "2", "", "yes"]),
    numbers,
    numbers,
    st.sampled_from(["", "x;y", " x ;;y", "z", '"p;q"']),
    texts,
)
ragged = st.sampled_from(["", "1,2", ",".join("123456789") + ",10", '"', "   ", '"unclosed,1,2'])
lines = st.lists(st.one_of(rows, rows, rows, rows, ragged), min_size=0, max_size=14)
users = st.sampled_from([USERS, "user,age\n", "age,user\r\n,2\r\n7,1"])
items = st.sampled_from([ITEMS, "id,colour,codes\n"])


@st.composite
def logs(draw: st.DrawFn) -> dict[str, str]:
    """One to three files that share rows, each with its own line ends."""
    pool = draw(lines) or ["1,2"]
    # Without some sound rows nearly every log is refused.
    sound = log_text(days=draw(st.sampled_from([2, 3, 4])), rows=4).splitlines()[1:]
    pool += sound
    files = {}
    for number in range(draw(st.integers(1, 3))):
        again = draw(st.lists(st.sampled_from(pool), max_size=6))
        end = draw(st.sampled_from(["\n", "\r\n"]))
        last = draw(st.sampled_from(["", end, end + end]))
        base = sound if number == 0 and draw(st.integers(0, 9)) else []
        body = draw(st.permutations([*draw(lines), *base, *again]))
        files[f"log{number}.csv"] = end.join([LOG_HEADER, *body]) + last
    return files


# Shrinking takes minutes here; the failing logs are short anyway.
@settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=40,
)
@given(
    files=logs(),
    users=users,
    items=items,
    # Of the larger ones several files are one piece.
    piece_bytes=st.one_of(st.integers(60, 900), st.integers(900, 9_000)),
    block_bytes=st.integers(1, 500),
    partition_rows=st.integers(3, 40),
    seed=st.integers(0, 99),
)
def test_same_examples_as_a_literal_ingestion(
    files: dict[str, str],
    users: str,
    items: str,
    piece_bytes: int,
    block_bytes: int,
    partition_rows: int,
    seed: int,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        declaration = declare(folder, ["max_rejected_share=1.0"])
        data = write_data(folder, dict(files), users, items)
        expected = ingest_literally(declaration, data, sorted(files))
        usable = (
            expected.rows > len(expected.rejects)
            and len(expected.domains) > 1
            and len(expected.labels) == 2
            and len(expected.days) >= 3
        )

        def ingest() -> dict[str, object]:
            return run_ingest(
                declaration,
                data,
                folder / "out",
                piece_bytes=piece_bytes,
                block_bytes=block_bytes,
                partition_rows=partition_rows,
                runner=loop_runner(seed),
            )

        event(f"usable: {usable}, duplicates: {expected.duplicates > 0}, rejects: {bool(expected.rejects)}")
        if not usable:
            with pytest.raises(InputError):
                ingest()
            assert not list((folder / "out").glob("Split-*"))
            return
        report = ingest()
        assert read_examples(folder / "out", "train") == expected.train
        assert read_examples(folder / "out", "eval") == expected.eval
        assert [(r["file"], r["line"]) for r in report["rejects"]] == expected.rejects  # type: ignore[index]
        counts = {key: report[key] for key in ("rows_read", "duplicates", "rejected", "train", "eval")}
        assert counts == {
            "rows_read": expected.rows,
            "duplicates": expected.duplicates,
            "rejected": len(expected.rejects),
            "train": len(expected.train),
            "eval": len(expected.eval),
        }
        assert list(report["unmatched"].values()) == expected.unmatched  # type: ignore[attr-defined]
