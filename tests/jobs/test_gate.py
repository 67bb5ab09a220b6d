"""Requests that wait for the model: so many and no more, and none of them is kept waiting for a place."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from picasso.errors import Busy, WorkerCrashed
from picasso.jobs.gate import Gate
from picasso.web.context import Services
from tests.conftest import Visitor, upload
from tests.jobs.test_engine import until

ESTIMATE = "/api/visualizers/PartialOcclusion/estimate?Strides=2"
QUESTION = {"shapes": [{"box": [0, 0, 1, 1]}]}


def test_places_are_given_back_whatever_happens() -> None:
    gate = Gate(2)
    with gate.place():
        with pytest.raises(ZeroDivisionError), gate.place():
            _ = 1 // 0
        with (
            gate.place(),
            pytest.raises(Busy, match=r"Too many requests are waiting for the model \(2\)"),
            gate.place(),
        ):
            pass
    with gate.place(), gate.place():
        pass


def test_one_owner_leaves_a_place_where_there_are_several() -> None:
    gate = Gate(2)
    with gate.place("a"):
        with pytest.raises(Busy, match="of your earlier requests"), gate.place("a"):
            pass
        with gate.place("b"), pytest.raises(Busy, match=r"waiting for the model \(2\)"), gate.place("c"):
            pass
    with gate.place("a"), gate.place():
        pass
    with Gate(1).place("a"):
        pass


def test_the_fifth_question_is_told_to_come_back(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    services: Services = app.extensions["picasso"]
    until(lambda: services.model.status()["state"] == "ready")
    client = Visitor(app)
    upload(client)
    asked: list[Future[Any]] = []
    all_wait = threading.Event()

    def ask(_: object) -> Future[Any]:
        asked.append(Future())
        if len(asked) == 4:
            all_wait.set()
        return asked[-1]

    monkeypatch.setattr(services.runner._engine, "ask", ask)
    with ThreadPoolExecutor(4) as others:
        waiting = [others.submit(Visitor(app).get, ESTIMATE) for _ in range(4)]
        assert all_wait.wait(60)
        for answer in (
            client.get(ESTIMATE),
            client.post("/api/what-if", json=QUESTION),
            client.get("/api/visualize?image=0&visualizer=ClassProbabilities"),
        ):
            assert answer.status_code == 503
            assert answer.get_json()["error"]["code"] == "busy"
            assert int(answer.headers["Retry-After"]) > 0
        # Nothing was queued for the one that was refused.
        assert client.get("/api/runs").get_json()["runs"] == []
        assert client.get("/healthz").status_code == client.get("/").status_code == 200
        for future in asked:
            future.set_result({"seconds": 1.0, "once": 0.0})
        assert {one.result().status_code for one in waiting} == {200}
    client.post("/reset")


def test_one_session_leaves_others_a_place_for_whole_runs(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    services: Services = app.extensions["picasso"]
    until(lambda: services.model.status()["state"] == "ready")
    client, another = Visitor(app), Visitor(app)
    upload(client)
    upload(another)
    begun, done = threading.Semaphore(0), threading.Event()

    def wait(*_: object) -> None:
        begun.release()
        assert done.wait(60)

    monkeypatch.setattr(services.runner, "wait", wait)
    call = "/api/visualize?image=0&visualizer=ClassProbabilities"
    with ThreadPoolExecutor(2) as others:
        others.submit(client.get, call)
        assert begun.acquire(timeout=60)
        refused: Any = client.get(call)
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "busy")
        others.submit(another.get, call)
        assert begun.acquire(timeout=60)
        done.set()
    client.post("/reset")
    another.post("/reset")


def test_questions_are_answered_while_others_wait_for_whole_runs(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    services: Services = app.extensions["picasso"]
    until(lambda: services.model.status()["state"] == "ready")
    client, another = Visitor(app), Visitor(app)
    upload(client)
    upload(another)
    begun, done = threading.Semaphore(0), threading.Event()

    def wait(*_: object) -> None:
        begun.release()
        assert done.wait(60)

    monkeypatch.setattr(services.runner, "wait", wait)
    call = "/api/visualize?image=0&visualizer=ClassProbabilities"
    with ThreadPoolExecutor(2) as others:
        others.submit(client.get, call)
        others.submit(another.get, call)
        assert begun.acquire(timeout=60)
        assert begun.acquire(timeout=60)
        refused: Any = client.get(call)
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "busy")
        assert Visitor(app).get(ESTIMATE).status_code == 200
        assert client.post("/api/what-if", json=QUESTION).status_code == 200
        done.set()
    client.post("/reset")
    another.post("/reset")


def test_a_question_whose_process_dies_is_told_to_come_back(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    services: Services = app.extensions["picasso"]
    until(lambda: services.model.status()["state"] == "ready")
    died: Future[Any] = Future()
    died.set_exception(WorkerCrashed("The process that computes ended unexpectedly."))
    monkeypatch.setattr(services.runner._engine, "ask", lambda _: died)
    answer = Visitor(app).get(ESTIMATE)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "worker_died")
    assert int(answer.headers["Retry-After"]) > 0
