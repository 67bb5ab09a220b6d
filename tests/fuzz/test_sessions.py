"""Two visitors do whatever a visitor can, in any order: each sees what they did themselves, and nothing breaks."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import TestResponse

from picasso.web.app import create_app
from picasso.web.context import Services
from tests.conftest import COOKIE, PLUGINS, Visitor, close, fake_settings, noise_image, png
from tests.fuzz.known import Known
from tests.jobs.test_engine import until

MAX_IMAGES, QUEUE = 4, 3
IMAGES = [png(noise_image(seed)) for seed in range(6)]
BOTH = st.integers(0, 1)
# Which of those that are there, counted round and round.
ANY = st.integers(0, 7)
VISUALIZATIONS = st.sampled_from(["ClassProbabilities", "SaliencyMaps", "Slow", "Trouble", "broken", "Nope"])


@pytest.fixture(scope="module")
def small() -> Iterator[Flask]:
    """An application with small limits, so that they are met."""
    limits = {"MAX_IMAGES": MAX_IMAGES, "QUEUE_LENGTH": QUEUE}
    application = create_app(fake_settings(PLUGIN_DIRS=[str(PLUGINS)], **limits))
    client = Visitor(application)
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    yield application
    close(application)


class Sessions(RuleBasedStateMachine):
    """What two visitors do, and what each has to see of it."""

    app: Flask

    @initialize(with_images=st.booleans())
    def arrive(self, with_images: bool) -> None:
        self.visitors = [Known(Visitor(self.app)) for _ in range(2)]
        for who in range(2 if with_images else 0):
            self.upload(who=who, which=who, page=False)

    def teardown(self) -> None:
        for known in getattr(self, "visitors", []):
            known.client.post("/reset")

    def answer(self, response: TestResponse, *expected: int) -> Any:
        """Check the status of an answer and return its JSON."""
        assert response.status_code in expected, (response.status_code, response.text[:300])
        assert b"Traceback" not in response.data
        return response.get_json(silent=True)

    @rule(who=BOTH, which=st.integers(0, len(IMAGES) - 1), page=st.booleans())
    def upload(self, who: int, which: int, page: bool) -> None:
        known, name = self.visitors[who], f"{which}.png"
        address = "/images" if page else "/api/images"
        response = known.client.post(address, data={"file": (io.BytesIO(IMAGES[which]), name)})
        known.session = True
        if len(known.images) >= MAX_IMAGES:
            self.answer(response, 413)
            return
        body = self.answer(response, 303 if page else 200)
        assert page or body["uid"] == known.next_uid
        known.images.append((known.next_uid, name))
        known.next_uid += 1

    @rule(who=BOTH)
    def upload_what_is_no_image(self, who: int) -> None:
        known = self.visitors[who]
        response = known.client.post("/api/images", data={"file": (io.BytesIO(b"no image"), "a.png")})
        self.answer(response, 415, 413)
        # Nothing came of it, so it begins no session.
        assert known.session or "Set-Cookie" not in response.headers

    @rule(who=BOTH, first=st.lists(ANY, max_size=3))
    def arrange(self, who: int, first: list[int]) -> None:
        known = self.visitors[who]
        uids = list(dict.fromkeys(known.uid(index) for index in first))
        response = known.client.put("/api/images/order", json={"images": uids})
        if not known.session or 99 in uids:
            self.answer(response, 404)
            return
        self.answer(response, 200)
        front = [one for uid in uids for one in known.images if one[0] == uid]
        known.images = front + [one for one in known.images if one not in front]

    @rule(who=BOTH, index=ANY, back=st.booleans())
    def move(self, who: int, index: int, back: bool) -> None:
        known = self.visitors[who]
        uid = known.uid(index)
        response = known.client.post(f"/images/{uid}/move", data={"to": "back" if back else "front"})
        if uid == 99:
            self.answer(response, 404)
            return
        self.answer(response, 303)
        place = index % len(known.images)
        one = known.images.pop(place)
        known.images.insert(max(0, place + (1 if back else -1)), one)

    @rule(who=BOTH, index=ANY, page=st.booleans())
    def remove(self, who: int, index: int, page: bool) -> None:
        known = self.visitors[who]
        uid, client = known.uid(index), known.client
        response = client.post(f"/images/{uid}/remove") if page else client.delete(f"/api/images/{uid}")
        self.answer(response, *((404,) if uid == 99 else (200, 303)))
        known.images = [one for one in known.images if one[0] != uid]

    @rule(who=BOTH, name=VISUALIZATIONS, chosen=st.none() | st.lists(ANY, max_size=2))
    def run(self, who: int, name: str, chosen: list[int] | None) -> None:
        known = self.visitors[who]
        images = None if chosen is None else [known.uid(index) for index in chosen]
        body = {"visualization": name, "settings": {"Steps": 3} if name == "Slow" else {}, "images": images}
        response = known.client.post("/api/runs", json=body)
        missing = not known.session or 99 in (images or []) or name == "Nope"
        empty = not (known.images if images is None else images)
        answer = self.answer(
            response, *((404, 400) if missing else (400,) if empty or name == "broken" else (202, 503))
        )
        if response.status_code == 202:
            known.runs.append(answer["id"])

    @rule(who=BOTH, index=ANY, page=st.booleans())
    def look(self, who: int, index: int, page: bool) -> None:
        known = self.visitors[who]
        run = known.run(index)
        state = self.answer(
            known.client.get(f"/runs/{run}" if page else f"/api/runs/{run}"), 200 if known.runs else 404
        )
        assert not state or page or not known.runs or 0 <= state["fraction"] <= 1

    @rule(who=BOTH, index=ANY)
    def cancel(self, who: int, index: int) -> None:
        known = self.visitors[who]
        self.answer(known.client.post(f"/api/runs/{known.run(index)}/cancel"), 200 if known.runs else 404)

    @rule(who=BOTH, index=ANY, page=st.booleans())
    def delete_run(self, who: int, index: int, page: bool) -> None:
        known = self.visitors[who]
        run, client = known.run(index), known.client
        response = client.post(f"/runs/{run}/remove") if page else client.delete(f"/api/runs/{run}")
        self.answer(response, *((200, 303) if known.runs else (404,)))
        known.runs = [one for one in known.runs if one != run]

    @rule(who=BOTH, index=ANY, side=st.floats(-1, 2), fill=st.sampled_from(["grey", "noise", "pink"]))
    def what_if(self, who: int, index: int, side: float, fill: str) -> None:
        known = self.visitors[who]
        body = {"images": [known.uid(index)], "shapes": [{"box": [0, 0, side, 0.5]}], "fill": fill}
        answer = self.answer(known.client.post("/api/what-if", json=body), 200, 400, 404)
        assert "answers" not in answer or [one["uid"] for one in answer["answers"]] == body["images"]

    @rule(who=BOTH, page=st.booleans())
    def start_over(self, who: int, page: bool) -> None:
        known = self.visitors[who]
        self.answer(known.client.post("/reset") if page else known.client.get("/api/reset"), 200, 303)
        known.forget()

    @rule(who=BOTH)
    def expire(self, who: int) -> None:
        known = self.visitors[who]
        cookie = known.client.get_cookie(COOKIE)
        if not known.session or cookie is None:
            return
        past = time.time() - 1_000_000
        services: Services = self.app.extensions["picasso"]
        os.utime(services.storage.folder / "sessions" / cookie.value, (past, past))
        services.storage.expire()
        known.forget()

    @rule(who=BOTH, index=ANY)
    def trespass(self, who: int, index: int) -> None:
        known, other = self.visitors[who], self.visitors[1 - who]
        if known.runs:
            run = known.run(index)
            for address in (
                f"/api/runs/{run}",
                f"/runs/{run}",
                f"/api/runs/{run}/values/0/0",
                f"/outputs/{run}-0-panel_0.png",
            ):
                self.answer(other.client.get(address), 404)
            self.answer(other.client.delete(f"/api/runs/{run}"), 404)
            self.answer(other.client.post(f"/api/runs/{run}/cancel"), 404)
        for one in known.client.get("/api/images").get_json()["images"]:
            self.answer(known.client.get(f"/inputs/{one['filename']}"), 200)
            for place in ("inputs", "api/inputs", "thumbnails"):
                self.answer(other.client.get(f"/{place}/{one['filename']}"), 404)

    @invariant()
    def everybody_sees_their_own(self) -> None:
        for known in getattr(self, "visitors", []):
            listed = self.answer(known.client.get("/api/images"), 200)["images"]
            assert [(one["uid"], one["name"]) for one in listed] == known.images
            runs = self.answer(known.client.get("/api/runs"), 200)["runs"]
            assert sorted(run["id"] for run in runs) == sorted(known.runs)
            self.answer(known.client.get("/"), 200)


@pytest.mark.slow
def test_two_visitors_in_any_order(small: Flask) -> None:
    """The same orders each time, so that nothing fails by chance; ``make fuzz`` tries many others."""
    examples = int(os.environ.get("PICASSO_FUZZ_EXAMPLES", "0"))
    bounded = settings(
        max_examples=examples or 30,
        stateful_step_count=25,
        deadline=None,
        derandomize=not examples,
        database=None,
        # What fails is told as it is: to make it shorter takes minutes.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    class Here(Sessions):
        app = small

    run_state_machine_as_test(Here, settings=bounded)
