"""What the two stacks do differently, each with its reason: only `models.segment_sum` asks for itself which one it is.

The stacks are TFX 1.21 with TensorFlow 2.21 on Python 3.12 and 3.13, and TFX 1.16 with TensorFlow 2.16 on Python 3.11
(`requirements-current.txt`, `requirements.txt`). Whatever is written here is right on both; what differs and needs no
code is in docs/stacks.md.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import version
from pathlib import Path
from platform import python_version

# Beam's runner on this machine, by its own name. From 2.65 on `DirectRunner` first tries Prism, and downloads it for
# every job, where it can.
LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"

_TFMA = "tensorflow_model_analysis"


def name() -> str:
    """The stack that runs, as people name it: "TFX 1.21.0, TensorFlow 2.21.0, Python 3.13.5"."""
    return f"TFX {version('tfx')}, TensorFlow {version('tensorflow')}, Python {python_version()}"


def label() -> str:
    """The stack as a label of Kubernetes and of Vertex, which takes no dots: "tfx-1-21-0-python-3-13-5"."""
    return f"tfx-{version('tfx')}-python-{python_version()}".replace(".", "-")


def glob(base: Path, pattern: str) -> Iterator[Path]:
    """`base.glob(pattern)` as Python up to 3.12 has it.

    3.13 reads two stars that are no whole part of the path, as in `**.csv`, as one, and finds less than was meant; and
    `**` at the end matches files beside folders.

    Raises:
      ValueError: such two stars, or whatever else pathlib refuses.
    """
    parts = pattern.split("/")
    if any("**" in part and part != "**" for part in parts):
        raise ValueError(f"{pattern!r}: '**' can only be an entire path component")
    found = base.glob(pattern)
    return (path for path in found if path.is_dir()) if parts[-1] == "**" else found


class _NamingFinder(MetaPathFinder):
    """Has TFMA keep the names of its messages, such as `EvalConfig`, at its top level.

    TFMA 0.52 lost them to its own linter. TFX's Evaluator and every example look for them there; TFX puts nine back,
    when the whole of `tfx.components` is executed, which `components.on_demand` spares a start.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """TFMA's usual spec, whose loader names the messages afterwards; `None` for every other module."""
        if fullname != _TFMA:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _NamingLoader(spec.loader)
        return spec


class _NamingLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        self._loader.exec_module(module)
        from tensorflow_model_analysis.proto import config_pb2

        for message in config_pb2.DESCRIPTOR.message_types_by_name:
            if not hasattr(module, message):
                setattr(module, message, getattr(config_pb2, message))


def keep_names() -> None:
    """From now on TFMA has the names of its messages, on whichever stack."""
    sys.meta_path.insert(0, _NamingFinder())
