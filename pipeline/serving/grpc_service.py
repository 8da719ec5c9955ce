"""The gRPC side: `PredictionService`, `ModelService` and gRPC's health checking.

Requests and answers travel as bytes through gRPC and are decoded here, so that a damaged request is answered with
INVALID_ARGUMENT and its time is part of what is measured.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from models.arrays import Array
from pipeline.client import tensors
from pipeline.client.messages import MODEL_SERVICE, PREDICTION_SERVICE, SERVING, SIGNATURE_DEF, STATES
from pipeline.client.proto_file import ProtoFile
from pipeline.serving.admission import Budget
from pipeline.serving.engine import Answer, Call, Engine, Shapes, Spec
from pipeline.serving.errors import Code, RequestError, invalid
from pipeline.serving.example_answers import with_context
from pipeline.serving.metadata import signature_map
from pipeline.serving.saved_model import ServedSignature
from pipeline.serving.token import shown

_HEALTH = ProtoFile(Path(__file__).with_name("health.proto"))
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_STATE_NUMBERS = {name: number for number, name in STATES.items()}

Method = Callable[[bytes, grpc.ServicerContext], bytes]


class GrpcService:
    """Handlers of all methods.

    Args:
      engine: answers.
      bodies: bytes of the requests that are being worked on.
      token: that a change of the configuration asks for; empty for none.
    """

    def __init__(self, engine: Engine, bodies: Budget, token: str = "") -> None:
        self._engine = engine
        self._bodies = bodies
        self._token = token

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """What a gRPC server is given."""
        services: dict[str, dict[str, Method]] = {
            PREDICTION_SERVICE: {
                "Predict": self.predict,
                "Classify": self.classify,
                "Regress": self.regress,
                "GetModelMetadata": self.metadata,
                "MultiInference": _unimplemented("MultiInference is not served; call Classify and Regress"),
            },
            MODEL_SERVICE: {
                "GetModelStatus": self.status,
                "HandleReloadConfigRequest": self.reload,
            },
            f"{_HEALTH.package}.Health": {"Check": self.health},
        }
        return [
            grpc.method_handlers_generic_handler(
                service,
                {name: grpc.unary_unary_rpc_method_handler(_answering(m)) for name, m in methods.items()},
            )
            for service, methods in services.items()
        ]

    @contextmanager
    def _request(self, kind: str, data: bytes, api: str, context: Any) -> Iterator[tuple[Any, Spec, Call]]:
        """A decoded request, counted."""
        left = context.time_remaining()
        call = Call(api, "GRPC", None if left is None else time.monotonic() + left)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(self._bodies.held(len(data)))
                message = SERVING[kind].FromString(data)
            except (DecodeError, RequestError) as error:
                with self._engine.counted(Spec(""), call):
                    if isinstance(error, RequestError):
                        raise
                    raise invalid(f"the request is not a {kind}: {error}") from error
            spec = _spec(message)
            with self._engine.counted(spec, call):
                if not message.HasField("model_spec"):
                    raise invalid("Missing ModelSpec")
                yield message, spec, call

    def predict(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """`Predict`."""
        with self._request("PredictRequest", data, "Predict", context) as (request, spec, call):
            answer = self._engine.run(spec, lambda signature, fits: _inputs(request, signature, fits), call)
            response = SERVING["PredictResponse"]()
            _fill_spec(response, spec, answer)
            for name in _wanted(request.output_filter, answer.signature):
                tensors.fill(response.outputs[name], answer.outputs[name])
            return response.SerializeToString()

    def classify(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """`Classify`."""
        with self._request("ClassificationRequest", data, "Classify", context) as (request, spec, call):
            answer, rows = self._engine.classify(spec, _examples(request.input), call)
            response = SERVING["ClassificationResponse"]()
            _fill_spec(response, spec, answer)
            for row in rows:
                classes = response.result.classifications.add().classes
                for label, score in row:
                    classes.add(label=label, score=score)
            return response.SerializeToString()

    def regress(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """`Regress`."""
        with self._request("RegressionRequest", data, "Regress", context) as (request, spec, call):
            answer, values = self._engine.regress(spec, _examples(request.input), call)
            response = SERVING["RegressionResponse"]()
            _fill_spec(response, spec, answer)
            for value in values:
                response.result.regressions.add(value=value)
            return response.SerializeToString()

    def metadata(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """`GetModelMetadata`."""
        with self._request("GetModelMetadataRequest", data, "GetModelMetadata", context) as (
            request,
            spec,
            _,
        ):
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != SIGNATURE_DEF:
                    raise invalid(f"Metadata field {field} is not supported")
            response = SERVING["GetModelMetadataResponse"]()
            with self._engine.loaded(spec) as (version, model):
                response.model_spec.name = spec.name
                response.model_spec.version.value = version
                packed = response.metadata[SIGNATURE_DEF]
                packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
                packed.value = signature_map(model).SerializeToString()
            return response.SerializeToString()

    def status(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """`GetModelStatus`."""
        try:
            request = SERVING["GetModelStatusRequest"].FromString(data)
        except DecodeError as error:
            raise invalid(f"the request is not a GetModelStatusRequest: {error}") from error
        response = SERVING["GetModelStatusResponse"]()
        for version, state in self._engine.states(_spec(request)).items():
            entry = response.model_version_status.add(version=version, state=_STATE_NUMBERS[state.state])
            entry.status.error_code = state.code
            entry.status.error_message = state.message
        return response.SerializeToString()

    def reload(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """`HandleReloadConfigRequest`, which is not served, and not even said so to those without the token."""
        metadata = dict(context.invocation_metadata())
        if not shown(str(metadata.get("authorization", "")), self._token):
            raise RequestError(Code.UNAUTHENTICATED, "this method asks for the server's token")
        return _unimplemented(
            "this server takes its models from its command line; restart it to change them"
        )(data, context)

    def health(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """gRPC's `Health.Check`; the server as a whole, `PredictionService`, `ModelService` or a model's name."""
        try:
            service = _HEALTH["HealthCheckRequest"].FromString(data).service
        except DecodeError as error:
            raise invalid(f"the request is not a HealthCheckRequest: {error}") from error
        if service in self._engine.models:
            serving = bool(self._engine.models[service].available)
        elif service in ("", "PredictionService", "ModelService", PREDICTION_SERVICE, MODEL_SERVICE):
            serving = self._engine.ready
        else:
            raise RequestError(Code.NOT_FOUND, f"there is no service {service!r}")
        return _HEALTH["HealthCheckResponse"](status=1 if serving else 2).SerializeToString()


def _answering(method: Method) -> Method:
    def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return method(data, context)
        except RequestError as error:
            # Details are a header, and gRPC drops headers of more than 8 KiB.
            context.abort(_STATUS_CODES[error.code], error.message[:2000])
            raise

    return answer


def _unimplemented(message: str) -> Method:
    def refuse(data: bytes, context: grpc.ServicerContext) -> bytes:
        raise RequestError(Code.UNIMPLEMENTED, message)

    return refuse


def _spec(request: Any) -> Spec:
    spec = request.model_spec
    version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
    return Spec(spec.name, version, spec.version_label, spec.signature_name)


def _fill_spec(response: Any, spec: Spec, answer: Answer) -> None:
    response.model_spec.name = spec.name
    response.model_spec.version.value = answer.version
    response.model_spec.signature_name = answer.signature.name


def _inputs(request: Any, signature: ServedSignature, fits: Callable[[Shapes], object]) -> dict[str, Array]:
    _wanted(request.output_filter, signature)
    shapes = {}
    for name, message in request.inputs.items():
        try:
            shapes[name] = tensors.shape_of(message)
        except ValueError as error:
            raise invalid(f"input {name!r}: {error}") from error
    fits(shapes)
    inputs: dict[str, Array] = {}
    for name, message in request.inputs.items():
        try:
            inputs[name] = tensors.to_array(message)
        except (ValueError, OverflowError) as error:
            raise invalid(f"input {name!r}: {error}") from error
    return inputs


def _wanted(names: Any, signature: ServedSignature) -> list[str]:
    known = [port.name for port in signature.outputs]
    for name in names:
        if name not in known:
            raise invalid(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{','.join(known)}}}."
            )
    if len(set(names)) < len(names):
        raise invalid(f"duplicate output tensor alias: {','.join(names)}")
    return list(names) or known


def _examples(message: Any) -> list[bytes]:
    kind = message.WhichOneof("kind")
    if kind == "example_list_with_context":
        examples = message.example_list_with_context
        return with_context(examples.context, examples.examples)
    return list(message.example_list.examples)
