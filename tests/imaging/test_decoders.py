"""Decoding for visitors: the pixels are right, every bound holds, and whatever one image does, the others go on."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from numpy.typing import NDArray
from PIL import Image

from picasso import config
from picasso.errors import BadRequest, Busy, StorageFull, TooLarge
from picasso.imaging import decode, decoder_process
from picasso.imaging.decoders import DecoderProcess, Decoders
from picasso.web.app import create_app
from picasso.web.context import Services
from tests.conftest import Visitor, close, fake_settings, noise_image, png


def decoders(folder: Path, module: str = "tests.decoders", **settings: Any) -> Decoders:
    return Decoders(folder, config.build(settings, None), lambda: DecoderProcess(module))


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which images that are held have a file."""
    folder = tmp_path / "marks"
    folder.mkdir()
    monkeypatch.setenv("PICASSO_TEST_DECODERS", str(folder))
    return folder


@pytest.fixture
def testing(tmp_path: Path, marks: Path) -> Iterator[Decoders]:
    found = decoders(tmp_path, DECODE_SECONDS=1, DECODE_MB=500)
    yield found
    found.close()


def names(decoders: Decoders, *called: str) -> list[Future[str]]:
    """Decode images of these names at once; each future is done when its image is."""
    pool = ThreadPoolExecutor(len(called))

    def decode(name: str) -> str:
        decoders.checked(png(), name)
        return name

    futures = [pool.submit(decode, name) for name in called]
    pool.shutdown(wait=False)
    return futures


def shown(file: Path | io.BytesIO) -> NDArray[np.uint8]:
    """Return the pixels of an image."""
    with Image.open(file) as image:
        return np.asarray(image)


def until(ready: Callable[[], bool]) -> None:
    """Wait until something is so."""
    waiting = threading.Event()
    while not ready():
        waiting.wait(0.01)


def test_the_pixels_are_those_of_the_same_door_in_process(tmp_path: Path) -> None:
    found = decoders(tmp_path, decoder_process.__name__)
    try:
        for number, body in enumerate((png(), png(noise_image(3, (40, 30)), "JPEG"), png(Image.new("L", (9, 9), 7)))):
            with found.stored(io.BytesIO(body), f"{number}.png") as stored:
                expected = decode.decode(body, f"{number}.png")
                np.testing.assert_array_equal(shown(stored.pixels), np.asarray(expected.image))
                np.testing.assert_array_equal(shown(stored.small), shown(io.BytesIO(decode.thumbnail(expected.image))))
                assert stored.notes == expected.notes
        found.thumbnail(png(noise_image(0, (400, 300))), "a.png", tmp_path / "small.webp", 88)
        assert shown(tmp_path / "small.webp").shape == (66, 88, 3)
        with pytest.raises(BadRequest, match=r"a\.png is truncated or damaged"):
            found.checked(png(noise_image(0, (64, 64)))[:900], "a.png")
    finally:
        found.close()
    assert [file.name for file in tmp_path.iterdir()] == ["small.webp"]


def test_an_image_that_takes_too_long_is_refused_and_others_go_on(testing: Decoders) -> None:
    with pytest.raises(TooLarge, match=r"spin\.png needs more than 1 seconds of CPU time to decode"):
        testing.checked(png(), "spin.png")
    assert testing.checked(png(), "a.png") == png()


def test_one_that_takes_more_memory_than_its_header_says_is_refused(testing: Decoders) -> None:
    with pytest.raises(TooLarge, match=r"grow\.png needs more memory to decode than its header implies"):
        testing.checked(png(), "grow.png")
    assert testing.checked(png(), "a.png") == png()


def test_one_that_crashes_its_decoder_is_refused_and_others_go_on(testing: Decoders) -> None:
    with pytest.raises(BadRequest, match=r"die\.png can't be decoded: the decoder process ended"):
        testing.checked(png(), "die.png")
    assert testing.checked(png(), "a.png") == png()


def test_one_that_neither_answers_nor_computes_is_ended(testing: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picasso.imaging.decoders.STUCK", -1.9)
    with pytest.raises(Busy, match=r"Decoding hold\.png timed out"):
        testing.checked(png(), "hold.png")
    monkeypatch.undo()


def test_so_many_are_decoded_at_once(testing: Decoders, marks: Path) -> None:
    called = [f"hold-{number}.png" for number in range(4)]
    futures = names(testing, *called)
    done: set[str] = set()
    while len(done) < 4:
        # As many as there are processes, or as are left.
        until(lambda: len(list(marks.iterdir())) == min(2, 4 - len(done)))
        (first, *_) = sorted(marks.iterdir())
        first.unlink()
        done.add(first.name)
        assert futures[called.index(first.name)].result() == first.name
    assert done == set(called)


def test_large_images_wait_for_each_other(testing: Decoders, marks: Path) -> None:
    """Two take 400 MB each, of 500: there are processes for both, but no memory."""
    futures = names(testing, "large-1.png", "large-2.png")
    until(lambda: any(marks.iterdir()))
    # A small one has room beside the large one.
    assert len(list(marks.iterdir())) == 1
    (first,) = marks.iterdir()
    assert not any(future.done() for future in futures)
    first.unlink()
    until(lambda: sum(future.done() for future in futures) == 1)
    until(lambda: any(marks.iterdir()))
    (second,) = marks.iterdir()
    assert second.name != first.name
    second.unlink()
    assert [future.result() for future in futures] == ["large-1.png", "large-2.png"]


def test_one_that_takes_more_than_the_budget_is_refused(tmp_path: Path, marks: Path) -> None:
    found = decoders(tmp_path, DECODE_MB=300)
    try:
        with pytest.raises(TooLarge, match=r"large\.png needs 400 MB to decode, more than the 300 MB allowed"):
            found.checked(png(), "large.png")
        assert found.checked(png(), "a.png") == png()
    finally:
        found.close()


def test_who_waits_too_long_is_told_to_come_back(
    testing: Decoders, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    futures = names(testing, "hold-1.png", "hold-2.png")
    until(lambda: len(list(marks.iterdir())) == 2)
    monkeypatch.setattr("picasso.imaging.decoders.TURN_TIMEOUT", 0.0)
    source = io.BytesIO(png())
    with pytest.raises(Busy, match=r"a\.png was not stored because the server is busy with other images"):
        testing.checked(source, "a.png")
    # It was not even read.
    assert source.tell() == 0
    for mark in marks.iterdir():
        mark.unlink()
    assert sorted(future.result() for future in futures) == ["hold-1.png", "hold-2.png"]


def test_a_process_that_somebody_else_ended_is_replaced(testing: Decoders) -> None:
    testing.warm()
    (helper,) = testing._idle
    helper.process.kill()
    helper.process.wait()
    assert testing.checked(png(), "a.png") == png()
    assert helper.process.returncode is not None


def test_no_room_for_a_process_is_said(tmp_path: Path) -> None:
    def start() -> DecoderProcess:
        raise BlockingIOError("no room")

    with pytest.raises(Busy, match="can't start another process"):
        Decoders(tmp_path, config.build({}, None), start).checked(png(), "a.png")


def test_the_end_of_the_server_ends_what_is_decoded(testing: Decoders, marks: Path) -> None:
    (future,) = names(testing, "hold.png")
    until(lambda: any(marks.iterdir()))
    (helper,) = testing._working
    testing.close()
    with pytest.raises(Busy):
        future.result()
    assert helper.process.poll() is not None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_said() -> None:
    for asked in ({"pixels": "/dev/full", "small": ""}, {"pixels": "", "small": "/dev/full"}):
        with pytest.raises(StorageFull):
            decoder_process.keep(noise_image(0, (300, 300)), {**asked, "side": 200})


# ---- through the web -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, Path]]:
    """An application whose decoders misbehave on demand, and the folder of marks."""
    folder = tmp_path_factory.mktemp("marks")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PICASSO_TEST_DECODERS", str(folder))
        application = create_app(fake_settings(DECODE_SECONDS=1))
        services: Services = application.extensions["picasso"]
        services.storage.decoders._start = lambda: DecoderProcess("tests.decoders")
        yield application, folder
        close(application)


def send(client: Visitor, name: str, url: str = "/api/images", **fields: Any) -> Any:
    return client.post(url, data={"file": (io.BytesIO(png()), name), **fields})


def test_while_eight_hostile_images_are_decoded_everything_else_is_answered(served: tuple[Flask, Path]) -> None:
    application, marks = served
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(send, Visitor(application), f"hold-{number}.png") for number in range(8)]
        until(lambda: len(list(marks.iterdir())) == 2)
        client = Visitor(application)
        for url in ("/healthz", "/", "/api/app_state", "/api/images"):
            assert client.get(url).status_code == 200
        assert not any(answer.done() for answer in answers)
        while not all(answer.done() for answer in answers):
            for mark in marks.iterdir():
                mark.unlink(missing_ok=True)
    assert [answer.result().status_code for answer in answers] == [200] * 8


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("spin.png", 413, "spin.png needs more than 1 seconds of CPU time"),
        ("grow.png", 413, "grow.png needs more memory"),
        ("die.png", 400, "die.png can't be decoded"),
    ],
)
def test_every_upload_is_bounded(served: tuple[Flask, Path], name: str, status: int, words: str) -> None:
    application, _ = served
    client = Visitor(application)
    answer = send(client, name)
    assert (answer.status_code, words in answer.json["error"]["message"]) == (status, True), answer.text
    page = send(client, name, "/images")
    assert (page.status_code, words.replace("'", "&#39;") in page.text) == (status, True), page.text
    assert send(client, "a.png").status_code == 200


def test_images_of_audits_have_the_same_bounds(served: tuple[Flask, Path]) -> None:
    application, _ = served
    client = Visitor(application)
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    audit = client.post("/api/audits").get_json()["url"]
    told = send(client, "die.png", f"{audit}/images", **{"class": "0"}).get_json()
    assert (told["stored"], "die.png can't be decoded" in told["refused"][0]) == (0, True)
    assert send(client, "a.png", f"{audit}/images", **{"class": "0"}).get_json()["stored"] == 1


def test_who_must_come_back_is_told_when(served: tuple[Flask, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    application, marks = served
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(send, Visitor(application), f"hold-{number}.png") for number in range(2)]
        until(lambda: len(list(marks.iterdir())) == 2)
        monkeypatch.setattr("picasso.imaging.decoders.TURN_TIMEOUT", 0.0)
        answer = send(Visitor(application), "a.png")
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "busy")
        assert int(answer.headers["Retry-After"]) > 0
        for mark in marks.iterdir():
            mark.unlink()
    assert [one.result().status_code for one in answers] == [200, 200]


def test_nothing_of_refused_images_stays(served: tuple[Flask, Path]) -> None:
    application, _ = served
    services: Services = application.extensions["picasso"]
    assert list(services.storage.temporary.iterdir()) == []


def test_several_that_must_come_back_come_back_whole(
    served: tuple[Flask, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored before the server was busy is not stored a second time when all are sent again."""
    application, _ = served
    services: Services = application.extensions["picasso"]
    client, found = Visitor(application), services.storage.decoders
    original = found._decode

    def decode(source: Any, name: str, **more: Any) -> Any:
        if name == "b.png":
            raise Busy("b.png was not stored.")
        return original(source, name, **more)

    def several(url: str, **fields: str) -> Any:
        files = [(io.BytesIO(png()), name) for name in ("a.png", "b.png", "c.png")]
        return client.post(url, data={"file": files, **fields})

    monkeypatch.setattr(found, "_decode", decode)
    assert several("/api/images").status_code == 503
    assert client.get("/api/images").get_json()["images"] == []
    until(lambda: client.get("/api/app_state").get_json()["state"] == "ready")
    audit = client.post("/api/audits").get_json()["url"]
    told = several(f"{audit}/images", **{"class": "0"}).get_json()
    assert (told["stored"], told["refused"]) == (2, ["b.png was not stored."])
