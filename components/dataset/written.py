"""Numbers as people write them: `$1,234.50`, `12,5 %`, `(3.00)`, `-` for nothing."""

from __future__ import annotations

import re

import polars as pl

from components.dataset.names import Written

MARKS: tuple[str, ...] = (
    "-",
    "--",
    "\u2014",
    "\u2013",
    "?",
    ".",
    "*",
    "missing",
    "unknown",
    "#n/a",
    "(null)",
    "(none)",
    "nil",
)
"""What stands for no number, in lower case."""
_CODES = (
    "USD|EUR|GBP|JPY|CNY|RMB|INR|CHF|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|BRL|MXN|ARS|CLP|COP|PEN|CAD|AUD|"
    "NZD|SGD|HKD|TWD|KRW|THB|IDR|MYR|PHP|VND|ZAR|AED|SAR|ILS|EGP|NGN|KES|PKR|BDT"
)
_WORDS = r"Rs\.?|kr\.?|zł|Kč|Ft|lei|Fr\.?|SFr\.?|RM|Rp\.?|TL|лв\.?|\u0440\u0443\u0431\.?|грн\.?|元|円|원"
_MONEY = rf"(?:(?:R|US|HK|NT|CA|AU|NZ|C|A|S|MX)?\$|[€£¥₹₽₩₺₴₫₪฿₦₱]|{_CODES}|{_WORDS})"
_BETWEEN = r"'\u2019 \u00a0\u202f"
NUMBER = (
    rf"(?i)^(?P<loss>\()?\s*(?P<sign>[-+\u2212]?)\s*{_MONEY}?\s*(?P<inner>[-+\u2212]?)\s*"
    rf"(?P<amount>(?:\d[\d.,{_BETWEEN}]*[\d.,]|\d|[.,]\d+))\s*(?:{_MONEY}|[%‰])?\s*\)?$"
)
"""A pattern: what may be a number in some writing."""


def _amount(fraction: str, apart: str) -> str:
    """Digits, what sets thousands apart and a fraction's mark; 0,516 is no thousand, but for 0,516.00."""
    fraction, groups = re.escape(fraction), rf"(?:[{apart}{_BETWEEN}]\d{{3}})+"
    return rf"^(?:(?:\d+|[1-9]\d{{0,2}}{groups})?(?:{fraction}\d*)?|\d{{1,3}}{groups}{fraction}\d*)$"


_POINT, _COMMA = _amount(".", ","), _amount(",", ".")


def plainly(text: pl.Series, written: Written) -> pl.Series:
    """Texts of numbers as a program writes them.

    A currency, a per cent sign (12% is 12) and what sets thousands apart go; a sign and brackets around a loss become a
    minus; a mark for nothing becomes null. What is no number stays none.

    Args:
      text: as in the files.
      written: whether a point or a comma stands before the fraction; the other one sets thousands apart.
    """
    if written not in ("point", "comma"):
        return text
    decimal, valid = (".", _POINT) if written == "point" else (",", _COMMA)
    frame = pl.DataFrame({"text": text.str.strip_chars()}).with_columns(
        pl.col("text").str.extract_groups(NUMBER).struct.unnest()
    )
    signs = pl.concat_str("sign", "inner", ignore_nulls=True)
    minus = signs.str.contains("[-\u2212]") | pl.col("loss").is_not_null()
    # All that is neither a digit nor the fraction's mark sets thousands apart.
    amount = pl.col("amount").str.replace_all(rf"[^\d{decimal}]", "").str.replace(decimal, ".", literal=True)
    number = pl.concat_str(pl.when(minus).then(pl.lit("-")).otherwise(pl.lit("")), amount)
    fits = pl.col("amount").str.contains(valid)
    chosen = (
        pl.when(pl.col("text").str.to_lowercase().is_in(MARKS))
        .then(None)
        .when(pl.col("amount").is_null())
        .then(pl.col("text"))
        .when(fits)
        .then(number)
        # `3.5` where a comma is declared: another number in another place.
        .otherwise(pl.concat_str(pl.lit("no number: "), "text"))
    )
    return frame.select(chosen.alias(text.name or ""))[text.name or ""]
