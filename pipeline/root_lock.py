"""One run at a time per root."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.errors import InputError


@contextmanager
def root_lock(path: Path) -> Iterator[None]:
    """Holds the lock file `path`; the system lets go of it when the process ends, however it ends.

    Raises:
      InputError: another run holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{path.parent} is in use by another run: wait for it, or give another --root"
            ) from None
        yield
