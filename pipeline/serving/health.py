"""`/healthz` and `/readyz`: whether the process lives, and whether it can answer."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.serving import json_answers
from pipeline.serving.engine import Engine


def health_routes(engine: Engine) -> list[Route]:
    """The two paths."""

    async def alive(request: Request) -> Response:
        return Response(b'{"status": "alive"}', 200, {"Content-Type": "application/json"})

    async def ready(request: Request) -> Response:
        versions = {name: model.available for name, model in engine.models.items()}
        body = json_answers.dumps(
            {"status": "ready" if engine.ready else "not ready", "available_versions": versions}
        )
        return Response(body, 200 if engine.ready else 503, {"Content-Type": "application/json"})

    return [Route("/healthz", alive), Route("/readyz", ready)]


def health_app(engine: Engine) -> ASGIApp:
    """An application of these two paths alone, for a port that no other request reaches."""
    return Starlette(routes=health_routes(engine))
