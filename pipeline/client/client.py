"""The client, and what it asks of a transport."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar

from pipeline.client.errors import CallError, Code
from pipeline.client.ranking import ranking_inputs
from pipeline.client.retries import Retries
from pipeline.client.tensors import Array

T = TypeVar("T")

DEFAULT_SIGNATURE = "serving_default"
RANKING_SIGNATURE = "rank"


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """An input or output of a signature.

    Attributes:
      dtype: the data type's number in the protocol; see `pipeline.client.tensors.DTYPES`.
      shape: sizes, -1 for any; `None` where even the rank is open.
      optional: whether a request may leave this input out.
    """

    dtype: int
    shape: tuple[int, ...] | None
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a model can be asked: inputs and outputs by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@dataclasses.dataclass(frozen=True)
class ModelMetadata:
    """A served version and its signatures.

    Attributes:
      notes: what `dfei serve` says beside them over REST: "domain", "lists" and "written"; empty of other servers.
    """

    name: str
    version: int
    signatures: Mapping[str, Signature]
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def signature(self, name: str) -> Signature:
        """The signature of that name.

        Raises:
          CallError: NOT_FOUND, with the names that exist.
        """
        if name not in self.signatures:
            raise CallError(
                Code.NOT_FOUND,
                f"model {self.name!r}, version {self.version}, has no signature {name!r}; there are "
                + ", ".join(sorted(self.signatures)),
            )
        return self.signatures[name]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """State of one version: START, LOADING, AVAILABLE, UNLOADING or END, and the error that it ended with."""

    version: int
    state: str
    code: Code
    message: str


@dataclasses.dataclass(frozen=True)
class Which:
    """Which version of a model answers: the latest, one by number, or the one that a label stands for."""

    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise ValueError(f"name a version or a label, not both: {self.version} and {self.label!r}")


LATEST = Which()


class Transport(Protocol):
    """How calls about one model travel. Each is made once, within `seconds`; retries are the client's."""

    def predict(
        self, inputs: Mapping[str, Any], signature: str, which: Which, outputs: Sequence[str], seconds: float
    ) -> dict[str, Array]:
        """See `ServingClient.predict`."""
        ...

    def classify(
        self, examples: Sequence[bytes], signature: str, which: Which, seconds: float
    ) -> list[list[tuple[str, float]]]:
        """See `ServingClient.classify`."""
        ...

    def regress(self, examples: Sequence[bytes], signature: str, which: Which, seconds: float) -> Array:
        """See `ServingClient.regress`."""
        ...

    def metadata(self, which: Which, seconds: float) -> ModelMetadata:
        """See `ServingClient.metadata`."""
        ...

    def status(self, seconds: float) -> list[VersionStatus]:
        """The state of every version, in any order."""
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


class ServingClient:
    """Asks one model of a server that speaks TensorFlow Serving's protocol. Safe to use from many threads.

    Args:
      transport: gRPC (`pipeline.client.grpc_transport`) or REST (`pipeline.client.rest_transport`).
      model: the model's name on the server, for messages.
      timeout: seconds for a call with all its retries, unless the call says otherwise.
      retries: when a call is made again.
    """

    def __init__(
        self, transport: Transport, model: str, timeout: float = 10.0, retries: Retries | None = None
    ) -> None:
        self.transport = transport
        self.model = model
        self.timeout = timeout
        self.retries = retries or Retries()

    def _call(self, once: Callable[[float], T], timeout: float | None) -> T:
        return self.retries.call(once, self.timeout if timeout is None else timeout)

    def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        signature: str = DEFAULT_SIGNATURE,
        which: Which = LATEST,
        outputs: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, Array]:
        """Asks for a prediction.

        Args:
          inputs: an array, list or scalar for every input of the signature. Lists of Python floats are sent as
            float32, integers as int64.
          signature: which signature.
          which: which version.
          outputs: names of the outputs wanted; all where empty.
          timeout: seconds, retries included.

        Returns:
          Arrays by output name; strings as object arrays of bytes.

        Raises:
          CallError: the server refused, or did not answer in time.
          ValueError: an input is not something that can be sent.
        """
        return self._call(
            lambda seconds: self.transport.predict(inputs, signature, which, outputs, seconds), timeout
        )

    def rank(
        self,
        user: Mapping[str, Any],
        items: Mapping[str, Any],
        domains: Mapping[str, Any],
        *,
        signature: str = RANKING_SIGNATURE,
        output: str = "click_probability",
        which: Which = LATEST,
        timeout: float | None = None,
    ) -> Array:
        """Asks how likely a user is to click each of many candidates, in one or more domains.

        Args:
          user: what holds for all candidates: one value per feature, the user's and the moment's.
          items: features of the candidates: one value for each of them.
          domains: the domain's column with one or more domains.
          signature: which signature; one whose inputs are (requests, values).
          output: its output.
          which: which version.
          timeout: seconds, retries included.

        Returns:
          float32 (domains, candidates).

        Raises:
          CallError: the server refused, or did not answer in time.
          ValueError: a feature has too many values, or there is no candidate.
        """
        inputs, shape = ranking_inputs(user, items, domains)
        answer = self.predict(inputs, signature=signature, which=which, outputs=[output], timeout=timeout)
        # A server that pads requests of different lengths in one batch answers for the padding too.
        return answer[output][0, : shape[0], : shape[1]]

    def classify(
        self,
        examples: Sequence[bytes],
        *,
        signature: str = DEFAULT_SIGNATURE,
        which: Which = LATEST,
        timeout: float | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Labels and scores of serialized `tf.Example`s."""
        return self._call(
            lambda seconds: self.transport.classify(examples, signature, which, seconds), timeout
        )

    def regress(
        self,
        examples: Sequence[bytes],
        *,
        signature: str = DEFAULT_SIGNATURE,
        which: Which = LATEST,
        timeout: float | None = None,
    ) -> Array:
        """One float32 value for each serialized `tf.Example`."""
        return self._call(
            lambda seconds: self.transport.regress(examples, signature, which, seconds), timeout
        )

    def metadata(self, which: Which = LATEST, timeout: float | None = None) -> ModelMetadata:
        """The signatures of the version that would answer."""
        return self._call(lambda seconds: self.transport.metadata(which, seconds), timeout)

    def status(self, timeout: float | None = None) -> list[VersionStatus]:
        """State of every version that the server knows, newest first."""
        return sorted(self._call(self.transport.status, timeout), key=lambda state: -state.version)

    def close(self) -> None:
        """Closes the connections."""
        self.transport.close()

    def wait_until_ready(self, seconds: float = 60.0) -> int:
        """Waits until a version is available, and returns the newest such.

        Raises:
          CallError: DEADLINE_EXCEEDED, with the last answer.
        """
        deadline = time.monotonic() + seconds
        last = "no answer"
        while (left := deadline - time.monotonic()) > 0:
            try:
                states = self.status(timeout=min(left, 5.0))
            except CallError as error:
                last = str(error)
            else:
                available = [state.version for state in states if state.state == "AVAILABLE"]
                if available:
                    return max(available)
                last = ", ".join(f"{state.version} {state.state} {state.message}" for state in states)
            time.sleep(min(0.1, max(left, 0)))
        raise CallError(
            Code.DEADLINE_EXCEEDED, f"model {self.model!r} was not ready within {seconds:g} s: {last}"
        )

    def __enter__(self) -> ServingClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
