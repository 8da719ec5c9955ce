"""Brings a user's error from a Beam worker to the driver.

A runner hands back what a DoFn raised as another type, with a traceback as its text. So a worker puts its message,
encoded, into the text, and the driver finds it there whatever the runner did around it.
"""

from __future__ import annotations

import base64
import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from components.errors import InputError

_MARK = re.compile(r"<<dfei-input:([A-Za-z0-9+/=]*)>>")


class WorkerError(RuntimeError):
    """An InputError on its way from a worker; its text is an encoded message.

    It is made from text alone, as runners make a new one with their own words added.
    """


def _encoded(message: str) -> WorkerError:
    return WorkerError(f"<<dfei-input:{base64.b64encode(message.encode()).decode()}>>")


def full_disk_message(path: str) -> str:
    """What the user reads when the disk that holds `path` is full."""
    return f"{path}: no space left on the device; free some, or give another --root"


@contextmanager
def in_worker(path: str) -> Iterator[None]:
    """Turns an InputError, and a full disk below `path`, into a WorkerError."""
    try:
        yield
    except InputError as error:
        raise _encoded(str(error)) from error
    except (OSError, tf.errors.OpError) as error:
        if _is_full_disk(error):
            raise _encoded(full_disk_message(path)) from error
        raise


@contextmanager
def in_driver(path: str) -> Iterator[None]:
    """Turns whatever a runner made of a WorkerError, and a full disk below `path`, into an InputError."""
    try:
        yield
    except InputError:
        raise
    except (OSError, tf.errors.OpError) as error:
        if _is_full_disk(error):
            raise InputError(full_disk_message(path)) from error
        raise
    except Exception as error:
        found = _MARK.search(str(error))
        if found is None:
            raise
        raise InputError(base64.b64decode(found.group(1)).decode()) from None


def _is_full_disk(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, tf.errors.OpError) and "No space left" in str(error)
