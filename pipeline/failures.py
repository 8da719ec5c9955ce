"""From whatever was raised to one message and an exit code."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from components.errors import EngineError, GateError, InputError

_FREE = "Free some space and run again"
_WRITABLE = "Give a folder that can be written, and run again"
_PERMITTED = "Make it accessible and run again"
_LIMIT = "Raise the limit (ulimit -n) and run again"
# What a disk or its owner answers: in words, and what to do.
_DISKS = {
    errno.ENOSPC: ("the disk is full", _FREE),
    errno.EDQUOT: ("the disk is full (its quota)", _FREE),
    errno.EFBIG: ("the file is larger than the disk allows", _FREE),
    errno.EROFS: ("the disk is read-only", _WRITABLE),
    errno.EACCES: ("no permission", _PERMITTED),
    errno.EPERM: ("no permission", _PERMITTED),
    errno.EIO: ("the disk answers with an error", "Look at the disk, or give another folder"),
    errno.ENAMETOOLONG: ("the name is too long", "Give a folder with a shorter path"),
    errno.EMFILE: ("too many open files", _LIMIT),
    errno.ENFILE: ("too many open files on this machine", _LIMIT),
}
# The same in the texts of libraries that know no numbers: TensorFlow, SQLite, Arrow.
_TEXTS = {
    "No space left on device": errno.ENOSPC,
    "database or disk is full": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
    "Read-only file system": errno.EROFS,
    "readonly database": errno.EROFS,
    "unable to open database file": errno.EACCES,
    "Permission denied": errno.EACCES,
    "Input/output error": errno.EIO,
    "disk I/O error": errno.EIO,
    "File name too long": errno.ENAMETOOLONG,
    "Too many open files": errno.EMFILE,
}
# What the loader says of a system library that a package needs: LightGBM needs that of OpenMP.
_NO_LIBRARY = re.compile(r"(\S+): cannot open shared object file")
_PACKAGES = {"libgomp.so.1": "libgomp1"}
_PATH = re.compile(r"(?<![\w.:/])/[^\s;:,'\"()\[\]{}]+")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def explain(error: BaseException) -> tuple[str, int] | None:
    """What a person should read of an error, and the exit code.

    Args:
      error: what a command raised.

    Returns:
      Message and exit code, or `None` for an error that is nobody's input: a defect, which keeps its traceback.
    """
    links = list(chain(error))
    for link in links:
        if isinstance(link, (InputError, GateError, EngineError)):
            return str(link), link.exit_code
        if found := _NO_LIBRARY.search(str(link)):
            package = _PACKAGES.get(found[1], f"the package that has {found[1]}")
            return f"{found[1]} is not on this machine: apt-get install {package} (Debian, Ubuntu)", 2
        number = _number(link)
        if number is not None:
            what, remedy = _DISKS[number]
            return f"{what}: {_place(links)}. {remedy}", 2
    return None


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno in _DISKS:
        return error.errno
    return next((number for text, number in _TEXTS.items() if text in str(error)), None)


def _place(links: list[BaseException]) -> str:
    """The file or folder that the errors name."""
    for link in links:
        if isinstance(link, OSError) and link.filename:
            return str(link.filename)
    for link in links:
        if found := _PATH.search(str(link)):
            return found[0].rstrip(".")
    return "no room to write"
