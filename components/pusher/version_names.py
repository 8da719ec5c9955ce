"""Which folders of a serving directory are versions."""

from __future__ import annotations

LARGEST_VERSION = (1 << 63) - 1


def version_number(name: str) -> int | None:
    """The version that a folder's name stands for, as TensorFlow Serving reads it, or `None`."""
    if not (name.isascii() and name.isdigit()) or int(name) > LARGEST_VERSION:
        return None
    return int(name)


def is_odd(name: str) -> bool:
    """Whether a name looks like a number and is no version: digits of another script, or more than 64 bits hold."""
    return name.isnumeric() and version_number(name) is None
