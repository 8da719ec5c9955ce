"""What a server does with a request, whichever protocol it came by."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from models.arrays import Array
from pipeline.serving.admission import Admission, Budget
from pipeline.serving.errors import Code, RequestError, invalid
from pipeline.serving.example_answers import Classes, classes, example_inputs, regressions
from pipeline.serving.metrics import Metrics
from pipeline.serving.request_log import Answered, RequestLog
from pipeline.serving.runners import Runner
from pipeline.serving.saved_model import LoadedModel, ServedSignature
from pipeline.serving.settings import Limits
from pipeline.serving.unknown_domains import UnknownDomains
from pipeline.serving.versions import ModelVersions, VersionState

Shapes = Mapping[str, Sequence[int]]
Decode = Callable[[ServedSignature, Callable[[Shapes], object]], Mapping[str, Array]]
"""`(signature, fits) -> inputs`; calls `fits` with their shapes before it makes them."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """Which model, version and signature a request is for.

    Attributes:
      name: the model.
      version: its version; `None` for the latest.
      label: or its label; empty for none.
      signature: empty for `serving_default`.
    """

    name: str
    version: int | None = None
    label: str = ""
    signature: str = ""


@dataclasses.dataclass(frozen=True)
class Call:
    """How a request came: method (`Predict`), protocol (`GRPC`), and until when an answer is of use."""

    api: str
    entrypoint: str
    deadline: float | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    """Outputs, and the version that computed them."""

    version: int
    signature: ServedSignature
    outputs: Mapping[str, Array]


class Engine:
    """Answers requests with the models it has.

    Args:
      models: by name.
      runner: computes.
      admission: how many requests at the same time.
      limits: of predictions.
      metrics: where requests are counted.
      refuse_unknown_domains: whether a domain that was not in training is an error.
      requests: logs a sample of the requests; `None`: none are.
    """

    def __init__(
        self,
        models: Mapping[str, ModelVersions],
        runner: Runner,
        admission: Admission,
        limits: Limits,
        metrics: Metrics,
        refuse_unknown_domains: bool = False,
        requests: RequestLog | None = None,
    ) -> None:
        self._unknown_domains = UnknownDomains(metrics, refuse_unknown_domains)
        self.models = models
        self.admission = admission
        self.metrics = metrics
        self._runner = runner
        self._requests = requests
        self._most = limits.predictions
        self._predictions = Budget(
            limits.predictions_together, Code.RESOURCE_EXHAUSTED, "predictions at the same time"
        )

    @contextlib.contextmanager
    def counted(self, spec: Spec, call: Call) -> Iterator[None]:
        """Counts a request, its outcome and its time; refuses it where the server is full.

        Raises:
          RequestError: what the request was answered with.
        """
        name = spec.name if spec.name in self.models else ""
        begun = time.monotonic()
        try:
            with self.admission.request():
                yield
        except RequestError as error:
            self.metrics.request(name, error.code.name)
            raise
        self.metrics.request(name, Code.OK.name)
        self.metrics.latency(name, call.api, call.entrypoint, time.monotonic() - begun)

    def model(self, name: str) -> ModelVersions:
        """The model of that name.

        Raises:
          RequestError: there is none.
        """
        if not name:
            raise invalid("ModelSpec has no name specified.")
        if name not in self.models:
            raise RequestError(Code.NOT_FOUND, f"Servable not found for request: Latest({name})")
        return self.models[name]

    def run(self, spec: Spec, decode: Decode, call: Call) -> Answer:
        """Computes a request.

        Args:
          spec: what it is for.
          decode: makes its inputs, for the signature, once their shapes are known to fit.
          call: how it came.

        Raises:
          RequestError: it is wrong, or cannot be computed.
        """
        with self.model(spec.name).acquire(spec.version, spec.label) as serving:
            signature = serving.model.signature(spec.signature)
            given = decode(signature, lambda shapes: self._require_few(signature, shapes))
            signature.check(given)
            self._unknown_domains.look(spec.name, serving.model, given)
            inputs = signature.complete(given)
            predictions = self._require_few(signature, {name: array.shape for name, array in given.items()})
            begun = time.monotonic()
            with self._predictions.held(predictions):
                outputs = self._runner.run(serving.model, signature, inputs, call.deadline)
            self.metrics.runtime(spec.name, call.api, time.monotonic() - begun)
            if self._requests is not None and self._requests.sampled():
                names = (spec.name, serving.number, signature.name)
                self._requests.offer(Answered(*names, given, outputs, time.time()))
            return Answer(serving.number, signature, outputs)

    def _require_few(self, signature: ServedSignature, shapes: Shapes) -> int:
        predictions = signature.predictions(shapes)
        if predictions > self._most:
            raise invalid(
                f"the request asks for {predictions} predictions, and may ask for {self._most}: send it in parts"
            )
        return predictions

    def classify(self, spec: Spec, examples: Sequence[bytes], call: Call) -> tuple[Answer, Classes]:
        """Labels and scores of serialized `tf.Example`s.

        Raises:
          RequestError: the signature does not classify, or the request is wrong.
        """
        answer = self.run(spec, lambda signature, fits: example_inputs(signature, examples, fits), call)
        return answer, classes(answer.signature, answer.outputs, len(examples))

    def regress(self, spec: Spec, examples: Sequence[bytes], call: Call) -> tuple[Answer, list[float]]:
        """One value for each serialized `tf.Example`.

        Raises:
          RequestError: the signature does not regress, or the request is wrong.
        """
        answer = self.run(spec, lambda signature, fits: example_inputs(signature, examples, fits), call)
        return answer, regressions(answer.signature, answer.outputs, len(examples))

    @contextlib.contextmanager
    def loaded(self, spec: Spec) -> Iterator[tuple[int, LoadedModel]]:
        """A version in memory, for its metadata.

        Raises:
          RequestError: there is no such version.
        """
        with self.model(spec.name).acquire(spec.version, spec.label) as serving:
            yield serving.number, serving.model

    def states(self, spec: Spec) -> dict[int, VersionState]:
        """State of one version, or of all.

        Raises:
          RequestError: there is no such model, version or label.
        """
        if not spec.name:
            raise invalid("Missing model name in request.")
        if spec.name not in self.models:
            raise RequestError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        states = self.models[spec.name].states()
        version = self.models[spec.name].labelled(spec.label) if spec.label else spec.version
        if version is None:
            if not states:
                raise RequestError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
            return states
        if version not in states:
            raise RequestError(Code.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
        return {version: states[version]}

    @property
    def ready(self) -> bool:
        """Whether every model has a version that answers, and the server is not stopping."""
        return self.admission.is_open and all(model.available for model in self.models.values())
