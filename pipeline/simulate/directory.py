"""Writing a directory as a whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.errors import InputError


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Gives a directory beside `target` to write into, and renames it to `target` at the end.

    On any error or interrupt the directory is removed and `target` is as it was before. What a killed process
    left behind is removed by the next one on the same host.

    Args:
        target: the directory to be; it does not exist or is empty.

    Raises:
        InputError: the disk is full, or the place cannot be written to.
    """
    target = target.absolute()
    prefix = f".{target.name}.partial-{socket.gethostname()}-"
    partial = target.parent / f"{prefix}{os.getpid()}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target.parent, prefix)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{target}: cannot be written: a part of the path is a file, not a directory"
        ) from error
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        yield partial
        partial.rename(target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{target}: the disk is full. Free some space or choose another place, and start again; "
                "nothing was left there"
            ) from error
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def require_space(target: Path, needed: int, what: str) -> None:
    """Checks that the disk of a directory to be has room.

    Args:
        target: the directory; it need not exist.
        needed: bytes.
        what: what needs the room, for the message.

    Raises:
        InputError: there is less room.
    """
    place = target.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InputError(
            f"{target}: {what} needs {_megabytes(needed)} and the disk has {_megabytes(free)} left. Free "
            "some space or choose another place"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for path in parent.glob(f"{glob.escape(prefix)}*"):
        number = path.name.removeprefix(prefix)
        if number.isdigit() and not _is_running(int(number)):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
