"""TensorFlow Serving's REST interface (https://www.tensorflow.org/tfx/serving/api_rest), byte by byte over HTTP.

Every test runs against this project's server and, where there is one, against the real `tensorflow_model_server`.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import pytest

from tests.pipeline.serving.conftest import ROWS, Served
from tests.pipeline.serving.models import DOMAINS, NAME, example, expected

ROW_FORMAT = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]


def ask(server: Served, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(server.rest + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.headers["Content-Type"].startswith("application/json")
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or "{}")


def predict(server: Served, body: Any, which: str = "") -> tuple[int, Any]:
    return ask(server, f"/v1/models/{NAME}{which}:predict", body)


def test_row_format(server: Served) -> None:
    status, answer = predict(server, {"instances": ROW_FORMAT})
    assert status == 200
    assert list(answer) == ["predictions"]
    np.testing.assert_allclose(answer["predictions"], expected(ROWS, 1.0), rtol=1e-5)


def test_column_format(server: Served) -> None:
    status, answer = predict(server, {"inputs": ROWS})
    assert status == 200
    assert list(answer) == ["outputs"]
    np.testing.assert_allclose(answer["outputs"], expected(ROWS, 1.0), rtol=1e-5)


def test_a_ranking_request_is_an_instance(server: Served) -> None:
    instance = {"tab": [0, 2], "video_id": [1, 2, 3], "tag": ["a"]}
    body = {"signature_name": "candidates", "instances": [instance, {**instance, "tab": [4, 6]}]}
    status, answer = predict(server, body)
    logits = np.array([[[1, 2, 3], [3, 4, 5]], [[5, 6, 7], [7, 8, 9]]]) / 10
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_by_version_and_by_label(server: Served) -> None:
    for which, bias in (
        ("/versions/1", 0.0),
        ("/versions/2", 1.0),
        ("/labels/stable", 0.0),
        ("/labels/canary", 1.0),
    ):
        status, answer = predict(server, {"instances": ROW_FORMAT}, which)
        assert status == 200
        np.testing.assert_allclose(answer["predictions"], expected(ROWS, bias), rtol=1e-5)


def test_vectors_as_outputs(server: Served) -> None:
    _, answer = predict(server, {"signature_name": "explain", "instances": ROW_FORMAT})
    assert np.shape(answer["predictions"]) == (3, DOMAINS)


def test_several_outputs_are_named(server: Served) -> None:
    body = {"signature_name": "rank", "instances": [{"user_id": 5, "video_id": [1, 2]}]}
    _, answer = predict(server, body)
    assert answer["predictions"][0].keys() == {"click_probability", "video_id"}
    assert answer["predictions"][0]["video_id"] == [1, 2]
    _, answer = predict(server, {"signature_name": "rank", "inputs": {"user_id": [5], "video_id": [[1, 2]]}})
    assert answer["outputs"].keys() == {"click_probability", "video_id"}
    assert answer["outputs"]["video_id"] == [[1, 2]]


def test_a_single_input_needs_no_name(server: Served) -> None:
    assert predict(server, {"signature_name": "total", "inputs": [1, 2, 3]}) == (200, {"outputs": 6})
    assert predict(server, {"signature_name": "total", "inputs": {"x": [1, 2]}}) == (200, {"outputs": 3})


def test_binary_strings_and_special_numbers(server: Served) -> None:
    encoded = base64.b64encode(b"\xff\x00").decode()
    body = b"""{"signature_name": "echo", "instances": [
      {"text_bytes": {"b64": "%s"}, "flag": true, "half": NaN},
      {"text_bytes": "plain", "flag": false, "half": -Infinity},
      {"text_bytes": "", "flag": false, "half": 3}]}""" % encoded.encode()
    status, answer = predict(server, body)
    assert status == 200
    rows = answer["predictions"]
    assert [row["text_bytes"] for row in rows] == [
        {"b64": encoded},
        {"b64": base64.b64encode(b"plain").decode()},
        {"b64": ""},
    ]
    assert [row["flag"] for row in rows] == [True, False, False]
    assert np.isnan(rows[0]["half"]) and rows[1]["half"] == -np.inf and rows[2]["half"] == 3.0


def test_examples_as_base64(server: Served) -> None:
    serialized = example(user_id=3, duration=0.5, tag="a").SerializeToString()
    encoded = {"b64": base64.b64encode(serialized).decode()}
    scores = expected({"user_id": [3], "duration": [0.5], "tag": ["a"]}, 1.0)
    for rows in ([encoded], [{"examples": encoded}]):
        status, answer = predict(server, {"signature_name": "examples", "instances": rows})
        assert status == 200
        np.testing.assert_allclose(answer["predictions"], scores, rtol=1e-5)
    broken = {"b64": base64.b64encode(b"no example").decode()}
    assert predict(server, {"signature_name": "examples", "instances": [broken]})[0] == 400


def test_classify_and_regress(server: Served) -> None:
    examples = [
        {"user_id": 3, "duration": 0.5, "tag": "a"},
        {"user_id": [7], "duration": [1.5], "tag": ["bb"]},
    ]
    rows = {"user_id": [3, 7], "duration": [0.5, 1.5], "tag": ["a", "bb"]}
    status, answer = ask(
        server, f"/v1/models/{NAME}:classify", {"signature_name": "classify", "examples": examples}
    )
    assert status == 200
    assert [[label for label, _ in row] for row in answer["results"]] == [["no", "yes"]] * 2
    np.testing.assert_allclose([row[1][1] for row in answer["results"]], expected(rows, 1.0), rtol=1e-5)
    body = {
        "signature_name": "regress",
        "context": {"tag": "a", "user_id": 3},
        "examples": [{"duration": 0.5}, {"duration": 2.25}],
    }
    status, answer = ask(server, f"/v1/models/{NAME}:regress", body)
    rows = {"user_id": [3, 3], "duration": [0.5, 2.25], "tag": ["a", "a"]}
    assert status == 200
    np.testing.assert_allclose(answer["results"], expected(rows, 1.0), rtol=1e-5)


def test_status(server: Served) -> None:
    ok = {"error_code": "OK", "error_message": ""}
    status, answer = ask(server, f"/v1/models/{NAME}")
    assert status == 200
    assert sorted(answer["model_version_status"], key=lambda one: one["version"]) == [
        {"version": "1", "state": "AVAILABLE", "status": ok},
        {"version": "2", "state": "AVAILABLE", "status": ok},
    ]
    _, answer = ask(server, f"/v1/models/{NAME}/versions/1")
    assert [one["version"] for one in answer["model_version_status"]] == ["1"]
    assert ask(server, f"/v1/models/{NAME}/versions/9")[0] == 404
    assert ask(server, "/v1/models/other")[0] == 404


def test_metadata(server: Served) -> None:
    status, answer = ask(server, f"/v1/models/{NAME}/labels/stable/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": NAME, "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    tag = signatures["serving_default"]["inputs"]["tag"]
    assert tag["dtype"] == "DT_STRING"
    assert tag["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"


def test_model_paths_ignore_case_of_the_fixed_parts(server: Served) -> None:
    assert (
        ask(server, f"/v1/MODELS/{NAME}:PREDICT", {"inputs": ROWS})
        == ask(server, f"/v1/models/{NAME}:predict", {"inputs": ROWS})
        or server.kind == "real"
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[1]", 400),
        (b'{"instances": [', 400),
        ({}, 400),
        ({"instances": []}, 400),
        ({"instances": {}}, 400),
        ({"instances": ROW_FORMAT, "inputs": ROWS}, 400),
        ({"instances": [1, 2]}, 400),
        ({"inputs": [1, 2]}, 400),
        ({"inputs": {"user_id": [1]}}, 400),
        ({"instances": [{**ROW_FORMAT[0], "more": 1}]}, 400),
        ({"instances": [{**ROW_FORMAT[0], "tag": 3}]}, 400),
        ({"instances": [{**ROW_FORMAT[0], "tag": None}]}, 400),
        ({"instances": [{**ROW_FORMAT[0], "user_id": 3.5}]}, 400),
        ({"instances": [{**ROW_FORMAT[0], "user_id": "3"}]}, 400),
        ({"instances": [{**ROW_FORMAT[0], "user_id": 1 << 64}]}, 400),
        ({"instances": [{**ROW_FORMAT[0], "tag": {"b64": "!"}}]}, 400),
        ({"instances": [ROW_FORMAT[0], [1]]}, 400),
        ({"instances": [ROW_FORMAT[0], {**ROW_FORMAT[0], "tag": ["a"]}]}, 400),
        ({"instances": ROW_FORMAT, "signature_name": 3}, 400),
        ({"instances": ROW_FORMAT, "signature_name": "no"}, 400),
    ],
)
def test_wrong_bodies(server: Served, body: Any, status: int) -> None:
    code, answer = predict(server, body)
    assert code == status
    assert list(answer) == ["error"] and answer["error"]


def test_true_and_false_are_numbers_as_in_a_log(server: Served) -> None:
    rows = [{**ROW_FORMAT[0], "user_id": True, "duration": False}, {**ROW_FORMAT[0], "user_id": 3}]
    status, answer = predict(server, {"instances": rows})
    if server.kind == "real":
        assert status == 400
        return
    numbers = [{**ROW_FORMAT[0], "user_id": 1, "duration": 0}, rows[1]]
    assert (status, answer) == predict(server, {"instances": numbers})
    status, answer = predict(server, {"instances": [{**ROW_FORMAT[0], "tag": True}]})
    assert status == 400
    assert answer["error"].endswith('is not of expected type: string; write "true"')


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/models/other:predict", 404),
        ("POST", f"/v1/models/{NAME}/versions/99:predict", 404),
        ("POST", f"/v1/models/{NAME}/labels/none:predict", 400),
        ("POST", f"/v1/models/{NAME}:guess", 400),
        ("POST", f"/v1/models/{NAME}", 400),
        ("GET", f"/v1/models/{NAME}:predict", 400),
        ("GET", "/v1/models", 400),
        ("GET", "/v1/models/other/metadata", 404),
        ("PUT", f"/v1/models/{NAME}:predict", 400),
    ],
)
def test_wrong_paths(server: Served, method: str, path: str, status: int) -> None:
    code, answer = ask(server, path, {"inputs": ROWS} if method != "GET" else None, method)
    assert code == status
    assert list(answer) == ["error"]


def test_metrics(server: Served) -> None:
    predict(server, {"inputs": ROWS})
    with urllib.request.urlopen(f"{server.rest}/monitoring/prometheus/metrics", timeout=20) as response:
        page = response.read().decode()
    assert f':tensorflow:serving:request_count{{model_name="{NAME}",status="OK"}}' in page
    assert ":tensorflow:serving:request_latency_bucket{" in page


def test_health(ours: Served) -> None:
    assert ask(ours, "/healthz") == (200, {"status": "alive"})
    assert ask(ours, "/readyz") == (200, {"status": "ready", "available_versions": {NAME: [1, 2]}})


def test_float32_is_written_with_its_own_digits(ours: Served) -> None:
    _, answer = predict(ours, {"inputs": ROWS})
    assert all(len(str(value)) <= 11 for value in answer["outputs"])
    assert np.array(answer["outputs"], np.float32).tolist() == pytest.approx(
        expected(ROWS, 1.0).tolist(), abs=1e-7
    )


def test_errors_name_the_input(ours: Served) -> None:
    def message(body: Any) -> str:
        return predict(ours, body)[1]["error"]

    assert "'tag'" in message({"inputs": {**ROWS, "tag": [1, 2, 3]}})
    assert "'duration'" in message({"inputs": {**ROWS, "duration": [[1.0], [2.0], [3.0]]}})
    assert "tag" in message({"inputs": {name: ROWS[name] for name in ("user_id", "duration")}})
    assert "'video_id'" in message(
        {"signature_name": "rank", "inputs": {"user_id": [1], "video_id": [[1, 2], [3]]}}
    )


def test_optional_inputs_may_be_left_out_of_columns_and_rows(ours: Served) -> None:
    body: dict[str, Any] = {"signature_name": "optional", "inputs": {"x": [1.0, 2.0]}}
    assert predict(ours, body) == (200, {"outputs": [8.0, 9.0]})
    body = {"signature_name": "optional", "instances": [{"x": 1.0}, {"x": 2.0}]}
    assert predict(ours, body) == (200, {"predictions": [8.0, 9.0]})
    body = {"signature_name": "optional", "instances": [{"x": 1.0, "y": 3.0}, {"x": 2.0}]}
    assert predict(ours, body) == (200, {"predictions": [4.0, 9.0]})
    rows = [{"tab": [0], "video_id": [1]}, {"tab": [0], "video_id": [1], "tag": ["a"]}]
    status, answer = predict(ours, {"signature_name": "candidates", "instances": rows})
    assert status == 200
    logits = np.array([[[1.1]], [[0.1]]])
    np.testing.assert_allclose(answer["predictions"], 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_a_name_that_is_no_input_is_an_error_in_both_formats(ours: Served) -> None:
    for body in ({"inputs": {"x": [1.0], "Y": [2.0]}}, {"instances": [{"x": 1.0, "Y": 2.0}]}):
        status, answer = predict(ours, {"signature_name": "optional", **body})
        assert status == 400
        assert "Y" in answer["error"]


def test_null_is_a_missing_value_where_the_input_has_one(ours: Served) -> None:
    for body in (
        {"inputs": {"x": [1.0, 2.0], "y": [3.0, None]}},
        {"instances": [{"x": 1.0, "y": 3.0}, {"x": 2.0, "y": None}]},
    ):
        status, answer = predict(ours, {"signature_name": "optional", **body})
        assert (status, *answer.values()) == (200, [4.0, 9.0])
    assert predict(ours, {"signature_name": "optional", "inputs": {"x": [1.0], "y": None}})[0] == 200
    rows = [{"tab": [0], "video_id": [1, None], "tag": [None]}]
    status, answer = predict(ours, {"signature_name": "candidates", "instances": rows})
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], [[1 / (1 + np.exp(-np.array([1.1, 0.9])))]], rtol=1e-5)
    status, answer = predict(ours, {"signature_name": "optional", "inputs": {"x": [1.0, None]}})
    assert status == 400
    assert "'x'" in answer["error"] and "every row needs a value" in answer["error"]
    body = {"signature_name": "regress", "examples": [{"user_id": 3, "duration": None}, {"user_id": 3}]}
    status, answer = ask(ours, f"/v1/models/{NAME}:regress", body)
    assert status == 200
    assert answer["results"][0] == answer["results"][1]
