"""The command line, as a user types it."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from picasso import __version__
from picasso.cli.command import main
from picasso.errors import ModelError
from tests.conftest import FAKES, PLUGINS, noise_image, png


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "settings.py"
    model = f'MODEL_CLS_PATH = "{FAKES}"\nMODEL_CLS_NAME = "LinearModel"\nMODEL_LOAD_ARGS = {{}}\n'
    file.write_text(f'{model}PLUGIN_DIRS = ["{PLUGINS}"]\n')
    return file


ONNX = Path(__file__).parents[1] / "zoo" / "logits.onnx"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_help_and_version_need_nothing_slow() -> None:
    code = """
import sys
from picasso.cli.command import main
try:
    main(["--help"])
finally:
    slow = {"tensorflow", "keras", "numpy", "flask", "matplotlib", "PIL"} & set(sys.modules)
    assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "explain" in done.stdout
    assert run("--version").output == f"picasso, version {__version__}\n"


def test_explain_writes_images_json_and_arrays(config: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png(noise_image(ord(name[0]))))
    out = tmp_path / "out"
    options = ["--visualization", "PartialOcclusion", "--set", "Window=0.3", "--set", "Strides=5", "--out", out]
    done = run("explain", tmp_path / "a.png", tmp_path / "b.png", "--config", config, *options)
    assert done.exit_code == 0, done.output
    for name in ("a", "b"):
        folder = out / f"{name}-PartialOcclusion"
        document = json.loads((folder / "result.json").read_text())
        assert document["settings"] == {"Window": 0.3, "Strides": 5, "Occlusion": "grey", "Show": "drop"}
        with np.load(folder / "arrays.npz") as arrays:
            assert arrays["panel_1"].shape == (5, 5)
        assert (folder / "panel-1.png").is_file()
        assert f"{name}.png: {document['predictions'][0]['name']}" in done.output
    again = run("explain", tmp_path / "a.png", "--config", config, *options)
    assert again.exit_code == 0
    assert (out / "a-PartialOcclusion-1" / "result.json").is_file()


def test_explain_looks_at_the_classes_that_are_named(config: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    chosen = ["-v", "SaliencyMaps", "--class", "gnu", "--class", "0", "--class", "cat <b>", "--class", "gnu"]
    done = run("explain", tmp_path / "a.png", "--config", config, "--out", tmp_path / "out", *chosen)
    assert done.exit_code == 0, done.output
    document = json.loads((tmp_path / "out" / "a-SaliencyMaps" / "result.json").read_text())
    assert [panel["title"] for panel in document["panels"]] == ["gnu", "ant", "cat <b>"]
    assert len(document["predictions"]) == 5
    assert f"a.png: {document['predictions'][0]['name']}" in done.output


def test_check_writes_images_as_the_model_sees_them(config: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.tif").write_bytes(png(noise_image(size=(19, 6)), "TIFF"))
    out = tmp_path / "out"
    options = ["--config", config, "--preprocess", "crop nearest 0..1"]
    done = run("check", tmp_path / "x", tmp_path / "y" / "a.tif", "--out", out, *options)
    assert done.exit_code == 0, done.output
    assert sorted(file.name for file in out.iterdir()) == ["x-a.png", "y-a.png"]
    middle = np.asarray(noise_image(size=(19, 6)))[:, 5:14]
    for file in out.iterdir():
        with Image.open(file) as seen:
            np.testing.assert_array_equal(np.asarray(seen), middle)


def test_a_class_of_its_own_opens_what_nobody_else_can(tmp_path: Path) -> None:
    (tmp_path / "bands.py").write_text(
        "import numpy as np\nfrom PIL import Image\nfrom tests.explanation.test_inputs import Bands as Base\n\n"
        "class Bands(Base):\n    pass\n"
    )
    config = tmp_path / "settings.py"
    config.write_text('MODEL_CLS_PATH = "bands.py"\nMODEL_CLS_NAME = "Bands"\nMODEL_LOAD_ARGS = {}\nSAMPLES_DIR = ""\n')
    (tmp_path / "x.raw").write_bytes(b"12345678" + bytes(range(208)) * 8)
    for command in ("check", "explain"):
        more = ["-v", "ClassProbabilities", "--out", tmp_path / "out"] if command == "explain" else []
        done = run(command, tmp_path / "x.raw", "--config", config, *more)
        assert done.exit_code == 0, done.output
        assert "x.raw: " in done.output


def test_check(config: Path, tmp_path: Path) -> None:
    done = run("check", "--config", config)
    assert done.exit_code == 0
    for expected in ("format  numpy", "linear.npz", "6 x 9 pixels, 3 channels", "classes  7: ant", "gradients"):
        assert expected in done.output
    assert "stretch, values 0..1" in done.output
    assert done.output.count("answer  ") == 10  # every third of the samples
    for seed in range(5):
        (tmp_path / f"{seed}.png").write_bytes(png(noise_image(0)))
    images = sorted(tmp_path.glob("*.png"))
    report = json.loads(run("check", *images, "--json", "--config", config).output)
    assert report["model"]["name"] == "LinearModel"
    assert [(layer["name"], layer["default"]) for layer in report["layers"]] == [("input", True)]
    assert [answer["image"] for answer in report["answers"]] == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert len(report["answers"][0]["predictions"]) == 5
    assert len(report["warnings"]) == 1
    assert "All 5 images are answered with" in report["warnings"][0]


def test_check_of_a_model_file(tmp_path: Path) -> None:
    (tmp_path / "samples" / "seven").mkdir(parents=True)
    (tmp_path / "samples" / "seven" / "7.png").write_bytes(png())
    import onnxruntime

    output = onnxruntime.InferenceSession(str(ONNX)).get_outputs()[0].name
    options = ("--preprocess", "0..1", "--samples", tmp_path / "samples", "--load-arg", f"output={output}")
    done = run("check", "--model", ONNX, *options)
    assert (done.exit_code, done.stderr) == (0, "")
    for expected in ("format  ONNX", "can give  feature maps, gradients, predictions", "answer  7.png:"):
        assert expected in done.output


def test_check_of_a_labelled_folder(config: Path, tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "labelled" / name).mkdir(parents=True)
        (tmp_path / "labelled" / name / "0.png").write_bytes(png(noise_image(0)))
    done = run("check", "--folder", tmp_path / "labelled", "--config", config)
    assert done.exit_code == 0
    assert re.search(r"accuracy  0\.[05]00: [01] of 2 images are answered right", done.output)
    done = run("check", "--folder", tmp_path / "nowhere", "--config", config)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "There is no folder" in done.stderr


def test_model_options_are_relative_to_where_they_are_typed(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings file lies elsewhere; its model is replaced."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for options, message in [
        (["--model", "mine.keras"], f"There is no model file {elsewhere / 'mine.keras'}"),
        (["--labels", "labels.txt"], f"There is no label file {elsewhere / 'labels.txt'}"),
        (["--preprocess", "own.py:f"], f"There is no file {elsewhere / 'own.py'}, which PREPROCESS names"),
        (["--preprocess", "0-1"], "Unknown preprocessing '0-1'"),
    ]:
        done = run("check", "--config", config, *options)
        assert done.exit_code == 2
        assert message in done.stderr


def test_visualizations(config: Path) -> None:
    done = run("visualizations", "--config", config)
    assert done.exit_code == 0
    assert "  Window=0.20  Side of the window" in done.output
    assert "broken: can't be used: broken.py can't be imported" in done.output


def test_new_visualization(tmp_path: Path) -> None:
    done = run("new-visualization", "FunViz", "--dir", tmp_path / "plugins")
    assert done.exit_code == 0
    assert (tmp_path / "plugins" / "fun_viz.py").is_file()
    assert (tmp_path / "plugins" / "FunViz.html").is_file()
    assert f'PLUGIN_DIRS = ["{tmp_path / "plugins"}"]' in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "{tmp}/none.png"], "none.png can't be read: No such file or directory."),
        (["explain", "{tmp}/bad.png"], "bad.png is not a supported image"),
        (["explain", "{tmp}/a.png", "--set", "Window"], "--set takes NAME=VALUE"),
        (["explain", "{tmp}/a.png", "--set", "Window=7"], "Window must be one of 0.50"),
        (["explain", "{tmp}/a.png", "--class", "fxo"], "The model has no class fxo. Similar names: fox."),
        (
            ["explain", "{tmp}/a.png", "--visualization", "Nope"],
            "There is no visualization 'Nope'. The visualizations are ",
        ),
        (["explain", "{tmp}/a.png", "--visualization", "broken"], "broken can't be used"),
        (["explain", "{tmp}/a.png", "--model", "{tmp}/none.keras"], "There is no model file"),
        (["check", "--model", "{tmp}/a.png"], "a.png. Supported formats: Keras files (.keras"),
        (["check", "--config", "{tmp}/none.py"], "none.py does not exist; specify another with --config"),
        (["check", "--load-arg", "output=1"], "--load-arg requires --model"),
        (["check", "--model", "{zoo}", "--load-arg", "output"], "--load-arg takes NAME=VALUE, such as output=1"),
        (["check", "--model", "{zoo}", "--load-arg", "outptu=a"], "'outptu'. Check --load-arg."),
        (["check", "--model", "{zoo}", "--load-arg", "output=7"], "logits.onnx has no output 7; it has "),
        (["check", "--samples", "{tmp}/none"], "none does not exist; set SAMPLES_DIR"),
        (["serve", "--samples", "{tmp}/none"], "none does not exist; set SAMPLES_DIR"),
        (["serve", "--config", "{tmp}/none.py"], "none.py does not exist; specify another with --config"),
        (["new-visualization", "bad name"], "is not a valid class name"),
    ],
)
def test_mistakes_end_with_status_2_and_one_line(
    config: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "bad.png").write_bytes(b"hello")
    words = [word.format(tmp=tmp_path, zoo=ONNX) for word in arguments]
    if "--config" not in words and words[0] != "new-visualization":
        words += ["--config", str(config)]
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("picasso: ")]
    assert len(errors) == 1
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", ["explain", "check"])
def test_images_that_cannot_be_read_are_named_and_the_others_done(config: Path, tmp_path: Path, command: str) -> None:
    files = [tmp_path / name for name in ("good.png", "bad/x.png", "missing.png", "cut/x.png", "last.png")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
    for file in (files[0], files[4]):
        file.write_bytes(png())
    files[1].write_bytes(b"hello")
    files[3].write_bytes(png()[:-40])
    words = ["-v", "ClassProbabilities", "--out", tmp_path / "out"] if command == "explain" else []
    done = run(command, *files, "--config", config, *words)
    assert done.exit_code == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("picasso: ")]
    assert [sum(str(file) in line for line in errors) for file in files] == [0, 1, 1, 1, 0]
    assert f"{files[1]} is not a supported image" in errors[0]
    assert "good.png: " in done.stdout
    assert "last.png: " in done.stdout
    if command == "explain":
        assert {folder.name for folder in (tmp_path / "out").iterdir()} == {
            "good-ClassProbabilities",
            "last-ClassProbabilities",
        }


def test_images_of_one_name_stay_apart_in_all_results(config: Path, tmp_path: Path) -> None:
    files = [tmp_path / folder / "1.png" for folder in ("cats", "dogs")]
    for seed, file in enumerate(files):
        file.parent.mkdir()
        file.write_bytes(png(noise_image(seed)))
    done = run("explain", *files, "--config", config, "-v", "ClassProbabilities", "--out", tmp_path / "out")
    assert done.exit_code == 0
    for folder in ("cats", "dogs"):
        document = json.loads((tmp_path / "out" / f"{folder}-1-ClassProbabilities" / "result.json").read_text())
        assert document["image"] == f"{folder}/1.png"
        assert f"{folder}/1.png: " in done.stdout
    answers = json.loads(run("check", *files, "--config", config, "--json").stdout)["answers"]
    assert [answer["image"] for answer in answers] == ["cats/1.png", "dogs/1.png"]


def serve(config: Path, port: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "picasso", "serve", "--config", str(config), "--port", str(port)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


PORTS = itertools.count()


def free_port() -> int:
    """Return a port that the system gives to nobody by itself, so that it is still free when a server wants it."""
    import socket

    # Each process of the tests begins at another one.
    for number in itertools.count(os.getpid() * 97):
        port = 20_000 + (number + next(PORTS)) % 12_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there is no end of numbers")


def test_serve_answers_and_ends_clean(config: Path, tmp_path: Path) -> None:
    from urllib.request import urlopen

    with config.open("a") as file:
        file.write(f'WORK_DIR = "{tmp_path / "work"}"\n')
    port = free_port()
    server = serve(config, port)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/api/app_state") as answer:
                    state = json.load(answer)
                if state["state"] == "ready":
                    break
            except OSError:
                assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert state["model_name"] == "LinearModel"
        second = serve(config, port)
        assert second.wait(timeout=30) == 2
        assert f"Can't listen on 127.0.0.1:{port}" in (second.communicate()[1])
    finally:
        server.terminate()
    output, _ = server.communicate(timeout=10)
    assert server.returncode == 0
    assert f"settings from {config}" in output
    assert re.search(r"LinearModel is ready after \d", output)
    assert not list((tmp_path / "work").iterdir())


def test_serve_ends_with_status_2_if_the_model_cannot_be_loaded(config: Path) -> None:
    config.write_text(config.read_text().replace("LinearModel", "NoSuchModel"))
    server = serve(config, free_port())
    _, errors = server.communicate(timeout=30)
    assert server.returncode == 2
    assert "picasso: " in errors
    assert "has no model class NoSuchModel" in errors
    assert "Traceback" not in errors.replace("broken on purpose", "").split("picasso: ")[-1]


def test_explain_runs_several_visualizations_with_the_settings_that_each_has(config: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    several = ["-v", "GradCAM", "-v", "SaliencyMaps", "--set", "Transparency=0.25", "--set", "Rectified=no"]
    done = run("explain", tmp_path / "a.png", "--config", config, "--out", tmp_path / "out", *several)
    assert done.exit_code == 0, done.output
    settings = {
        name: json.loads((tmp_path / "out" / f"a-{name}" / "result.json").read_text())["settings"]
        for name in ("GradCAM", "SaliencyMaps")
    }
    assert settings["GradCAM"] == {"Rectified": False, "Transparency": 0.25, "Layer": ""}
    assert settings["SaliencyMaps"]["Transparency"] == 0.25
    wrong = run("explain", tmp_path / "a.png", "--config", config, *several, "--set", "Window=0.1")
    assert wrong.exit_code == 2
    assert "Unknown setting 'Window'; the settings are: Rectified, Transparency, Layer." in wrong.output


def test_a_model_that_is_never_loaded_ends_the_command(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    said: list[int] = []

    def leave(status: int) -> None:
        said.append(status)
        ended.set()

    monkeypatch.setattr("picasso.cli.options.os._exit", leave)
    monkeypatch.setattr("picasso.jobs.engine.LOAD_SECONDS", 0.01)
    # Computes until somebody ends the process.
    monkeypatch.setattr("picasso.models.load_configured", lambda settings: ended.wait(60) and never())
    result = run("check", "--config", config)
    assert said == [2]
    assert "timed out after" in result.stderr


def never() -> NoReturn:
    raise ModelError("ended")
