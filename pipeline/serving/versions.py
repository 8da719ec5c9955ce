"""The versions of one model: found on disk, loaded, warmed up, switched to, and let go.

A new version is loaded beside the one that is serving. Requests go to it once it is warm; the old one is closed
when the last request that it works on is done. A version that does not load is reported and passed over: the
newest one that does load serves. When its files change it is tried again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from pipeline.serving.config_files import VersionPolicy
from pipeline.serving.errors import Code, RequestError, invalid
from pipeline.serving.freed_memory import give_memory_back
from pipeline.serving.saved_model import LoadedModel, short_message
from pipeline.serving.settings import ModelSettings
from pipeline.serving.version_files import VersionFiles, odd_names, scan

log = logging.getLogger(__name__)

Loader = Callable[[str, VersionFiles], LoadedModel]
_REMEMBERED = 100


@dataclasses.dataclass(frozen=True)
class VersionState:
    """State of one version, as `ModelService.GetModelStatus` tells it.

    Attributes:
      state: UNKNOWN, START, LOADING, AVAILABLE, UNLOADING or END.
      code: why it ended, or why it is not being loaded; OK where nothing is wrong.
      message: the same in words.
    """

    state: str
    code: Code = Code.OK
    message: str = ""


SETTLING = VersionState("START")


@dataclasses.dataclass
class Serving:
    """A version in memory, and how many requests use it."""

    number: int
    model: LoadedModel
    files: VersionFiles
    requests: int = 0


class ModelVersions:
    """The versions of one model.

    Args:
      settings: the model.
      load: `(model name, files) -> a loaded and warm model`.
      settle_seconds: how long files must have been left alone before they are loaded.
      closed: called with a model that is about to be closed, when no request uses it any more.
      unload_first: whether what serves is closed before another version is loaded.
    """

    def __init__(
        self,
        settings: ModelSettings,
        load: Loader,
        settle_seconds: float = 1.0,
        closed: Callable[[LoadedModel], None] = lambda model: None,
        unload_first: bool = False,
    ) -> None:
        self.name = settings.name
        self.base = Path(settings.base_path)
        self._policy: VersionPolicy = settings.policy
        self._labels = dict(settings.labels)
        self._load = load
        self._settle_seconds = settle_seconds
        self._closed = closed
        self._unload_first = unload_first
        self._lock = threading.Lock()
        self._serving: dict[int, Serving] = {}
        self._leaving: list[Serving] = []
        self._states: dict[int, VersionState] = {}
        self._failed: dict[int, tuple[tuple[str, int, int], ...]] = {}
        self._seen: dict[int, VersionFiles] = {}
        self._odd: set[str] = set()

    @contextlib.contextmanager
    def acquire(self, version: int | None = None, label: str | None = None) -> Iterator[Serving]:
        """A version to work with; it stays in memory until the context ends.

        Args:
          version: the number; the latest available one where it is `None`.
          label: or the label.

        Raises:
          RequestError: NOT_FOUND, no such version is available; INVALID_ARGUMENT, no such label.
        """
        if label:
            version = self.labelled(label)
        with self._lock:
            wanted = max(self._serving, default=None) if version is None else version
            serving = self._serving.get(wanted) if wanted is not None else None
            if (
                serving is None
                and version is None
                and any(s.state == "LOADING" for s in self._states.values())
            ):
                raise RequestError(Code.UNAVAILABLE, f"a version of {self.name} is being loaded; try again")
            if serving is None:
                raise RequestError(Code.NOT_FOUND, f"Servable not found for request: {self._asked(version)}")
            serving.requests += 1
        try:
            yield serving
        finally:
            with self._lock:
                serving.requests -= 1

    def labelled(self, label: str) -> int:
        """The version that a label stands for.

        Raises:
          RequestError: INVALID_ARGUMENT, no such label.
        """
        if label not in self._labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return self._labels[label]

    def _asked(self, version: int | None) -> str:
        return f"Latest({self.name})" if version is None else f"Specific({self.name}, {version})"

    def states(self) -> dict[int, VersionState]:
        """State of every version, newest first."""
        with self._lock:
            return dict(sorted(self._states.items(), reverse=True))

    @property
    def settling(self) -> bool:
        """Whether there are versions whose files are still being written."""
        with self._lock:
            return any(state == SETTLING for state in self._states.values())

    @property
    def available(self) -> list[int]:
        """Numbers of the versions that answer requests."""
        with self._lock:
            return sorted(self._serving)

    def poll(self) -> None:
        """Looks at the directory once, and loads and closes what has to be."""
        self._close_unused()
        try:
            found = scan(self.base)
            self._say_odd(set(odd_names(self.base)))
        except OSError as error:
            log.warning("%s: %s; what is loaded stays", self.base, error.strerror)
            return
        wanted = self._bring_in(found)
        self._seen = found
        if wanted:
            for number in [number for number in self.available if number not in wanted]:
                self._retire(number)
        self._forget(found)
        self._close_unused()

    def _say_odd(self, names: set[str]) -> None:
        for name in sorted(names - self._odd):
            log.warning(
                "%s: %s is passed over: a version is a number of ASCII digits that 64 bits hold",
                self.name,
                name,
            )
        self._odd = names

    def _bring_in(self, found: dict[int, VersionFiles]) -> set[int]:
        """Loads what the policy asks for, newest first, and what labels stand for; the versions that then serve."""
        wanted: set[int] = set()
        candidates = sorted(found, reverse=True)
        if self._policy.kind == "specific":
            candidates = [number for number in candidates if number in self._policy.specific]
        limit = self._policy.latest if self._policy.kind == "latest" else len(candidates)
        for number in candidates:
            if len(wanted) < limit and self._serves(number, found):
                wanted.add(number)
        labelled = [number for number in self._labels.values() if number in found and number not in wanted]
        return wanted.union(number for number in labelled if self._serves(number, found))

    def _serves(self, number: int, found: dict[int, VersionFiles]) -> bool:
        return number in self.available or self._try(found[number])

    def _try(self, files: VersionFiles) -> bool:
        number = files.number
        if self._failed.get(number) == files.files:
            return False
        if not files.has_model:
            self._state(number, "START", Code.FAILED_PRECONDITION, "there is no saved_model.pb (yet)")
            return False
        if not self._settled(files):
            with self._lock:
                self._states[number] = SETTLING
            return False
        self._state(number, "LOADING")
        if self._unload_first:
            self._unload()
        begun = time.monotonic()
        try:
            model = self._load(self.name, files)
        except RequestError as error:
            return self._refuse(files, error.code, f"warm-up failed: {error.message}")
        except tf.errors.OpError as error:
            return self._refuse(files, Code(error.error_code), short_message(error))
        except Exception as error:
            # A damaged graph or warm-up request fails in many ways, and the watcher outlives them all.
            return self._refuse(files, Code.DATA_LOSS, f"{type(error).__name__}: {error}")
        with self._lock:
            self._failed.pop(number, None)
            self._serving[number] = Serving(number, model, files)
            self._states[number] = VersionState("AVAILABLE")
        log.info("%s: version %d serves, loaded in %.1f s", self.name, number, time.monotonic() - begun)
        return True

    def _unload(self) -> None:
        """Closes what serves, once no request uses it."""
        for number in self.available:
            self._retire(number)
        self._close_unused()
        while self._leaving:
            time.sleep(0.01)
            self._close_unused()

    def _settled(self, files: VersionFiles) -> bool:
        seen = self._seen.get(files.number)
        unchanged = seen is not None and seen.files == files.files
        age = time.time() - files.changed
        return age >= 10 * self._settle_seconds or (unchanged and age >= self._settle_seconds)

    def _refuse(self, files: VersionFiles, code: Code, message: str) -> bool:
        log.error("%s: version %d does not load: %s", self.name, files.number, message)
        self._failed[files.number] = files.files
        self._state(files.number, "END", code, message)
        return False

    def _state(self, number: int, state: str, code: Code = Code.OK, message: str = "") -> None:
        with self._lock:
            self._states[number] = VersionState(state, code, message)

    def _retire(self, number: int) -> None:
        with self._lock:
            self._leaving.append(self._serving.pop(number))
            self._states[number] = VersionState("UNLOADING")
        log.info("%s: version %d takes no more requests", self.name, number)

    def _close_unused(self) -> None:
        with self._lock:
            unused = [serving for serving in self._leaving if serving.requests == 0]
            self._leaving = [serving for serving in self._leaving if serving.requests]
        for serving in unused:
            self._closed(serving.model)
            serving.model.close()
            with self._lock:
                if serving.number not in self._serving:
                    self._states[serving.number] = VersionState("END")
            log.info("%s: version %d is closed", self.name, serving.number)
        if unused:
            unused.clear()
            give_memory_back()

    def _forget(self, found: dict[int, VersionFiles]) -> None:
        with self._lock:
            for number in [number for number in self._failed if number not in found]:
                del self._failed[number]
            gone = [
                number for number, state in sorted(self._states.items()) if state.state in ("START", "END")
            ]
            gone = [number for number in gone if number not in found]
            for number in gone[: max(len(self._states) - _REMEMBERED, 0)]:
                del self._states[number]

    def close(self, seconds: float) -> None:
        """Lets all versions go, waiting up to so long for the requests that use them."""
        deadline = time.monotonic() + seconds
        for number in self.available:
            self._retire(number)
        self._close_unused()
        while self._leaving and time.monotonic() < deadline:
            time.sleep(0.01)
            self._close_unused()
