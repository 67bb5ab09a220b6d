"""Endpoints for monitoring: liveness and readiness."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from picasso.web.context import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def live() -> Response:
    """Report that the server is running."""
    return jsonify(ok=True)


@blueprint.get("/readyz")
def ready() -> Response:
    """Report whether requests are computed now; if not, return status 503 and the reason in one word."""
    state = services().runner.health() if services().storage.well() else "stopped"
    response = jsonify(ok=state == "ready", state=state)
    response.status_code = 200 if state == "ready" else 503
    return response
