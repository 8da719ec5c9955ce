"""What columns hold, on hand-made values."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest

from pipeline.datasets.proposal.clock import time_zone
from pipeline.datasets.proposal.kinds import values_of
from pipeline.datasets.proposal.words import words

NOON = 1_714_996_800  # 6 May 2024, 12:00 UTC


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "", "nan", "4.0"], "int"),
        (["1", "2.5", None, "1e3"], "float"),
        (["007", "12"], "string"),
        (["12345678901234567890", "11345678901234567890"], "string"),
        (["9e99", "1"], "string"),
        (["red", "green"], "string"),
        (["2024-05-06", "2024-05-07 10:00"], "time"),
        (["2024-05-06T10:00:00+02:00", "2024-05-07T10:00:00Z"], "time"),
        (["", None, "nan"], "empty"),
        (["[100,1k)", "[10,100)"] * 20, "string"),
        (["['a', 'b']", "['a']"] * 20, "unusable"),
        (["New York, USA", "Los Angeles, USA", "Austin, USA", "Boise, USA"] * 10, "string"),
        ([f"Film, no. {n}" for n in range(40)], "string"),
    ],
)
def test_texts_are_what_they_hold(values: list[str], kind: str) -> None:
    assert values_of(pl.Series(values, dtype=pl.String)).kind == kind


@pytest.mark.parametrize("separator", ["|", ";", ",", " "])
def test_lists_are_told_by_values_that_come_back_in_other_company(separator: str) -> None:
    rng = np.random.default_rng(0)
    names = [f"tag{n}" for n in range(12)]
    values = [separator.join(rng.choice(names, rng.integers(2, 5), replace=False)) for _ in range(300)]
    found = values_of(pl.Series(values))
    assert (found.kind, found.separator, found.item) == ("list", separator, "string")
    assert found.max_length == 4
    assert found.column[0].to_list() == values[0].split(separator)


def test_lists_of_numbers_of_which_most_have_one() -> None:
    rng = np.random.default_rng(1)
    values = [",".join(map(str, rng.choice(30, 2 if n % 20 == 0 else 1, replace=False))) for n in range(2000)]
    found = values_of(pl.Series(values))
    assert (found.kind, found.separator, found.item) == ("list", ",", "int")


@pytest.mark.parametrize(
    ("values", "written", "second"),
    [
        ([f"{n % 40},{n % 100:02d}" for n in range(500)], "comma", 1.01),
        ([f"-{n % 40},5" if n % 3 else str(n) for n in range(500)], "comma", -1.5),
        ([f"{n % 40},{n % 1000:03d}.00" if n % 3 else "7.50" for n in range(500)], "point", 1001),
        ([f"{n * 37:,}" for n in range(500)], "point", 37),
        ([f"{n % 9}.{n % 1000:03d},50" for n in range(500)], "comma", 1001.5),
    ],
)
def test_numbers_with_commas_are_no_lists(values: list[str], written: str, second: float) -> None:
    found = values_of(pl.Series([*values, "", "nan"]))
    assert (found.kind, found.written, found.column[1]) == ("float", written, second)
    assert found.why.endswith(f"read with a decimal {written}")
    # So few rows may have one as please.
    sparse = values_of(pl.Series([*values, *[""] * 20 * len(values)]))
    assert (sparse.kind, sparse.written, sparse.column[1]) == ("float", written, second)


def test_lists_of_three_digit_ids_are_no_thousands() -> None:
    rng = np.random.default_rng(2)
    values = [",".join(map(str, rng.choice(range(100, 130), n % 3 + 1))) for n in range(500)]
    assert values_of(pl.Series(values)).kind == "list"


def test_parquet_types() -> None:
    assert values_of(pl.Series([[1, 2], [], None])).kind == "list"
    assert values_of(pl.Series([["a"], ["b", "c"]])).item == "string"
    assert values_of(pl.Series([[0.5], [1.5]])).kind == "unusable"
    assert values_of(pl.Series([True, False, None])).column.to_list() == [1, 0, None]
    assert values_of(pl.Series([1.0, 2.0, None])).kind == "int"
    assert values_of(pl.Series([1, 2, None], dtype=pl.UInt64)).kind == "int"
    hashes = values_of(pl.Series([1, 2**64 - 1, None], dtype=pl.UInt64))
    assert (hashes.kind, hashes.column.to_list()) == ("string", ["1", str(2**64 - 1), None])
    assert values_of(pl.Series([datetime.datetime(2024, 5, 6)])).kind == "time"
    assert values_of(pl.Series([{"a": 1}])).kind == "unusable"


@pytest.mark.parametrize(
    ("kind", "hours", "zone"),
    [
        ("date", 8, "Etc/GMT-8"),
        ("date", -5, "Etc/GMT+5"),
        ("date", 0, "UTC"),
        ("date", 5.5, "Asia/Kolkata"),
        ("hour", 8, "Etc/GMT-8"),
        ("hour", -5, "Etc/GMT+5"),
    ],
)
def test_a_local_date_or_hour_beside_the_timestamp_tells_the_zone(kind: str, hours: float, zone: str) -> None:
    rng = np.random.default_rng(0)
    seconds = NOON + rng.integers(0, 20 * 86_400, 4000)
    local = pl.from_epoch(pl.Series(seconds) + round(hours * 3600), time_unit="s")
    text = local.dt.strftime("%Y%m%d" if kind == "date" else "%-H")
    clock = values_of(pl.Series(seconds).cast(pl.String))
    name = "date" if kind == "date" else "local_hour"
    assert time_zone(clock, "s", {name: values_of(text)}).name == zone


def test_offsets_in_the_text_tell_the_zone() -> None:
    def zone(*values: str) -> str:
        return time_zone(values_of(pl.Series(values)), "iso", {}).name

    assert (
        zone("2024-05-06T10:00:00+02:00", "2024-05-06T10:00:00+0200", "2024-05-06T10:00:00+01:00")
        == "Etc/GMT-2"
    )
    assert zone("2024-05-06 10:00-05", "2024-05-07 10:00-05") == "Etc/GMT+5"
    assert zone("2024-05-06T10:00:00Z") == "UTC"
    assert zone("2024-05-06", "2024-05-07") == "UTC"


def test_nothing_tells_the_zone_but_the_quiet_hours_are_named() -> None:
    hours = np.concatenate([np.repeat(np.arange(24), 5), np.repeat(np.arange(2, 16), 100)])
    clock = values_of(pl.Series((NOON // 86_400 * 86_400 + hours * 3600).astype(str)))
    zone = time_zone(clock, "s", {})
    assert (zone.name, zone.told) == ("UTC", False)
    assert "fewest rows around" in zone.why
    assert int(zone.why.split("around ")[1][:2]) in (*range(17, 24), 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("movieId", ("movie", "id")),
        ("is_click", ("is", "click")),
        ("siteSECTION2", ("site", "section", "2")),
        ("Price ($)", ("price",)),
        ("größe", ("gr", "öß", "e")),
        ("", ()),
    ],
)
def test_words_of_names(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected or name == "größe"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["$3.50", "$1,200.00", "$12"], "'$3.50', '$1,200.00', '$12'"),
        (["12.5%", "3%", "100 %"], "'12.5%', '3%', '100 %'"),
        (["3,50 €", "1.200,00 €", "7 €"], "'3,50 €', '1.200,00 €', '7 €'"),
        (["(5 USD)", "7 USD", "-3 USD"], "'(5 USD)', '7 USD', '-3 USD'"),
        (["4.25", "-", "3", "?"], "'-', '?'"),
    ],
)
def test_numbers_in_other_clothes_are_no_words(values: list[str], shown: str) -> None:
    found = values_of(pl.Series(values * 20))
    written = "comma" if "€" in shown else "point"
    assert (found.kind, found.written) == ("float", written)
    assert found.why == f"numbers written as {shown}, read with a decimal {written}"


def test_some_that_are_no_numbers_are_said() -> None:
    found = values_of(pl.Series(["$3.50", "$1,200.00", "$12"] * 20 + ["free"]))
    assert found.kind == "unusable"
    assert "but for 1.6% of the rows, such as 'free': correct these" in found.why


@pytest.mark.parametrize(
    "values", [["home", "5%", "top"], ["-", "a", "b"], ["A1", "$tag", "x"], ["-", "?", "1"] * 2]
)
def test_words_with_signs_are_words(values: list[str]) -> None:
    assert values_of(pl.Series([*values, "one", "two", "three", "four"] * 20)).kind == "string"


def test_amounts_beside_a_word_for_none_are_no_category() -> None:
    values = [f"R$ {3 + n % 6}.{n % 1000:03d},00" if n % 5 else "a combinar" for n in range(500)]
    found = values_of(pl.Series(values))
    assert found.kind == "unusable"
    assert "but for 20.0% of the rows, such as 'a combinar': correct these or leave them empty" in found.why
    # Codes of which some are like numbers are names.
    codes = values_of(pl.Series([str(n % 90) if n % 5 else f"A{n % 7}" for n in range(500)]))
    assert codes.kind == "string"
