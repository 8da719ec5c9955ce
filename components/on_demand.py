"""Imports that wait until they are needed: what TFX and TFMA load at every start and a run never uses.

`tfx.components` loads every component there is when one of them is imported, InfraValidator's Kubernetes client and its
schema checker among them; TFMA loads the scorer of a text metric. Together that is most of a start's processor time.
"""

from __future__ import annotations

import importlib
import sys
import threading
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

MODULES = (
    "tfx.components",
    # Beam's connectors to services that a run does not read: their names are not among those of `apache_beam.io`, and
    # are imported from these modules.
    "apache_beam.io.gcp.bigquery",
    "apache_beam.io.gcp.gcsio",
    "apache_beam.io.gcp.pubsub",
    "google.cloud.pubsub",
    "apache_beam.io.mongodbio",
    "apache_beam.runners.dataflow.internal.clients.dataflow",
    "apache_beam.runners.dataflow.internal.clients.cloudbuild",
    # Metrics of texts, TFMA's and TFDV's pictures in a notebook, another statistic's test.
    "nltk",
    "nltk.stem",
    "nltk.stem.porter",
    "rouge_score.rouge_scorer",
    "sacrebleu",
    "sacrebleu.metrics",
    "portalocker",
    "tensorflow_model_analysis.view",
    "IPython",
    "scipy.stats",
    "scipy.sparse",
    # Keras's pictures, and its files of weights.
    "h5py",
    "scipy.linalg",
    "scipy.ndimage",
    "sklearn.neighbors",
    # The report's figures, made when a run is over.
    "plotly.subplots",
    # What asks a cloud where it runs.
    "googleapiclient.discovery",
    # TFX's executor in a container.
    "docker",
)


def _is_sparse(value: object) -> bool:
    """`scipy.sparse.issparse`: without SciPy's sparse matrices nothing is one."""
    return executed("scipy.sparse") and sys.modules["scipy.sparse"].issparse(value)


# What is known of a module that nobody has executed: where IPython is not, there is no shell of it. Beam asks at each
# of its steps. Keras takes `issparse` when it is imported.
KNOWN: Mapping[str, Mapping[str, Any]] = {
    # TFMA writes it beside a method, as what that returns.
    "sacrebleu.metrics": {"BLEUScore": object},
    "IPython": {"get_ipython": lambda: None},
    # Beam's class of `gs://` takes it as its own constant; Google's client comes when the first such path is opened.
    "apache_beam.io.gcp.gcsio": {"MAX_BATCH_OPERATION_SIZE": 100},
    "scipy.sparse": {"issparse": _is_sparse},
}


def tensorflow_api() -> list[str]:
    """The packages that TensorFlow's public names are sorted into, as `tensorflow._api.v2.image`.

    Each imports what its names stand for, nine hundred modules in all; a run needs half of them. Those that are called
    as a folder of TensorFlow's sources are left out: importing that would take their place in `tensorflow`.
    """
    spec = PathFinder.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        return []
    sources = Path(spec.origin).parent
    named = (sources / "_api" / "v2" / "api_packages.txt").read_text().split()
    return [name for name in named if not (sources / name.removeprefix("tensorflow._api.v2.")).is_dir()]


class OnDemandFinder(MetaPathFinder):
    """Has some modules executed only when the first of their own names is asked for.

    A package among them lets its modules be imported without being executed itself, also by
    `from package import module`: none of those may need a name of the package while it is imported. Nothing is imported
    before somebody imports such a module.

    Args:
      names: dotted.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's usual spec with a loader that waits; `None` for every other module."""
        if fullname not in self.names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        spec.loader = _WaitingLoader(spec.loader)
        return spec


class _WaitingLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._lock = threading.RLock()
        self.executing = False
        self.executed = False

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        """Executes nothing: the first name that is asked for does, in one thread, while others wait."""

        def ask(name: str) -> Any:
            # What the import system itself asks for, such as `__path__`, is there; `__all__` is not worth it. Modules
            # may be called so: `tf.__internal__`.
            if not name.startswith("__") or _is_module(module, name):
                if not (self.executed or self.executing) and _is_module(module, name):
                    return importlib.import_module(f"{module.__name__}.{name}")
                self._execute(module, ask)
            if name not in vars(module):
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return vars(module)[name]

        vars(module).update(KNOWN.get(module.__name__, {}), __getattr__=ask)

    def _execute(self, module: types.ModuleType, ask: Callable[[str], Any]) -> None:
        with self._lock:
            # While it is executing, what it imports may ask for a name that is not there yet.
            if self.executed or self.executing:
                return
            self.executing = True
            try:
                self._loader.exec_module(module)
            finally:
                self.executing = False
            self.executed = True
            if vars(module).get("__getattr__") is ask:
                del vars(module)["__getattr__"]


def _is_module(package: types.ModuleType, name: str) -> bool:
    path = vars(package).get("__path__")
    return path is not None and PathFinder.find_spec(f"{package.__name__}.{name}", path) is not None


def import_on_demand(names: Collection[str] = ()) -> None:
    """From now on these modules wait, `MODULES` and TensorFlow's where none are named; loaded ones stay as they are."""
    sys.meta_path.insert(0, OnDemandFinder(names or (*MODULES, *tensorflow_api())))


def executed(name: str) -> bool:
    """Whether a module is imported and has been executed."""
    module = sys.modules.get(name)
    loader = module.__spec__.loader if module is not None and module.__spec__ is not None else None
    return loader.executed if isinstance(loader, _WaitingLoader) else module is not None
