"""Texts in other encodings than UTF-8: what they seem to be, and their lines as UTF-8."""

from __future__ import annotations

from charset_normalizer import from_bytes

from components.dataset.sections import UTF_8

_SAMPLE_BYTES = 64 << 10


def encoding_hint(data: bytes) -> str:
    """What bytes that are no UTF-8 seem to be, with the setting that reads them so."""
    best = from_bytes(data[:_SAMPLE_BYTES]).best()
    if best is None or best.encoding in ("ascii", "utf_8"):
        return "; text in another encoding is declared with `encoding` (in `dataset new`: --encoding)"
    return (
        f"; it looks like {best.encoding}: declare `encoding: {best.encoding}` (in `dataset new`: --encoding)"
    )


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
