"""What is in a model directory: its versions, and whether their files are being written."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from components.pusher.version_names import is_odd, version_number


@dataclasses.dataclass(frozen=True)
class VersionFiles:
    """A version on disk.

    Attributes:
      number: the version.
      path: its directory.
      files: `(name, bytes, modification time)` of every file: another value, another content.
      changed: when a file or a name was last written, in seconds since the epoch; no copy can preserve this
        time, as it can a modification time.
    """

    number: int
    path: Path
    files: tuple[tuple[str, int, int], ...]
    changed: float

    @property
    def has_model(self) -> bool:
        """Whether there is a graph at all; it is not there yet while a copy is under way."""
        return any(name in ("saved_model.pb", "saved_model.pbtxt") for name, _, _ in self.files)


def odd_names(base: Path) -> list[str]:
    """Folders whose names look like versions and are none: they are passed over.

    Raises:
      OSError: the directory cannot be read.
    """
    return sorted(entry.name for entry in base.iterdir() if is_odd(entry.name) and entry.is_dir())


def scan(base: Path) -> dict[int, VersionFiles]:
    """The versions in a model directory. Other names, and files that vanish meanwhile, are passed over.

    Raises:
      OSError: the directory cannot be read.
    """
    found: dict[int, VersionFiles] = {}
    for entry in sorted(base.iterdir()):
        number = version_number(entry.name)
        if number is not None and entry.is_dir():
            found[number] = _describe(number, entry)
    return found


def _describe(number: int, directory: Path) -> VersionFiles:
    files, changed = [], 0.0
    for folder, _, names in os.walk(directory, followlinks=True):
        for name in names:
            path = Path(folder) / name
            try:
                facts = path.stat()
            except OSError:
                continue
            files.append((path.relative_to(directory).as_posix(), facts.st_size, facts.st_mtime_ns))
            changed = max(changed, facts.st_ctime)
    return VersionFiles(number, directory, tuple(sorted(files)), changed)
