"""The REST side, path by path as TensorFlow Serving has it; `/healthz`, `/readyz` and `/openapi.json` beside it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.serving import json_answers
from pipeline.serving.admission import Budget
from pipeline.serving.engine import Call, Engine, Spec
from pipeline.serving.errors import Code, RequestError, invalid
from pipeline.serving.health import health_routes
from pipeline.serving.json_examples import example_request
from pipeline.serving.json_tensors import is_row_format, parse_body, predict_inputs, signature_name
from pipeline.serving.metadata import metadata_json
from pipeline.serving.metrics import CONTENT_TYPE
from pipeline.serving.openapi import openapi_route
from pipeline.serving.refused_body import RefusedBody
from pipeline.serving.settings import Limits
from pipeline.serving.token import shown

_WHICH = r"(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?"
_CALL = re.compile(rf"/v1/models/(?P<name>[^/:]+){_WHICH}:(?P<verb>classify|regress|predict)", re.IGNORECASE)
_READ = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_WHICH}(?:/(?P<metadata>metadata))?", re.IGNORECASE)
_LARGEST_VERSION = (1 << 63) - 1
_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]


class BodyError(Exception):
    """A body that is not read to its end; the connection has to be closed after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Held:
    """The bytes that one request holds of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self, size: int) -> None:
        if size > self._size:
            self._budget.take(size - self._size)
            self._size = size

    def free(self) -> None:
        self._budget.give_back(self._size)


class RestApp:
    """Handlers of all paths.

    Args:
      engine: answers.
      limits: of sizes and times.
      workers: computes; as many threads as requests are let in.
      metrics_path: of the Prometheus metrics, or `None`.
      bodies: bytes of the requests that are being worked on.
      token: that the metrics ask for; empty for none.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        workers: ThreadPoolExecutor,
        metrics_path: str | None,
        bodies: Budget,
        token: str = "",
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._workers = workers
        self._budget = bodies
        self._token = token
        routes = [
            *health_routes(engine),
            openapi_route(),
            Route("/v1/{path:path}", self._v1, methods=_ALL_METHODS),
        ]
        if metrics_path is not None:
            routes.insert(0, Route(metrics_path, self._metrics))
        self.asgi = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})

    async def _metrics(self, request: Request) -> Response:
        if not shown(request.headers.get("authorization"), self._token):
            body = json_answers.error("the metrics ask for the server's token: Authorization: Bearer ...")
            return Response(body, 401, {"Content-Type": "application/json", "WWW-Authenticate": "Bearer"})
        return Response(self._engine.metrics.page(), headers={"Content-Type": CONTENT_TYPE})

    async def _v1(self, request: Request) -> Response:
        try:
            if request.method == "POST" and (match := _CALL.fullmatch(request.url.path)):
                return await self._call(request, match)
            if request.method in ("GET", "HEAD") and (match := _READ.fullmatch(request.url.path)):
                return _json(self._read(match))
            raise invalid(f"Malformed request: {request.method} {request.url.path}")
        except RequestError as error:
            return _json(json_answers.error(error.message), error.code.http)
        except BodyError as error:
            return RefusedBody(error.status, str(error), self._limits)

    def _read(self, match: re.Match[str]) -> bytes:
        spec = _spec(match)
        if match["metadata"]:
            if not spec.name:
                raise invalid("Missing model name in request.")
            with self._engine.loaded(spec) as (version, model):
                return json_answers.dumps(metadata_json(spec.name, version, model))
        return json_answers.states(self._engine.states(spec))

    async def _call(self, request: Request, match: re.Match[str]) -> Response:
        spec, verb = _spec(match), match["verb"].lower()
        held = _Held(self._budget)
        try:
            body = await self._body(request, held)
            deadline = time.monotonic() + self._limits.rest_seconds
            call = Call(verb.capitalize(), "REST", deadline)
            handle = self._predict if verb == "predict" else self._examples
            return _json(await self._on_a_worker(lambda: handle(spec, body, call)))
        finally:
            held.free()

    async def _on_a_worker(self, function: Callable[[], bytes]) -> bytes:
        # The computation itself cannot be interrupted: it keeps its place among the requests until it is done.
        future = asyncio.get_running_loop().run_in_executor(self._workers, function)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._limits.rest_seconds)
        except asyncio.TimeoutError as error:
            future.add_done_callback(lambda done: done.exception())
            raise RequestError(
                Code.DEADLINE_EXCEEDED, f"no answer within {self._limits.rest_seconds:g} s"
            ) from error

    async def _body(self, request: Request, held: _Held) -> bytes:
        try:
            held.grow(_declared_size(request, self._limits.request_bytes))
            return await asyncio.wait_for(self._read_body(request, held), self._limits.receive_seconds)
        except RequestError as error:
            raise BodyError(error.code.http, error.message) from error
        except asyncio.TimeoutError as error:
            raise BodyError(
                408, f"the request did not arrive within {self._limits.receive_seconds:g} s"
            ) from error
        except ClientDisconnect as error:
            raise BodyError(Code.CANCELLED.http, "the client went away") from error

    async def _read_body(self, request: Request, held: _Held) -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self._limits.request_bytes:
                raise _too_large(self._limits.request_bytes)
            held.grow(size)
            parts.append(part)
        return b"".join(parts)

    def _predict(self, spec: Spec, body: bytes, call: Call) -> bytes:
        with self._engine.counted(spec, call):
            document = parse_body(body)
            spec = Spec(spec.name, spec.version, spec.label, signature_name(document))
            rows = is_row_format(document)
            answer = self._engine.run(
                spec, lambda signature, fits: predict_inputs(document, signature, fits), call
            )
            return json_answers.predictions(answer.signature, answer.outputs, rows)

    def _examples(self, spec: Spec, body: bytes, call: Call) -> bytes:
        with self._engine.counted(spec, call):
            signature, examples = example_request(body)
            spec = Spec(spec.name, spec.version, spec.label, signature)
            if call.api == "Classify":
                return json_answers.classifications(self._engine.classify(spec, examples, call)[1])
            return json_answers.regressions(self._engine.regress(spec, examples, call)[1])


async def _no_such_path(request: Request, error: Exception) -> Response:
    """No path of the server's, or not with this method."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _json(json_answers.error(f"Malformed request: {request.method} {request.url.path}"), status)


def _spec(match: re.Match[str]) -> Spec:
    return Spec(match["name"] or "", _version(match["version"]), match["label"] or "")


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit():
        raise invalid(f"Malformed request: {text:.30} is no version")
    digits = text.lstrip("0") or "0"
    # Digits of other scripts are digits to Python, and thousands of them would take it long.
    if not digits.isascii() or len(digits) > len(str(_LARGEST_VERSION)) or int(digits) > _LARGEST_VERSION:
        raise RequestError(Code.NOT_FOUND, f"there is no version {text:.30}: versions are 64-bit numbers")
    return int(digits)


def _declared_size(request: Request, limit: int) -> int:
    text = request.headers.get("content-length", "0")
    size = int(text) if text.isascii() and text.isdigit() else 0
    if size > limit:
        raise _too_large(limit)
    return size


def _too_large(limit: int) -> BodyError:
    return BodyError(413, f"the request has more than {limit} bytes")


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, {"Content-Type": "application/json"})
