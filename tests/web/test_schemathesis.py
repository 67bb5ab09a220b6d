"""Requests made up from the description are answered as it says, whatever they hold.

A few for each operation are sent with every run of the tests. The long run sends as many as you like::

    PICASSO_FUZZ=250 .venv/bin/python -m pytest tests/web/test_schemathesis.py -s

``PICASSO_FUZZ`` is how many requests schemathesis makes up for each operation, besides those for the edges of what the
description allows.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from zlib import crc32

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.schemas import OpenApiSchema

from picasso.explanation.registry import Registry
from picasso.web.api import openapi
from picasso.web.app import register_views
from tests.conftest import COOKIE, finish, noise_image, png, upload
from tests.web.test_audits import begin, ended

REQUESTS = int(os.environ.get("PICASSO_FUZZ", "0"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.negative_data_rejection,
]
BUILT_IN = [entry.name for entry in Registry().entries()]
SETTINGS: list[dict[str, Any]] = [{}, {}, {"Transparency": 0.5}, {"Window": "0.30", "Strides": "10"}]
FILES = [*(png(noise_image(seed)) for seed in range(3)), png(form="GIF"), png(form="JPEG")]
RANKING = {"images": [0], "visualizations": ["SaliencyMaps"]}
sent: Counter[str] = Counter()


class Person:
    """A visitor who always has images and a finished run, whatever was deleted before."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.requests = 0
        self.renew()

    def renew(self) -> None:
        self.client: FlaskClient = self.app.test_client()
        upload(self.client, 3)
        started: Any = self.client.post("/api/runs", json={"visualization": "SaliencyMaps", "images": [0]}).json
        self.run: dict[str, Any] = finish(self.client, started["id"])
        self.audits = [begin(self.client, "ant", "bee"), begin(self.client, "cat <b>", "dog")]
        # The one is finished, and the other takes images.
        self.client.post(f"{self.audits[0]}/start", json={"pairs": 1})
        ended(self.client, self.audits[0])
        self.search: str = self.client.post("/api/concepts", json={"count": 1}).json["url"]  # type: ignore[index]
        ended(self.client, self.search)
        self.ranking: str = self.client.post("/api/rankings", json=RANKING).json["url"]  # type: ignore[index]
        ended(self.client, self.ranking)

    def ready(self) -> dict[str, str]:
        """Return the cookie; of another session where this one has lost something or grew large."""
        self.requests += 1
        images: Any = self.client.get("/api/images").json
        whole = [one["uid"] for one in images["images"][:3]] in ([0, 1, 2], [2, 0, 1])
        there = all(
            self.client.get(url).status_code == 200
            for url in (self.run["url"], *self.audits, self.search, self.ranking)
        )
        if not whole or self.requests % 50 == 0 or not there:
            self.client.get("/api/reset")
            self.renew()
        cookie = self.client.get_cookie(COOKIE)
        assert cookie
        return {COOKIE: cookie.value}

    def give_names(self, case: schemathesis.Case[Any]) -> bool:
        """Put what there is in place of names that were made up, in three of four requests; tell whether it did."""
        chance = random.Random(crc32(repr((case.path_parameters, case.query, case.body)).encode()))  # noqa: S311
        if chance.random() < 0.25:
            return False
        result = self.run["results"][0]
        panel = chance.choice(result["panels"])
        files = [panel["file"], result["view"], result["arrays"], "result.json", *filter(None, [panel.get("legend")])]
        names = {
            "inputs": result["filename"],
            "outputs": f"{self.run['id']}-0-{chance.choice(files)}",
            "visualizers": chance.choice(BUILT_IN),
        }
        known = {"uid": chance.randrange(3), "run_id": self.run["id"], "place": 0, "panel": 0}
        known |= {"ids": chance.choice([self.run["id"], f"{self.run['id']},{self.run['id']}"])}
        known |= {
            "audit_id": chance.choice(self.audits).rpartition("/")[2],
            "search_id": self.search.rpartition("/")[2],
            "ranking_id": self.ranking.rpartition("/")[2],
        }
        known |= {"name": names.get(case.path.split("/")[2], "")}
        case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
        if case.path == "/api/visualize":
            case.query = {"image": 0, "visualizer": chance.choice(BUILT_IN), **chance.choice(SETTINGS)}
        if case.path == "/api/audits/estimate" and isinstance(case.body, dict):
            folders: list[dict[str, Any]] = [{"zoo/ant": 9, "1": 300}, {"whale": 9}, {"ant": 9}]
            case.body["classes"] = chance.choice(folders)
        if isinstance(case.body, dict) and "visualization" in case.body:
            case.body["visualization"] = chance.choice(BUILT_IN)
            self.choose(case.body, chance, classes=[0, "bee", "bee vs ant"], models=[], settings=SETTINGS)
        if isinstance(case.body, dict) and ("images" in case.body or "shapes" in case.body):
            self.choose(case.body, chance, images=[[0], [2, 0, 1], ["1"], []], other=[0, "1", None])
        return True

    @staticmethod
    def choose(body: dict[str, Any], chance: random.Random, **values: list[Any]) -> None:
        """Put values in place of those of a body, or leave them out."""
        for name, choices in values.items():
            if name in body and chance.random() < 0.7:
                if not choices or chance.random() < 0.3:
                    del body[name]
                else:
                    body[name] = [chance.choice(choices)] if name == "classes" else chance.choice(choices)


class Later:
    """The application, known when the tests run; the operations are wanted before that. Leaves no file open."""

    app: Any = None

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        with closing(self.app(environ, start_response)) as answer:
            return list(answer)


def operations() -> OpenApiSchema:
    """Describe the views of an application that starts no worker."""
    bare = Flask("picasso")
    register_views(bare)
    schemathesis.openapi.format("binary", st.sampled_from(FILES) | st.binary(max_size=64))
    made = schemathesis.openapi.from_dict(json.loads(json.dumps(openapi.described(bare))))
    made.app = Later()
    return made


schema = operations()


@pytest.fixture(scope="module")
def person(app: Flask) -> Iterator[Person]:
    schema.app.app = app
    yield Person(app)
    print(f"\n{sum(sent.values())} requests: {dict(sorted(sent.items()))}")


def test_all_operations_are_tried(app: Flask) -> None:
    answer: Any = app.test_client().get("/api/openapi.json").json
    expected: Any = json.loads(json.dumps(schema.raw_schema))
    session = answer["components"]["securitySchemes"]["session"]
    assert session["name"].startswith("picasso_session_")
    # Only where a server answers, it holds the port.
    expected["components"]["securitySchemes"]["session"] = session
    assert answer == expected


def beside_the_point(case: schemathesis.Case[Any], mended: bool) -> Iterator[Any]:
    """Yield the checks that a request does not fit."""
    # "order" could be the number of an image, which can be deleted.
    # Without its last part, a path is another one.
    if case.path == "/api/images/order" or "" in (case.path_parameters or {}).values():
        yield checks.unsupported_method
    # The cookie that is sent is always a good one, and so is what was mended.
    if mended or case.meta is None or case.meta.is_negative_at(ParameterLocation.COOKIE):
        yield checks.negative_data_rejection


@schema.parametrize()
@settings(
    max_examples=REQUESTS or 6,
    deadline=None,
    derandomize=not REQUESTS,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_requests_are_answered_as_described(case: schemathesis.Case[Any], person: Person) -> None:
    cookies = person.ready()
    mended = person.give_names(case)
    sent[case.operation.label] += 1
    # What is compressed is not read by the checks.
    answer = case.call(cookies=cookies, headers={"Accept-Encoding": "identity"})
    case.validate_response(answer, checks=CHECKS, excluded_checks=list(beside_the_point(case, mended)))
    # Of a run, the answer has the results; the others are known by their address.
    if answer.status_code == 202 and "/runs" not in case.path:
        url = answer.json()["url"]
        if "/rankings/" in url:
            # One of all methods takes minutes.
            person.client.post(f"{url}/cancel")
        ended(person.client, url)
    elif answer.status_code == 202:
        finish(person.client, answer.json()["id"])
