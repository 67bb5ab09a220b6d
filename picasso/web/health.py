"""For those who watch over a server: does it live, and can it compute?"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from picasso.web.context import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def live() -> Response:
    """Say that the server answers."""
    return jsonify(ok=True)


@blueprint.get("/readyz")
def ready() -> Response:
    """Say whether what is asked for now is computed; status 503 and a word why where it is not."""
    state = services().runner.health() if services().storage.well() else "stopped"
    response = jsonify(ok=state == "ready", state=state)
    response.status_code = 200 if state == "ready" else 503
    return response
