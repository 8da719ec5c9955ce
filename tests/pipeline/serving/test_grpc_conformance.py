"""TensorFlow Serving's gRPC interface, asked with the stubs of tensorflow-serving-api.

Every test runs against this project's server and, where there is one, against the real `tensorflow_model_server`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.pipeline.serving.conftest import ROWS, Served
from tests.pipeline.serving.models import DOMAINS, NAME, example, expected, predict_request


@pytest.fixture
def channel(server: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


@pytest.fixture
def predictions(channel: grpc.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _scores(response: Any, output: str = "click_probability") -> np.ndarray:
    return tf.make_ndarray(response.outputs[output])


def _code(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20)
    return caught.value.code(), caught.value.details()


def test_predict_answers_with_scores_and_what_it_used(predictions: Any) -> None:
    response = predictions.Predict(predict_request(ROWS), timeout=20)
    np.testing.assert_allclose(_scores(response), expected(ROWS, 1.0), rtol=1e-5)
    assert response.model_spec.name == NAME
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"


def test_predict_by_version_and_by_label(predictions: Any) -> None:
    request = predict_request(ROWS)
    request.model_spec.version.value = 1
    np.testing.assert_allclose(_scores(predictions.Predict(request, timeout=20)), expected(ROWS), rtol=1e-5)
    request.model_spec.version_label = "stable"
    response = predictions.Predict(request, timeout=20)
    assert response.model_spec.version.value == 1
    request.model_spec.version_label = "canary"
    assert predictions.Predict(request, timeout=20).model_spec.version.value == 2


def test_predict_takes_tensor_content_and_value_lists(predictions: Any) -> None:
    request = predict_request(ROWS)
    user = request.inputs["user_id"]
    user.ClearField("tensor_content")
    user.ClearField("int64_val")
    user.int64_val.extend(ROWS["user_id"])
    duration = request.inputs["duration"]
    duration.ClearField("float_val")
    duration.tensor_content = np.array(ROWS["duration"], "<f4").tobytes()
    np.testing.assert_allclose(
        _scores(predictions.Predict(request, timeout=20)), expected(ROWS, 1.0), rtol=1e-5
    )


def test_a_single_value_stands_for_a_whole_tensor(predictions: Any) -> None:
    request = predict_request({**ROWS, "user_id": [3, 3, 3]})
    user = request.inputs["user_id"]
    user.ClearField("tensor_content")
    del user.int64_val[:]
    user.int64_val.append(3)
    scores = _scores(predictions.Predict(request, timeout=20))
    np.testing.assert_allclose(scores, expected({**ROWS, "user_id": [3, 3, 3]}, 1.0), rtol=1e-5)


def test_other_signatures(predictions: Any) -> None:
    weights = _scores(predictions.Predict(predict_request(ROWS, "explain"), timeout=20), "weights")
    assert weights.shape == (3, DOMAINS)
    serialized = [example(user_id=3, duration=0.5, tag="a").SerializeToString()]
    scores = _scores(predictions.Predict(predict_request({"examples": serialized}, "examples"), timeout=20))
    np.testing.assert_allclose(
        scores, expected({"user_id": [3], "duration": [0.5], "tag": ["a"]}, 1.0), rtol=1e-5
    )
    ranked = predictions.Predict(
        predict_request({"user_id": [5], "video_id": np.array([[1, 2, 3, 4]], np.int64)}, "rank"), timeout=20
    )
    assert _scores(ranked).shape == (1, 4)


def test_inputs_with_a_default_may_be_left_out(predictions: Any) -> None:
    request = predict_request({"x": np.array([1.0, 2.0], np.float32)}, "optional")
    assert _scores(predictions.Predict(request, timeout=20), "z").tolist() == [8.0, 9.0]
    request.inputs["y"].CopyFrom(tf.make_tensor_proto([1.0, 2.0], tf.float32))
    assert _scores(predictions.Predict(request, timeout=20), "z").tolist() == [2.0, 4.0]


def test_ranking_in_one_request(predictions: Any) -> None:
    rows = {"tab": np.array([[0, 2]]), "video_id": np.array([[1, 2, 3]])}
    scores = _scores(predictions.Predict(predict_request(rows, "candidates"), timeout=20))
    logits = 1.0 + np.array([[[1, 2, 3], [3, 4, 5]]]) / 10
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_output_filter(predictions: Any) -> None:
    request = predict_request({"user_id": [5], "video_id": np.array([[1, 2]], np.int64)}, "rank")
    request.output_filter.append("video_id")
    assert list(predictions.Predict(request, timeout=20).outputs) == ["video_id"]
    request.output_filter.append("nothing")
    assert _code(predictions.Predict, request)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_strings_numbers_and_booleans_go_through_unchanged(predictions: Any) -> None:
    rows = {
        "text_bytes": [b"\xff\x00", "é".encode()],
        "flag": np.array([True, False]),
        "half": np.array([0.1, np.nan]),
    }
    response = predictions.Predict(predict_request(rows, "echo"), timeout=20)
    assert _scores(response, "text_bytes").tolist() == rows["text_bytes"]
    assert _scores(response, "flag").tolist() == [True, False]
    np.testing.assert_array_equal(_scores(response, "half"), rows["half"])


def test_an_empty_batch_gives_no_scores(predictions: Any) -> None:
    rows = {"user_id": np.zeros(0, np.int64), "duration": np.zeros(0, np.float32), "tag": np.zeros(0, object)}
    request = predict_request({name: values for name, values in rows.items() if name != "tag"})
    request.inputs["tag"].CopyFrom(tf.make_tensor_proto([], tf.string, [0]))
    assert _scores(predictions.Predict(request, timeout=20)).shape == (0,)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda request: request.ClearField("model_spec"), grpc.StatusCode.INVALID_ARGUMENT),
        (lambda request: setattr(request.model_spec, "name", "other"), grpc.StatusCode.NOT_FOUND),
        (lambda request: setattr(request.model_spec.version, "value", 99), grpc.StatusCode.NOT_FOUND),
        (
            lambda request: setattr(request.model_spec, "version_label", "none"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            lambda request: setattr(request.model_spec, "signature_name", "no"),
            grpc.StatusCode.FAILED_PRECONDITION,
        ),
        (lambda request: request.inputs.pop("tag"), grpc.StatusCode.INVALID_ARGUMENT),
        (
            lambda request: request.inputs["more"].CopyFrom(request.inputs["tag"]),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            lambda request: request.inputs["tag"].CopyFrom(request.inputs["user_id"]),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
    ids=["no spec", "model", "version", "label", "signature", "missing", "extra", "type"],
)
def test_wrong_requests(predictions: Any, change: Any, code: grpc.StatusCode) -> None:
    request = predict_request(ROWS)
    change(request)
    assert _code(predictions.Predict, request)[0] == code


def test_not_found_names_what_was_asked_for(predictions: Any) -> None:
    request = predict_request(ROWS)
    request.model_spec.version.value = 99
    code, details = _code(predictions.Predict, request)
    assert (code, details) == (
        grpc.StatusCode.NOT_FOUND,
        f"Servable not found for request: Specific({NAME}, 99)",
    )
    request.model_spec.name = "other"
    request.model_spec.ClearField("version")
    assert _code(predictions.Predict, request)[1] == "Servable not found for request: Latest(other)"


def test_classify(predictions: Any) -> None:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = "classify"
    request.input.example_list.examples.append(example(user_id=3, duration=0.5, tag="a"))
    response = predictions.Classify(request, timeout=20)
    classes = response.result.classifications[0].classes
    assert [one.label for one in classes] == ["no", "yes"]
    assert classes[1].score == pytest.approx(
        expected({"user_id": [3], "duration": [0.5], "tag": ["a"]}, 1.0)[0]
    )
    assert response.model_spec.version.value == 2


def test_regress_with_a_shared_context(predictions: Any) -> None:
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = "regress"
    shared = request.input.example_list_with_context
    shared.context.CopyFrom(example(user_id=3))
    shared.examples.append(example(duration=0.5, tag="a"))
    shared.examples.append(example(duration=1.5, tag="bb"))
    values = [one.value for one in predictions.Regress(request, timeout=20).result.regressions]
    rows = {"user_id": [3, 3], "duration": [0.5, 1.5], "tag": ["a", "bb"]}
    np.testing.assert_allclose(values, expected(rows, 1.0), rtol=1e-5)


def test_classify_and_regress_refuse_what_they_cannot_use(predictions: Any) -> None:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = "classify"
    assert _code(predictions.Classify, request)[0] == grpc.StatusCode.INVALID_ARGUMENT
    request.input.example_list.examples.append(example(user_id=3))
    request.model_spec.signature_name = "serving_default"
    assert _code(predictions.Classify, request)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_metadata(predictions: Any) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = NAME
    assert _code(predictions.GetModelMetadata, request)[0] == grpc.StatusCode.INVALID_ARGUMENT
    request.metadata_field.append("signature_def")
    response = predictions.GetModelMetadata(request, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert response.model_spec.version.value == 2
    default = signatures.signature_def["serving_default"]
    assert {name: info.dtype for name, info in default.inputs.items()} == {
        "user_id": tf.int64.as_datatype_enum,
        "duration": tf.float32.as_datatype_enum,
        "tag": tf.string.as_datatype_enum,
    }
    request.metadata_field.append("weather")
    assert _code(predictions.GetModelMetadata, request)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_status(channel: grpc.Channel) -> None:
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = NAME
    states = models.GetModelStatus(request, timeout=20).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert {one.version: one.state for one in states} == {1: available, 2: available}
    request.model_spec.version.value = 1
    assert [one.version for one in models.GetModelStatus(request, timeout=20).model_version_status] == [1]
    request.model_spec.version.value = 99
    assert _code(models.GetModelStatus, request)[0] == grpc.StatusCode.NOT_FOUND


def test_a_deadline_that_has_passed(predictions: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(predict_request(ROWS), timeout=-1.0)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_reloading_the_configuration_is_not_offered(ours: Served) -> None:
    with grpc.insecure_channel(ours.grpc) as channel:
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        code, details = _code(models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest())
    assert code == grpc.StatusCode.UNIMPLEMENTED
    assert "restart" in details


def test_errors_name_the_input(ours: Served) -> None:
    with grpc.insecure_channel(ours.grpc) as channel:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        request = predict_request(ROWS)
        request.inputs["tag"].CopyFrom(request.inputs["user_id"])
        assert _code(predict, request)[1] == "input 'tag' must be string [n], got int64 [3]"
        request = predict_request(ROWS)
        request.inputs["duration"].CopyFrom(tf.make_tensor_proto([[1.0]], tf.float32))
        assert _code(predict, request)[1] == "input 'duration' must be float32 [n], got float32 [1, 1]"
        request = predict_request(ROWS)
        del request.inputs["tag"]
        assert "Missing: tag." in _code(predict, request)[1]
