"""Calls over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from pipeline.client import tensors
from pipeline.client.client import LATEST, ModelMetadata, Signature, TensorSpec, VersionStatus, Which
from pipeline.client.errors import CallError, Code
from pipeline.client.messages import MODEL_SERVICE, PREDICTION_SERVICE, SERVING, SIGNATURE_DEF, STATES
from pipeline.client.tensors import Array


class GrpcTransport:
    """Calls about one model over gRPC: the fast way, with binary tensors.

    Args:
      target: `HOST:PORT`, or `dns:///NAME:PORT`: calls are spread over all addresses of the name.
      model: the model's name on the server.
      credentials: for TLS; without them the connection is not encrypted.
      max_bytes: of an answer.
    """

    def __init__(
        self,
        target: str,
        model: str,
        credentials: grpc.ChannelCredentials | None = None,
        max_bytes: int = 64 << 20,
    ) -> None:
        self._model = model
        options = [
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.lb_policy_name", "round_robin"),
        ]
        self._channel = (
            grpc.insecure_channel(target, options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options)
        )
        self._methods = {
            method: self._method(service, method, *kinds)
            for service, methods in (
                (PREDICTION_SERVICE, SERVING.services["PredictionService"]),
                (MODEL_SERVICE, SERVING.services["ModelService"]),
            )
            for method, kinds in methods.items()
        }

    def _method(self, service: str, method: str, request: str, response: str) -> Callable[..., Any]:
        return self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=SERVING[request].SerializeToString,
            response_deserializer=SERVING[response].FromString,
        )

    def _call(self, method: str, request: Any, seconds: float) -> Any:
        try:
            return self._methods[method](request, timeout=seconds)
        except grpc.RpcError as error:
            raise CallError(Code(error.code().value[0]), error.details() or "") from error

    def _request(self, kind: str, which: Which, signature: str = "") -> Any:
        request = SERVING[kind]()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        if which.version is not None:
            request.model_spec.version.value = which.version
        if which.label is not None:
            request.model_spec.version_label = which.label
        return request

    def predict(
        self, inputs: Mapping[str, Any], signature: str, which: Which, outputs: Sequence[str], seconds: float
    ) -> dict[str, Array]:
        """See `ServingClient.predict`."""
        request = self._request("PredictRequest", which, signature)
        for name, values in inputs.items():
            tensors.fill(request.inputs[name], tensors.as_array(values))
        request.output_filter.extend(outputs)
        response = self._call("Predict", request, seconds)
        return {name: tensors.to_array(message) for name, message in response.outputs.items()}

    def classify(
        self, examples: Sequence[bytes], signature: str, which: Which, seconds: float
    ) -> list[list[tuple[str, float]]]:
        """See `ServingClient.classify`."""
        request = self._request("ClassificationRequest", which, signature)
        request.input.example_list.examples.extend(examples)
        result = self._call("Classify", request, seconds).result
        return [[(one.label, one.score) for one in row.classes] for row in result.classifications]

    def regress(self, examples: Sequence[bytes], signature: str, which: Which, seconds: float) -> Array:
        """See `ServingClient.regress`."""
        request = self._request("RegressionRequest", which, signature)
        request.input.example_list.examples.extend(examples)
        result = self._call("Regress", request, seconds).result
        return np.array([one.value for one in result.regressions], np.float32)

    def metadata(self, which: Which, seconds: float) -> ModelMetadata:
        """See `ServingClient.metadata`."""
        request = self._request("GetModelMetadataRequest", which)
        request.metadata_field.append(SIGNATURE_DEF)
        response = self._call("GetModelMetadata", request, seconds)
        signatures = SERVING["SignatureDefMap"].FromString(response.metadata[SIGNATURE_DEF].value)
        return ModelMetadata(
            response.model_spec.name,
            response.model_spec.version.value,
            {
                name: Signature(
                    {key: _spec(info, key in signature.defaults) for key, info in signature.inputs.items()},
                    {key: _spec(info) for key, info in signature.outputs.items()},
                )
                for name, signature in signatures.signature_def.items()
            },
        )

    def status(self, seconds: float) -> list[VersionStatus]:
        """See `ServingClient.status`."""
        response = self._call("GetModelStatus", self._request("GetModelStatusRequest", LATEST), seconds)
        return [
            VersionStatus(
                one.version, STATES[one.state], Code(one.status.error_code), one.status.error_message
            )
            for one in response.model_version_status
        ]

    def close(self) -> None:
        """See `ServingClient.close`."""
        self._channel.close()


def _spec(info: Any, optional: bool = False) -> TensorSpec:
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
    return TensorSpec(info.dtype, sizes, optional)
