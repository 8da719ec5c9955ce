"""Texts in other encodings than UTF-8: what they seem to be, and their lines as UTF-8."""

from __future__ import annotations

import codecs

from charset_normalizer import from_bytes

from components.dataset.sections import UTF_8

NO_TEXT = "is not UTF-8 text"
"""Why a line is no row, whatever encoding is declared."""
_SAMPLE_BYTES = 64 << 10
_SIGNS = "€£°§«»\u2018\u2019\u201c\u201d\u2013\u2014\u2026"


def encoding_hint(data: bytes) -> str:
    """What bytes that are no UTF-8 seem to be, with the setting that reads them so."""
    sample = data[:_SAMPLE_BYTES]
    best = None if _is_western(sample) else from_bytes(sample).best()
    name = "cp1252" if _is_western(sample) else "" if best is None else best.encoding
    if name in ("", "ascii", "utf_8"):
        return "; text in another encoding is declared with `encoding` (`dataset new`, `predict`: --encoding)"
    return f"; it looks like {name}: declare `encoding: {name}` (`dataset new`, `predict`: --encoding)"


def is_in_utf_8(data: bytes) -> bool:
    """Whether a text says by its bytes that it is UTF-8: letters beyond ASCII, and all of them whole.

    Args:
      data: the beginning of a text, which may end within a letter.
    """
    try:
        return not codecs.getincrementaldecoder(UTF_8)().decode(data).isascii()
    except UnicodeDecodeError:
        return False


def _is_western(sample: bytes) -> bool:
    """Whether this is text with a letter like é here and there; a detector goes astray where there are few of them."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    others = [character for character in text if not character.isascii()]
    odd = [character for character in others if not character.isalpha() and character not in _SIGNS]
    return not odd and 4 * len(others) <= sum(map(str.isalpha, text))


def as_utf_8(block: bytes, encoding: str) -> bytes:
    """Whole lines of a text as UTF-8; a line that is no text in its encoding stays none."""
    if encoding == UTF_8:
        return block
    try:
        return block.decode(encoding).encode()
    except UnicodeDecodeError:
        return b"".join(_line(line, encoding) for line in block.splitlines(keepends=True))


def _line(line: bytes, encoding: str) -> bytes:
    try:
        return line.decode(encoding).encode()
    except UnicodeDecodeError:
        return b"\xff" + line.rstrip(b"\r\n").replace(b"\xff", b"") + b"\n"


def one_character(text: bytes, separator: str) -> tuple[bytes, str]:
    """Text whose values are separated by one character, and that; several, as in `a::b`, become U+001F."""
    if len(separator) == 1:
        return text, separator
    return text.replace(separator.encode(), b"\x1f"), "\x1f"
