"""The command line with models of all tasks: what it understands, explains, measures and refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from picasso.cli.command import main
from tests import task_models
from tests.conftest import noise_image, png

# A target of each task, the title of its map, and the beginning of the line of explain.
TARGETS = {
    "classification": (["--target", "bee vs ant"], "bee rather than ant", r"a\.png: (ant|bee|cat) 0\.\d{3} ->"),
    "multi-label": (["--class", "night"], "night", r"a\.png: (indoor|night|people) 0\.\d{3} ->"),
    "regression": (["--target", "value:income"], "income", r"a\.png: age -?\d\.\d+ years ->"),
    "segmentation": (["--target", "sky@3,4"], "sky at 3, 4", r"a\.png: (brick|grass|sky) \d+\.\d% of the pixels ->"),
    "detection": (["--target", "dog@2,2,9,9"], "dog at 2, 2, 9, 9", r"a\.png: (cat|dog) 0\.\d{3} at -?\d+, "),
    "embedding": (["--target", "like:{tmp}/b.png"], "like {tmp}/b.png", r"a\.png: embedding of length \d\.\d+ ->"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two images."""
    for index, name in enumerate(("a.png", "b.png")):
        (tmp_path / name).write_bytes(png(noise_image(index, (16, 12))))
    return tmp_path


def run(task: str, folder: Path, *arguments: object) -> Result:
    """Run a subcommand with a model of a task, its settings written into a folder."""
    options = {"task": task, **({"unit": "years"} if task == "regression" else {})}
    config = folder / "settings.py"
    config.write_text(
        f'MODEL_CLS_PATH = "{task_models.__file__}"\nMODEL_CLS_NAME = "TaskModel"\nMODEL_LOAD_ARGS = {options}\n'
    )
    return CliRunner().invoke(main, [*map(str, arguments), "--config", str(config)])


@pytest.mark.parametrize("task", TARGETS)
def test_targets_of_each_task_are_explained(task: str, folder: Path) -> None:
    options, title, line = TARGETS[task]
    options = [one.format(tmp=folder) for one in options]
    out = folder / "out"
    several = ["-v", "SaliencyMaps", "-v", "RISE", "--set", "Masks=50", "--out", out]
    done = run(task, folder, "explain", folder / "a.png", *several, *options)
    assert done.exit_code == 0, done.output
    assert [bool(re.match(line, one)) for one in done.stdout.splitlines()] == [True, True]
    for name in ("SaliencyMaps", "RISE"):
        document = json.loads((out / f"a-{name}" / "result.json").read_text())
        titles = [panel["title"] for panel in document["panels"] if panel["target"]]
        assert titles == [title.format(tmp=folder)]
        assert document["model"]["task"]["task"] == task


@pytest.mark.parametrize("task", TARGETS)
def test_without_targets_the_predictions_are_explained(task: str, folder: Path) -> None:
    done = run(task, folder, "explain", folder / "a.png", "-v", "SaliencyMaps", "--out", folder / "out")
    assert done.exit_code == 0, done.output
    document = json.loads((folder / "out" / "a-SaliencyMaps" / "result.json").read_text())
    assert document["panels"]


@pytest.mark.parametrize(
    ("task", "target", "message"),
    [
        ("classification", "bee@3,4", "The model has no class bee@3,4"),
        ("regression", "value:agee", "The model has no value agee. Similar names: age."),
        ("segmentation", "sky@99,4", "The place 99, 4 is not inside the image, which is 16 x 12 pixels."),
        ("segmentation", "sea@3,4", "The model has no class sea."),
        ("detection", "box:99", "There is no box 99 in this image; "),
        ("embedding", "like:none.png", "There is no image 'none.png'."),
        ("embedding", "like:", 'Name the other image: "like:other.png".'),
    ],
)
def test_targets_that_do_not_exist(task: str, target: str, message: str, folder: Path) -> None:
    done = run(task, folder, "explain", folder / "a.png", "-v", "SaliencyMaps", "--target", target)
    assert done.exit_code == 2
    (error,) = [one for one in done.stderr.splitlines() if one.startswith("picasso: ")]
    assert message in error


def test_nothing_detected_is_said(folder: Path) -> None:
    config = folder / "blind.py"
    config.write_text(
        "from tests.task_models import TaskModel\n\n\nclass Blind(TaskModel):\n"
        "    def batch_logits(self, inputs):\n        return 0 * super().batch_logits(inputs)\n"
    )
    settings = folder / "own.py"
    settings.write_text(
        f'MODEL_CLS_PATH = "{config}"\nMODEL_CLS_NAME = "Blind"\nMODEL_LOAD_ARGS = {{"task": "detection"}}\n'
    )
    words = ["explain", folder / "a.png", "-v", "SaliencyMaps", "--out", folder / "out", "--config", settings]
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("a.png: nothing detected -> ")
    done = CliRunner().invoke(main, ["check", str(folder / "a.png"), "--config", str(settings)])
    assert "answer  a.png: nothing detected" in done.stdout


@pytest.mark.parametrize("task", TARGETS)
def test_check_says_what_it_understood(task: str, folder: Path) -> None:
    done = run(task, folder, "check", folder / "a.png")
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"        task  {task} (as the model's class says)\n" in done.stdout
    assert re.search(r"      answer  a\.png: ", done.stdout)
    document = json.loads(run(task, folder, "check", folder / "a.png", "--json").stdout)
    assert (document["task"]["name"], document["measured"]) == (task, None)


def test_check_measures_and_tells_what_it_could_not(folder: Path) -> None:
    (folder / "masks").mkdir()
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(folder / "masks" / "a.png")
    Image.fromarray(np.ones((12, 16), np.uint8)).save(folder / "masks" / "c.png")
    (folder / "c.png").write_bytes(b"broken")
    done = run("segmentation", folder, "check", folder / "a.png", "--folder", folder)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    # All names end at the same place, although one is longer than usual.
    assert {one.index("  ", 14) for one in lines if one.strip().startswith(("mean IoU", "pixel acc", "class "))} == {14}
    assert any(one.startswith("pixel accuracy  0.") for one in lines)
    warnings = [one.partition("warning  ")[2] for one in lines]
    assert "c.png is not a supported image. Use PNG, JPEG, WEBP, GIF, BMP, TIFF." in warnings
    assert "1 image without truth: b.png." in warnings
    document = json.loads(run("segmentation", folder, "check", "--folder", folder, "--json").stdout)
    assert [score["name"] for score in document["measured"]["scores"]] == ["mean IoU", "pixel accuracy"]
    assert document["accuracy"] is None
    done = run("segmentation", folder, "check", "--folder", folder / "masks")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("task", ["regression", "segmentation", "detection", "embedding"])
def test_audits_need_a_classifier(task: str, folder: Path) -> None:
    done = run(task, folder, "audit", folder)
    assert done.exit_code == 2
    said = f"picasso: An audit compares classes, so it needs a classifier; this model does {task}.\n"
    assert done.stderr.endswith(said)


@pytest.mark.filterwarnings("ignore")
def test_an_assumed_task_names_the_option_that_confirms_it(folder: Path) -> None:
    keras = pytest.importorskip("keras")
    image = keras.Input((12, 16, 3))
    model = folder / "pixels.keras"
    keras.Model(image, keras.layers.Conv2D(4, 3, padding="same", activation="softmax")(image)).save(model)
    for options, known in (
        ([], "assumed; to confirm: --task segmentation"),
        (["--task", "segmentation"], "as configured"),
    ):
        done = CliRunner().invoke(main, ["check", str(folder / "a.png"), "--model", str(model), *options])
        assert done.exit_code == 0, done.output
        assert f"        task  segmentation ({known})\n" in done.stdout
        assert "       shape  12 x 16 positions\n" in done.stdout
    done = CliRunner().invoke(main, ["check", "--model", str(model), "--task", "segmentatoin"])
    assert done.exit_code == 2
    assert "There is no task 'segmentatoin'; --task is one of" in done.stderr
