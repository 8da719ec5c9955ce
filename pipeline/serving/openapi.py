"""The REST interface as an OpenAPI 3.1 document, at `/openapi.json`: for generators of clients, and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.serving.errors import Code

_Schema = Mapping[str, Any]

_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_ANYTHING: _Schema = {}
_EXAMPLES = {
    "type": "object",
    "required": ["examples"],
    "properties": {
        "signature_name": {"type": "string"},
        "context": {"type": "object"},
        "examples": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    },
}
_PREDICT = {
    "type": "object",
    "description": "`instances`, one element a row, or `inputs`, a list for each input of the signature.",
    "properties": {
        "signature_name": {"type": "string"},
        "instances": {"type": "array", "minItems": 1},
        "inputs": _ANYTHING,
    },
    "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
}
_RESULTS = {"type": "object", "required": ["results"], "properties": {"results": {"type": "array"}}}
_VERBS: Mapping[str, tuple[_Schema, _Schema, str]] = {
    "predict": (
        _PREDICT,
        {
            "type": "object",
            "properties": {"predictions": {"type": "array"}, "outputs": _ANYTHING},
            "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
        },
        "Asks a signature about rows.",
    ),
    "classify": (_EXAMPLES, _RESULTS, "Label and score of every example."),
    "regress": (_EXAMPLES, _RESULTS, "A number for every example."),
}
_STATES = {
    "type": "object",
    "required": ["model_version_status"],
    "properties": {
        "model_version_status": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["version", "state", "status"],
                "properties": {"version": {"type": "string"}, "state": {"type": "string"}},
            },
        }
    },
}
_METADATA = {"type": "object", "required": ["model_spec", "metadata"]}
_READY = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
_NAME = {"type": "string", "pattern": "^[^/:?#]+$"}
_WHICH: Mapping[str, _Schema] = {
    "": {},
    "/versions/{version}": {"version": {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}},
    "/labels/{label}": {"label": _NAME},
}
# What a request that is understood may be refused with, by who refuses: the model, its bounds, the server's.
_REFUSALS = sorted({code.http for code in Code if code.http >= 400} | {400, 408, 413, 431, 503})


def document() -> dict[str, Any]:
    """The whole interface; which inputs a model has, its own `.../metadata` says."""
    paths: dict[str, Any] = {
        "/healthz": {"get": _operation("Whether the process lives.", {}, _READY, ())},
        "/readyz": {"get": _operation("Whether every model can answer.", {}, _READY, (503,))},
    }
    paths["/readyz"]["get"]["responses"]["503"] = _answer("Not yet.", _READY)
    for which, parameters in _WHICH.items():
        path, named = f"/v1/models/{{model}}{which}", {"model": _NAME, **parameters}
        paths[path] = {"get": _operation("States of the versions.", named, _STATES)}
        paths[f"{path}/metadata"] = {"get": _operation("Signatures of a version.", named, _METADATA)}
        for verb, (body, answer, words) in _VERBS.items():
            operation = _operation(words, named, answer)
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
            paths[f"{path}:{verb}"] = {"post": operation}
    return {"openapi": "3.1.0", "info": {"title": "dfei serve", "version": "1"}, "paths": paths}


def _operation(
    summary: str, parameters: Mapping[str, _Schema], answer: _Schema, refusals: tuple[int, ...] | None = None
) -> dict[str, Any]:
    chosen = _REFUSALS if refusals is None else refusals
    return {
        "summary": summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": schema}
            for name, schema in parameters.items()
        ],
        "responses": {
            "200": _answer("The answer.", answer),
            **{str(status): _answer("Refused; the reason is in `error`.", _ERROR) for status in chosen},
        },
    }


def _answer(description: str, schema: _Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def openapi_route() -> Route:
    """`GET /openapi.json`."""
    page = document()

    async def show(request: Request) -> Response:
        return JSONResponse(page)

    return Route("/openapi.json", show)
