"""Numbers as people read them; what is undefined is a dash."""

from __future__ import annotations

from datetime import date, datetime, timezone

UNDEFINED = "\N{EN DASH}"

# 95 % of a normal distribution lie within this many standard errors.
Z95 = 1.96


def figure(value: float | None, digits: int = 4) -> str:
    """A metric: "0.7124"."""
    return UNDEFINED if value is None else f"{value:.{digits}f}"


def half(error: float | None) -> str:
    """ " ± 0.043": half the 95 % interval of a standard error; empty without one."""
    return "" if error is None else f" ± {figure(Z95 * error, 3)}"


def chance(p_value: float | None) -> str:
    """A p value: "0.031", never "0.000"."""
    return "< 0.001" if p_value is not None and p_value < 0.001 else figure(p_value, 3)


def count(value: float | None) -> str:
    """A number of things: "30,329"."""
    return UNDEFINED if value is None else f"{value:,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share: "12.3 %"."""
    return UNDEFINED if share is None else f"{100 * share:.{digits}f} %"


def signed(value: float | None, digits: int = 4) -> str:
    """A difference: "+0.0102"; a minus is a real minus."""
    return UNDEFINED if value is None else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def duration(seconds: float | None) -> str:
    """A time: "8.4 s", "3 min 05 s", "2 h 10 min"."""
    if seconds is None:
        return UNDEFINED
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def short(name: str, length: int = 22) -> str:
    """A name that is cut where it is too long for a label."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def listing(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def day(value: object) -> str:
    """ "25 April 2022" of ISO text; other text as it is, a dash for none."""
    if not isinstance(value, str) or not value:
        return UNDEFINED
    try:
        found = date.fromisoformat(value[:10])
    except ValueError:
        return value
    return f"{found.day} {found:%B %Y}"


def moment(value: str) -> str:
    """ "30 November 2026, 05:39 UTC" of ISO text with an offset; other text as it is."""
    try:
        found = datetime.fromisoformat(value).astimezone(timezone.utc)
    except ValueError:
        return value
    return f"{found.day} {found:%B %Y, %H:%M} UTC"


def plural(number: int, word: str) -> str:
    """ "1 domain", "5 domains"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
