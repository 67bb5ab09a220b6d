"""``picasso mcp``, called by the client of the protocol's own SDK."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from picasso.agents.tools import Tools
from picasso.config import PACKAGE, Settings
from picasso.errors import Busy, ModelError, RunError
from picasso.examples.brightness import BrightnessModel
from picasso.models.base import Model
from tests.agents.test_audits import labeled
from tests.audit.test_audit import Reliant
from tests.cli.test_command import ONNX
from tests.docs.blocks import PAGES, ROOT

mcp = pytest.importorskip("mcp")
anyio = pytest.importorskip("anyio")

NAMES = ["check", "explain", "what_if", "audit", "results", "visualizations"]


class NoisyModel(BrightnessModel):
    """Prints to standard output, as libraries do, in Python and below it."""

    def load(self, side: int = 8, channels: int = 1) -> None:
        super().load(side, channels)
        print("loading")
        os.write(1, b"loading\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image that is bright on the left."""
    allowed = tmp_path / "images"
    allowed.mkdir()
    pixels = np.full((8, 8), 40, np.uint8)
    pixels[:, :4] = 240
    Image.fromarray(pixels).save(allowed / "left.png")
    return allowed


def loaded() -> Model:
    model = BrightnessModel()
    model.load()
    return model


def connected(
    folder: Path, talk: Callable[[Any], Awaitable[None]], load: Callable[[], Model] = loaded, **settings: Any
) -> None:
    """Talk to the server in this process."""
    from picasso.agents.server import server_of

    async def run() -> None:
        tools = Tools(Settings(**settings), load, [folder], folder.parent / "out")
        async with mcp.Client(server_of(tools)) as client:
            await talk(client)

    anyio.run(run)


def started(words: list[str], talk: Callable[[Any], Awaitable[None]], log: Path) -> None:
    """Talk to the command in a process of its own."""
    variables = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "picasso", "mcp", *words], env=variables, cwd=log.parent
    )

    async def run() -> None:
        with log.open("w") as errors:
            async with mcp.Client(mcp.stdio_client(command, errlog=errors)) as client:
                await talk(client)

    anyio.run(run)


def texts(result: Any) -> str:
    return "\n".join(one.text for one in result.content if one.type == "text")


def images(result: Any) -> list[Image.Image]:
    shown = [one for one in result.content if one.type == "image"]
    assert {one.mime_type for one in shown} <= {"image/png"}
    return [Image.open(io.BytesIO(base64.b64decode(one.data))) for one in shown]


def test_the_tools_are_described(folder: Path) -> None:
    found: dict[str, list[str]] = {}

    async def talk(client: Any) -> None:
        tools = {one.name: one for one in (await client.list_tools()).tools}
        assert list(tools) == NAMES
        for one in tools.values():
            assert one.description
            assert all(two.get("description") for two in one.input_schema["properties"].values())
        assert tools["what_if"].input_schema["required"] == ["image", "boxes"]
        assert str(folder) in client.instructions
        found.update({name: list(one.input_schema["properties"]) for name, one in tools.items()})

    connected(folder, talk)
    table = re.findall(r"^\| `(\w+)` \| ([^|]*)\|", PAGES["agents.md"], re.MULTILINE)
    assert {name: re.findall(r"`(\w+)`", arguments) for name, arguments in table} == found


def test_errors_are_one_sentence(folder: Path) -> None:
    async def talk(client: Any) -> None:
        for name, arguments, start in (
            ("explain", {"image": "../x.png"}, "There is no file '../x.png' below the folders"),
            ("explain", {"image": "left.png", "visualization": "No"}, "There is no visualization 'No'."),
            ("explain", {"image": "left.png", "settings": {"Window": 7}}, "Window must be one of"),
            ("explain", {"image": "left.png", "target": "cat"}, "The model has no class cat."),
            ("explain", {"imag": "left.png"}, "explain has no argument 'imag'."),
            ("explain", {"image": 3}, "The argument image of explain is wrong:"),
            ("what_if", {"image": "left.png"}, "The argument boxes of what_if is wrong:"),
            ("what_if", {"image": "left.png", "boxes": [[0, 0, 2, 1]]}, "A shape is"),
            ("what_if", {"image": "left.png", "boxes": [], "fill": "red"}, "fill must be one of"),
            ("audit", {"folder": ".."}, "There is no folder '..' below the folders"),
            ("audit", {"folder": ".", "pairs": -1}, "The argument pairs of audit is wrong:"),
            ("results", {"name": "../images"}, "There is no result '../images'"),
            ("look", {}, "There is no tool 'look'."),
        ):
            answer = await client.call_tool(name, arguments)
            assert answer.is_error, arguments
            assert texts(answer).startswith(start), texts(answer)
            assert "\n" not in texts(answer)

    connected(folder, talk)


def test_a_model_that_fails_is_an_answer(folder: Path) -> None:
    errors: list[Exception] = [ModelError("The model file is damaged."), ValueError("strange")]

    def load() -> Model:
        raise errors.pop(0)

    async def talk(client: Any) -> None:
        assert texts(await client.call_tool("check")) == "The model file is damaged."
        failed = await client.call_tool("check")
        assert failed.is_error
        assert texts(failed).startswith("The call failed unexpectedly: ValueError: strange.")

    connected(folder, talk, load)


def test_the_model_is_loaded_from_the_beginning_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a call needs it; until then, answers say that it is loading, and earlier results can be read."""
    loading, go = threading.Event(), threading.Event()

    def load() -> Model:
        loading.set()
        assert go.wait(60)
        return loaded()

    async def talk(client: Any) -> None:
        assert await anyio.to_thread.run_sync(lambda: loading.wait(60))
        monkeypatch.setattr("picasso.agents.background_model.WAIT_SECONDS", 0.1)
        answer = await client.call_tool("check")
        assert answer.is_error
        assert re.fullmatch(
            r"The model is still loading, for \d+ seconds so far\. Repeat the call later\.", texts(answer)
        )
        assert json.loads(texts(await client.call_tool("results"))) == []
        go.set()
        monkeypatch.setattr("picasso.agents.background_model.WAIT_SECONDS", 60)
        assert not (await client.call_tool("check")).is_error

    connected(folder, talk, load)


def test_progress_rises_and_the_protocol_answers_meanwhile(folder: Path) -> None:
    seen: list[float] = []
    waiting, go = threading.Event(), threading.Event()

    def load() -> Model:
        waiting.set()
        assert go.wait(60)
        return loaded()

    async def talk(client: Any) -> None:
        async def report(progress: float, total: float | None, message: str | None) -> None:
            seen.append(progress)

        async def explain() -> None:
            answer = await client.call_tool("explain", {"image": "left.png"}, progress_callback=report)
            assert not answer.is_error

        async with anyio.create_task_group() as group:
            group.start_soon(explain)
            await anyio.to_thread.run_sync(waiting.wait)
            assert len((await client.list_tools()).tools) == len(NAMES)
            busy = await client.call_tool("visualizations")
            assert texts(busy).startswith("1 calls are running or waiting, which is the maximum.")
            go.set()

    connected(folder, talk, load, QUEUE_LENGTH=1)
    assert seen[-1] == 1
    assert seen == sorted(set(seen))


def test_a_cancelled_call_ends_and_the_next_is_computed(folder: Path) -> None:
    from picasso.agents.turns import Turns

    ended: list[str] = []
    waiting, go = threading.Event(), threading.Event()

    def work(progress: Callable[[float], None]) -> None:
        waiting.set()
        try:
            assert go.wait(60)
            progress(0.5)
            ended.append("computed")
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    async def run() -> None:
        turns = Turns(2, 60)

        async def tell(progress: float, total: float) -> None:
            """Tell nobody."""

        async with anyio.create_task_group() as group:
            group.start_soon(turns.run, work, tell)
            await anyio.to_thread.run_sync(waiting.wait)
            group.cancel_scope.cancel()
            go.set()
        assert await turns.run(lambda progress: "next", tell) == "next"
        with pytest.raises(RunError, match="took longer than 0 minutes"):
            await Turns(1, 0).run(lambda progress: progress(0), tell)
        with pytest.raises(Busy):
            await Turns(0, 60).run(lambda progress: None, tell)

    anyio.run(run)
    assert ended == ["CancelledError"]


@pytest.mark.slow
def test_an_audit_reports_progress_and_is_cancelled(folder: Path) -> None:
    labeled(folder)
    seen: list[float] = []

    async def talk(client: Any) -> None:
        with anyio.CancelScope() as scope:

            async def end(progress: float, total: float | None, message: str | None) -> None:
                seen.append(progress)
                scope.cancel()

            await client.call_tool("audit", {"folder": "."}, progress_callback=end)
        assert scope.cancelled_caught
        # It waits until the thread has ended.
        assert json.loads(texts(await client.call_tool("results"))) == []
        seen.clear()

        async def report(progress: float, total: float | None, message: str | None) -> None:
            seen.append(progress)

        answer = await client.call_tool("audit", {"folder": "."}, progress_callback=report)
        assert json.loads(texts(answer))["verdict"].startswith("The model appears to rely on brightness")
        assert len(images(answer)) > 1

    connected(folder, talk, reliant)
    assert seen == sorted(set(seen))
    assert (len(seen) > 5, seen[-1]) == (True, 1)


def reliant() -> Model:
    model = Reliant()
    model.load()
    return model


def transcript(folder: Path) -> str:
    """Call the tools as a client, and return what was sent and answered, with the sizes of images."""
    lines: list[str] = []

    async def talk(client: Any) -> None:
        async def call(name: str, **arguments: Any) -> None:
            answer = await client.call_tool(name, arguments)
            lines.append(f"> {name} {json.dumps(arguments)}")
            lines.append(re.sub(r'"seconds": [\d.e-]+', '"seconds": 0.01', texts(answer)))
            lines.extend(f"[PNG, {one.width} x {one.height}]" for one in images(answer))
            lines.append("")

        await call("check", images=["left.png"])
        await call("explain", image="left.png", target="bright")
        await call("what_if", image="left.png", boxes=[[0, 0, 0.5, 1]], fill="black")
        await call("explain", image="left.png", target="cat")

    connected(folder, talk)
    return "\n".join(lines)


def test_the_transcript_of_the_page(folder: Path) -> None:
    (shown,) = re.findall(r"^```text\n(.*?)\n```$", PAGES["agents.md"], re.MULTILINE | re.DOTALL)
    assert shown == transcript(folder).strip()


@pytest.mark.slow
def test_the_command_writes_nothing_but_the_protocol(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config.py").write_text(
        f"MODEL_CLS_PATH = {__file__!r}\nMODEL_CLS_NAME = 'NoisyModel'\nMODEL_LOAD_ARGS = {{}}\nSAMPLES_DIR = ''\n"
    )

    async def talk(client: Any) -> None:
        answer = await client.call_tool("check", {"images": ["left.png"]})
        assert "bright 0.597" in texts(answer)
        (view,) = images(answer)
        assert np.asarray(view)[0, 0] == 240

    started(["--config", str(tmp_path / "config.py"), "--folder", "images"], talk, tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text().count("loading") == 2
    # The client logs lines that are not of the protocol.
    assert caplog.text == ""


@pytest.mark.slow
def test_a_model_file_as_the_page_says(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```json\n(.*?)^```$", PAGES["agents.md"], re.MULTILINE | re.DOTALL)
    words = json.loads(block)["mcpServers"]["picasso"]["args"]
    (tmp_path / "labels.txt").write_text("\n".join(map(str, range(4))))
    places = {
        "/home/you/tanks.keras": ONNX, "/home/you/labels.txt": tmp_path / "labels.txt",
        "/home/you/images": PACKAGE / "examples" / "samples" / "mnist", "/home/you/picasso-results": tmp_path / "out",
    }  # fmt: skip
    (digit, *_) = (PACKAGE / "examples" / "samples" / "mnist").rglob("*.png")

    async def talk(client: Any) -> None:
        assert "format: ONNX" in texts(await client.call_tool("check"))
        answer = await client.call_tool("explain", {"image": str(digit), "settings": {"Strides": 2}})
        assert not answer.is_error, texts(answer)
        assert all(one.width > 100 for one in images(answer))

    started([str(places.get(word, word)) for word in words[1:]], talk, tmp_path / "log.txt")
    assert [one.name for one in (tmp_path / "out").iterdir()] == [f"{digit.stem}-PartialOcclusion"]


@pytest.mark.slow
def test_a_keras_model(tmp_path: Path) -> None:
    """The bundled example, which TensorFlow computes: it is loading while the client is told what the tools are."""
    samples = PACKAGE / "examples" / "samples" / "mnist"
    words = ["--config", str(PACKAGE / "examples" / "keras" / "config.py"), "--folder", str(samples), "--out", "out"]

    async def talk(client: Any) -> None:
        assert len((await client.list_tools()).tools) == len(NAMES)
        answer = await client.call_tool("check", {"images": ["7-00000.png"]})
        for _ in range(20):
            if not texts(answer).startswith("The model is still loading"):
                break
            answer = await client.call_tool("check", {"images": ["7-00000.png"]})
        assert "format: Keras 3 file (.keras)" in texts(answer)
        assert "answer: 7-00000.png: 7 1.000" in texts(answer)
        found: dict[str, Any] = {}
        for name in ("SaliencyMaps", "GradCAM"):
            answer = await client.call_tool("explain", {"image": "7-00000.png", "visualization": name, "target": "7"})
            found[name] = json.loads(texts(answer))
            assert len(images(answer)) == 1
        (panel,) = (one for one in found["GradCAM"]["panels"] if one["kind"] == "map")
        assert panel["target"] == "7"
        box = [0.2, 0.2, 0.8, 0.8]
        answer = json.loads(texts(await client.call_tool("what_if", {"image": "7-00000.png", "boxes": [box]})))
        assert answer["targets"][0]["before"] > answer["targets"][0]["after"]

    started(words, talk, tmp_path / "log.txt")
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["7-00000-GradCAM", "7-00000-SaliencyMaps"]
