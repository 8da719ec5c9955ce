"""A first line that is data is told from a header; names can be given, and may hold colons."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.dataset.files import find_files
from components.errors import InputError
from pipeline.datasets.proposal.headers import believed_types, column_names
from pipeline.datasets.proposal.tables import open_sources
from pipeline.datasets.proposal.text_format import TextFormat

ROWS = "".join(f"u{n % 5},i{n % 4},{1_700_000_000 + 15_000 * n},t{n % 2},{n % 3 == 0:d}\n" for n in range(29))
NAMES = "user_id,item_id,ts,tab,click"


def written(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("9,8,1699999999,t0,1", "9, 8, 1699999999 are values"),
        ("u9,i9,1699999999,t0,1", "1699999999, 1 are values"),
        ("u1,i2,2023-11-14 22:13:20,t0,no", "2023-11-14 22:13:20 is a value"),
        (",,,tab,", "4 of 5 are empty"),
    ],
)
def test_a_first_line_of_data_is_refused(tmp_path: Path, first: str, why: str) -> None:
    path = written(tmp_path, first + "\n" + ROWS)
    with pytest.raises(InputError) as caught:
        open_sources([path], [], TextFormat())
    assert ("log.csv:1: the first line looks like data" in str(caught.value)) == (first[0] != ",")
    if first[0] != ",":
        assert f"({why})" in str(caught.value)
        assert "--columns a,b,c or --columns FILE" in str(caught.value)


def test_words_that_come_back_as_values(tmp_path: Path) -> None:
    rows = "".join(f"u{n % 3},i{n % 2},home,yes\n" for n in range(20))
    with pytest.raises(InputError, match="u0, i0, home are values of the columns, too"):
        open_sources([written(tmp_path, "u0,i0,home,yes\n" + rows)], [], TextFormat())


@pytest.mark.parametrize(
    "header",
    [NAMES, "user_id,item_id,ts,app,2019", "0,1,2,3,4", ",user_id,item_id,tab,click", "app,site,page,area,x"],
)
def test_a_header_is_taken(tmp_path: Path, header: str) -> None:
    rows = "".join(f"{n},{n % 3},{n},{'app' if n % 2 else 'x'},{n % 2}\n" for n in range(29))
    sources = open_sources([written(tmp_path, f"{header}\n{rows}{header}\n{header}\n")], [], TextFormat())
    assert sources.log.files[0].columns == tuple(header.split(","))


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_names_are_given(tmp_path: Path, bom: str, name: str) -> None:
    import gzip

    data = (bom + ROWS).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    names = written(tmp_path, NAMES.replace(",", "\n"), "names.txt")
    for given in (NAMES, str(names)):
        sources = open_sources([tmp_path / name], [], TextFormat(columns=[given]))
        assert sources.rows.columns == NAMES.split(",")
        assert len(sources.rows) == 29
        assert sources.rows["user_id"][0] == "u0"
        assert sources.log.section.columns == NAMES.split(",")
    [file] = find_files(str(tmp_path), sources.log.section)
    assert file.first_line == 1
    with pytest.raises(InputError, match=r"log.csv.*:1: has 5 values, but `columns` names 2: a, b"):
        open_sources([tmp_path / name], [], TextFormat(columns=["a,b"]))


def test_names_of_a_lookup_are_given(tmp_path: Path) -> None:
    log = written(tmp_path, NAMES + "\n" + ROWS)
    users = written(tmp_path, "".join(f"u{n},{20 + n}\n" for n in range(5)), "users.csv")
    sources = open_sources([log], [f"{users}=user_id"], TextFormat(columns=[f"{users}=user_id,age"]))
    assert sources.rows["age"].to_list()[:3] == ["20", "21", "22"]
    assert sources.log.section.columns == []


def test_a_header_that_looks_like_data_can_be_insisted_on(tmp_path: Path) -> None:
    path = written(tmp_path, "1.5,2.5,a,b,c\n" + ROWS)
    assert open_sources([path], [], TextFormat(columns=["header"])).rows.columns == [
        "1.5",
        "2.5",
        "a",
        "b",
        "c",
    ]


def test_names_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--columns a,b,a: names a more than once"):
        column_names("a,b,a")
    with pytest.raises(InputError, match=r"--columns ,: names no column"):
        column_names(",")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("user_id:token", ("user_id:token", "user_id:token")),
        ("user_id:token:uid", ("user_id:token", "uid")),
        ("item_id:uid:token", ("item_id", "uid:token")),
    ],
)
def test_keys_with_colons(tmp_path: Path, key: str, expected: tuple[str, str]) -> None:
    log = written(
        tmp_path, "user_id:token,item_id,tab\n" + "".join(f"u{n % 5},u{n % 5},t\n" for n in range(9))
    )
    table = written(
        tmp_path, f"{expected[1]},age:float\n" + "".join(f"u{n},{n}\n" for n in range(5)), "users.csv"
    )
    [lookup] = open_sources([log], [f"{table}={key}"], TextFormat()).lookups
    assert (lookup.left_key, lookup.right_key) == expected
    assert lookup.matched == 1.0


def test_recboles_headers_say_types() -> None:
    assert believed_types(("user_id:token", "tags:token_seq")) == {
        "user_id:token": "token",
        "tags:token_seq": "token_seq",
    }
    assert believed_types(("user_id:token", "age")) == {}


@pytest.mark.parametrize("encoding", ["cp1252", "gb18030"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    city = "Besançon où l'été" if encoding == "cp1252" else "北京市海淀区"
    text = "user_id,city,click\n" + "".join(f"u{n},{city},{n % 2}\n" for n in range(40))
    (tmp_path / "log.csv").write_bytes(text.encode(encoding) + b"u9,\x81\xff,1\n")
    sources = open_sources([tmp_path / "log.csv"], [], TextFormat(encoding=encoding))
    assert sources.rows["city"].to_list() == [city] * 40
    assert sources.log.bad_lines == 1
    with pytest.raises(InputError, match="--encoding utf-16: 'utf-16' is not made of ASCII's bytes"):
        open_sources([tmp_path / "log.csv"], [], TextFormat(encoding="utf-16"))
    with pytest.raises(InputError, match=r"(?s)is not UTF-8 text; .*--encoding"):
        open_sources([tmp_path / "log.csv"], [], TextFormat())
