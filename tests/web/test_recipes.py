"""What "copy as command" and "copy as Python" give is run, and gives what the run itself gave."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import picasso
from picasso import config
from picasso.cli.command import main
from picasso.config import Settings
from picasso.explanation import comparison
from picasso.explanation.registry import Registry
from picasso.explanation.result import Result
from picasso.imaging import decode
from picasso.jobs.run import Spec, StoredImage
from picasso.models import load_configured
from picasso.web.quoting import as_yaml, bracketed, is_name, keywords, literal, option, wrapped
from picasso.web.recipes import as_command, as_python, by_name
from tests.conftest import FAKES, PLUGINS, noise_image
from tests.fakes import LinearModel

NAMES = LinearModel().class_names()
CONFIG = """
MODEL_CLS_PATH = {fakes!r}
MODEL_CLS_NAME = "LinearModel"
MODEL_LOAD_ARGS = {{}}
PLUGIN_DIRS = ["plugins"]
COMPARE = {{"epoch 1": {{"MODEL_CLS_NAME": "PatchModel"}}, "-2": {{"MODEL_CLS_NAME": "BlackBoxModel"}}}}
"""
ONNX = Path(__file__).parents[1] / "zoo" / "logits.onnx"
HOSTILE = ["7.png", "-x.png", "--help", 'it\'s "quoted" $(reboot) `x` \\.png', "日本 語.png", "#1;&|>.png", "~", "=a b"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a settings file, its plugins, and nothing from the environment."""
    (tmp_path / "config.py").write_text(CONFIG.format(fakes=str(FAKES)))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "means.py").write_text((PLUGINS / "means.py").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(config.ENVIRONMENT_VARIABLE, raising=False)
    return tmp_path


def spec_of(names: Sequence[str] = ("7.png",), visualization: str = "PartialOcclusion", **more: Any) -> Spec:
    """Return a run of images, which are written into the current folder under their names."""
    for seed, name in enumerate(names):
        Path(name).write_bytes(decode.encode(noise_image(seed)))
    images = [StoredImage(uid=uid, name=name, filename="", path="/secret/x") for uid, name in enumerate(names)]
    chosen = more.pop("settings", {"Window": 0.2, "Strides": 5})
    return Spec(visualization, chosen, images, 4, {}, 0.0, **more)


def shell_words(text: str) -> list[str]:
    """Return the words that a shell hands to the command ``picasso``."""
    script = f"picasso() {{ printf '%s\\0' \"$@\"; }}\n{text}\n"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def by_command(text: str) -> list[Result]:
    """Run a command and read its results in the order in which it says it wrote them."""
    done = CliRunner().invoke(main, shell_words(text), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return [Result.load(line.rpartition(" -> ")[2]) for line in done.stdout.splitlines()]


def by_python(text: str) -> list[Result]:
    """Run a script and return what it calls ``results``."""
    found: dict[str, Any] = {}
    exec(compile(text, "recipe", "exec"), found)  # noqa: S102
    return list(found["results"])


def same(ours: Sequence[Result], theirs: Sequence[Result]) -> None:
    assert len(ours) == len(theirs) > 0
    for one, two in zip(ours, theirs, strict=True):
        left, right = one.as_dict(), two.as_dict()
        assert {**left, "seconds": 0} == {**right, "seconds": 0}
        for panel, other in zip(one.panels, two.panels, strict=True):
            np.testing.assert_array_equal(panel.array, other.array)


def both(settings: Settings, spec: Spec, expected: Sequence[Result], **options: Any) -> tuple[str, str]:
    """Run both recipes of a run, compare what they give, and return them."""
    registry = Registry(settings.plugin_dirs())
    command = as_command(settings, spec, registry, **options)
    python = as_python(settings, spec, registry, **options)
    same(by_command(command), expected)
    same(by_python(python), expected)
    return command, python


# ---- they give what the run gave ------------------------------------------------------------------------------------


def test_with_a_settings_file(home: Path, linear: LinearModel) -> None:
    spec = spec_of(settings={"Window": 0.2, "Strides": 20, "Occlusion": "black"}, targets=[2])
    expected = picasso.explain(linear, "7.png", targets=[2], Window=0.2, Strides=20, Occlusion="black")
    command, python = both(config.load(), spec, expected, names=NAMES)
    assert command == (
        "picasso explain 7.png --config config.py --visualization PartialOcclusion \\\n"
        "    --set Window=0.20 --set Strides=20 --set Occlusion=black --target 'cat <b>'"
    )
    assert python == (
        "import picasso\n"
        "from picasso.models import load_model\n"
        "\n"
        'model = load_model("config.py")\n'
        "results = picasso.explain(\n"
        "    model,\n"
        '    ["7.png"],\n'
        '    "PartialOcclusion",\n'
        '    targets=["cat <b>"],\n'
        "    Window=0.2,\n"
        "    Strides=20,\n"
        '    Occlusion="black",\n'
        ")\n"
    )


def test_from_anywhere_with_full_paths(home: Path, linear: LinearModel, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.load("config.py")
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    spec = spec_of(visualization="Means", settings={"Weight": 1.5, "Rows": 3, "Invert": True, "Word": "fancy"})
    more = {"Weight": 1.5, "Rows": 3, "Invert": True, "Word": "fancy"}
    expected = picasso.explain(linear, "7.png", "Means", plugin_dirs=[PLUGINS], **more)  # type: ignore[arg-type]
    command, python = both(settings, spec, expected, full_paths=True)
    assert str(home / "config.py") in command
    assert "--set Invert=true" in command
    assert f'"{home}/plugins"' in python


def test_plugins_without_their_folder(home: Path, linear: LinearModel) -> None:
    expected = picasso.explain(linear, "7.png", "Means", plugin_dirs=[PLUGINS]) if spec_of() else []
    _, python = both(config.load(), spec_of(visualization="Means", settings={}), expected)
    assert 'plugin_dirs=["plugins"]' in python


def test_hostile_names(home: Path, linear: LinearModel) -> None:
    spec = spec_of(HOSTILE, "ClassProbabilities", settings={})
    expected = picasso.explain(linear, HOSTILE, "ClassProbabilities")
    command, _ = both(config.load(), spec, expected)
    assert " ./--help " in command


@pytest.mark.parametrize("models", [["epoch 1"], ["epoch 1", "-2"]])
@pytest.mark.parametrize("classes", [[], [4, 0]])
def test_compared_models(models: list[str], classes: list[int], home: Path) -> None:
    settings = config.load()
    spec = spec_of(["7.png", "8.png"], models=models, targets=classes)
    loaded = {name: load_configured(settings.compared(name)) for name in ("", *models)}
    expected = list(comparison.explain_each(loaded, ["7.png", "8.png"], targets=classes, Window=0.2, Strides=5))
    command, _ = both(settings, spec, expected, names=NAMES)
    assert set(expected[0].compared) == set(models)
    assert "--compare 'epoch 1'" in command
    # Settings that differ from the file's.
    over = config.load("config.py", {"TOP_CLASSES": 2})
    loaded = {name: load_configured(over.compared(name)) for name in ("", *models)}
    expected = list(comparison.explain_each(loaded, ["7.png", "8.png"], targets=classes, Window=0.2, Strides=5))
    same(by_python(as_python(over, spec, Registry())), expected)


def test_one_model_of_several_is_an_error_where_there_is_none_of_the_name(home: Path) -> None:
    spec_of()
    done = CliRunner().invoke(main, ["explain", "7.png", "--compare", "epoch 9"])
    assert (done.exit_code, done.stderr) == (
        2, "picasso: There is no model epoch 9: no file or folder has this path, and the setting COMPARE has no model "
        "of this name. Its models are: epoch 1, -2.\n",
    )  # fmt: skip


def test_a_run_of_a_compared_model_is_one_that_compares_it(home: Path) -> None:
    spec = spec_of(["7.png"], model="epoch 1")
    assert as_command(config.load(), spec, Registry()).count("--compare 'epoch 1'") == 1
    assert 'names = ["", "epoch 1"]' in as_python(config.load(), spec, Registry())


def test_models_of_the_command_line_are_in_the_command(home: Path) -> None:
    compare = {"new": {"MODEL": f"{home}/new.keras", "MODEL_LOAD_ARGS": {}}}
    settings = config.build({}, None, {"MODEL": f"{home}/old.keras", "COMPARE": compare})
    command = as_command(settings, spec_of(["7.png"], models=["new"]), Registry())
    assert "--compare new=new.keras" in command
    assert "First set" not in command


def model_options(folder: Path) -> dict[str, Any]:
    """Return what the options of the command line override, for a model file with everything that can be said."""
    folder.mkdir()
    (folder / "copied model.onnx").write_bytes(ONNX.read_bytes())
    (folder / "names.txt").write_text("".join(f"class {index}\n" for index in range(20)))
    import onnxruntime

    session = onnxruntime.InferenceSession(str(ONNX))
    count = session.get_outputs()[0].shape[1]
    (folder / "names.txt").write_text("".join(f"class {index}\n" for index in range(count)))
    return {
        "MODEL": str(folder / "copied model.onnx"),
        "MODEL_LOAD_ARGS": {"output": session.get_outputs()[0].name},
        "LABELS": str(folder / "names.txt"),
        "PREPROCESS": "-1..1 crop",
        "TRUST_MODEL": True,
        "SAMPLES_DIR": str(folder),
        "HOST": "0.0.0.0",  # noqa: S104
        "PORT": 5001,
    }


@pytest.mark.parametrize("with_file", [False, True])
@pytest.mark.parametrize("full_paths", [False, True])
def test_with_a_model_file(home: Path, with_file: bool, full_paths: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = model_options(home / "far away")
    settings = config.load("config.py", overrides) if with_file else config.build({}, None, overrides)
    (home / "here").mkdir()
    monkeypatch.chdir(home / "here")
    if not full_paths:
        for file in (home / "far away").iterdir():
            (home / "here" / file.name).symlink_to(file)
        (home / "here" / "config.py").symlink_to(home / "config.py") if with_file else None
        # The settings file's folder is where its relative paths begin.
        for file in (home / "far away").iterdir():
            (home / file.name).symlink_to(file)
    spec = spec_of(settings={"Window": 0.5, "Strides": 2})
    expected = picasso.explain(load_configured(settings), "7.png", Window=0.5, Strides=2)
    command, python = both(settings, spec, expected, full_paths=full_paths)
    assert ("far away" in command, "far away" in python) == (full_paths, full_paths)
    assert "5001" not in command + python
    assert "--preprocess='-1..1 crop'" in command or "'--preprocess=-1..1 crop'" in command
    assert "--trust-model" in command
    assert ("config.py" in command) == with_file
    if not with_file:
        assert 'load_model(\n    "' in python
        assert '    preprocess="-1..1 crop",\n    trust_model=True,\n    output="' in python


def test_the_model_of_the_defaults(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config.py").unlink()
    monkeypatch.setattr("picasso.models.loading.find_class", lambda settings: Unloaded)
    spec = spec_of()
    expected = picasso.explain(load_configured(Settings()), "7.png", Window=0.2, Strides=5)
    command, python = both(config.load(), spec, expected)
    assert "--config" not in command
    assert "model = load_configured(Settings())" in python


class Unloaded(LinearModel):
    """Stands for the bundled model, and takes its arguments."""

    def load(self, **arguments: Any) -> None:
        assert list(arguments) == ["data_dir"]
        super().load()


# ---- what no option says ---------------------------------------------------------------------------------------------


def test_what_a_program_configured(home: Path) -> None:
    """create_app() takes settings that the command line has no options for: they go into a file first."""
    overrides = {
        "MODEL_CLS_PATH": str(FAKES),
        "MODEL_CLS_NAME": "PatchModel",
        "MODEL_LOAD_ARGS": {},
        "TOP_CLASSES": 2,
        "PLUGIN_DIRS": [str(home / "plugins")],
        "MAX_IMAGES": 3,
    }
    (home / "config.py").unlink()
    settings = config.build({}, None, overrides)
    spec = spec_of(visualization="Means", settings={})
    command = as_command(settings, spec, Registry(settings.plugin_dirs()), full_paths=True)
    remarks = [line for line in command.splitlines() if line.startswith("# ")]
    start = '# First set this in "config.py", because there is no option for it: '
    lines = [line.removeprefix(start) for line in remarks]
    assert {ast.literal_eval(line.partition(" = ")[2]) for line in lines if "TOP" in line} == {2}
    (home / "config.py").write_text("\n".join(lines))
    expected = picasso.explain(load_configured(settings), "7.png", "Means", plugin_dirs=[home / "plugins"])
    assert len(expected[0].predictions) == 2
    both(settings, spec, expected, full_paths=True)
    assert "MAX_IMAGES" not in command
    # A built-in visualization needs no folder of plugins.
    assert "PLUGIN_DIRS" not in as_command(settings, spec_of(), Registry(settings.plugin_dirs()))


def test_settings_files_that_load_model_would_take_for_models(home: Path, linear: LinearModel) -> None:
    (home / "config.py").rename(home / "settings.conf")
    settings = config.load("settings.conf", {"TOP_CLASSES": 3})
    spec = spec_of()
    python = as_python(settings, spec, Registry())
    expected = picasso.explain(load_configured(settings), "7.png", Window=0.2, Strides=5)
    same(by_python(python), expected)


@pytest.mark.parametrize("arguments", [{"path": "x"}, {"not a name": 1}, {"class": 1}, {"labels": 1}])
def test_arguments_that_load_model_can_not_be_told(arguments: dict[str, Any], home: Path) -> None:
    settings = config.build({}, None, {"MODEL": "m.onnx", "MODEL_LOAD_ARGS": arguments})
    python = as_python(settings, spec_of(), Registry())
    assert "load_configured(Settings(" in python
    ast.parse(python)


# ---- a server that others can reach ---------------------------------------------------------------------------------


def test_folders_of_the_server_stay_there(home: Path) -> None:
    secret = home / "secret"
    secret.mkdir()
    (secret / "weights.h5").touch()
    overrides = {
        "MODEL": f"{secret}/model.json",
        "MODEL_LOAD_ARGS": {
            "weights": f"{secret}/weights.h5",
            "data_dir": "../secret/data",
            "more": [{"deep": str(secret)}, "../secret/x", "~/secret/y", "C:\\secret\\z", "secret/weights.h5"],
            "tf_input_var": "scope/pictures:0",
        },
        "LABELS": f"{secret}/names.txt",
        "PREPROCESS": f"{secret}/code.py:prepare",
        "COMPARE": {"other": {"MODEL": f"{secret}/other.keras", "LABELS": "../secret/l.txt"}},
        "PLUGIN_DIRS": [f"{home}/plugins"],
    }
    for file in (None, "config.py"):
        settings = config.load(file, overrides) if file else config.build({}, None, overrides)
        registry = Registry(settings.plugin_dirs())
        for name, models in (("Means", []), ("PartialOcclusion", ["other"])):
            spec = spec_of(visualization=name, settings={}, models=models)
            for text in (as_command(settings, spec, registry), as_python(settings, spec, registry)):
                assert "secret/" not in text.replace("secret\\z", "")
                assert str(home) not in text
                assert "scope/pictures:0" in text
                assert "code.py:prepare" in text
                assert "/secret/x" not in text  # where an image is stored


# ---- how it is written ----------------------------------------------------------------------------------------------

printable = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
# What str.isprintable() accepts, character by character, so that hardly a name is thrown away.
visible = st.characters(
    codec="utf-8", exclude_categories=("C", "Zl", "Zp", "Zs"), include_characters=" ", exclude_characters="/"
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_python_source_means_the_value(value: Any) -> None:
    text = literal(value)
    assert eval(text, {}) == value  # noqa: S307
    assert "\n" not in text
    text.encode()


@given(st.lists(st.text(max_size=30), max_size=8), st.integers(0, 12))
def test_brackets_hold_their_parts(parts: list[str], indent: int) -> None:
    text = bracketed("[", [literal(part) for part in parts], "]", indent)
    assert eval(text, {}) == parts  # noqa: S307
    if "\n" not in text:
        assert len(text) + indent <= 88


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["class", "None", "ok", "µ", "ﬁ"]), values, max_size=4))
def test_keyword_arguments_arrive(arguments: dict[str, Any]) -> None:
    assert eval(f"dict({', '.join(keywords(arguments))})", {}) == arguments  # noqa: S307
    assert not is_name("ﬁ")  # would arrive as "fi"


@given(
    st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(["2020-13-45", "1e5", "null"])
    | st.integers() | st.booleans() | st.floats(allow_nan=False) | st.none()
    | st.lists(st.integers(), max_size=3) | st.dictionaries(st.sampled_from(["a:0", "b"]), st.floats(0, 1), max_size=2)
)  # fmt: skip
def test_yaml_means_the_value(value: Any) -> None:
    assert yaml.safe_load(as_yaml(value)) == value
    assert type(yaml.safe_load(as_yaml(value))) is type(value)


# A shell may have to wait for its turn.
@settings(deadline=None)
@given(st.lists(st.lists(printable, min_size=1, max_size=3), min_size=1, max_size=12))
def test_a_shell_finds_the_words_again(groups: list[list[str]]) -> None:
    assert shell_words(wrapped([["picasso"], *groups])) == [word for group in groups for word in group]


def test_long_commands_are_broken_between_options() -> None:
    text = wrapped([["picasso", "explain"], *(option("--set", f"Name{index}=0.25") for index in range(12))])
    lines = text.split(" \\\n")
    assert len(lines) > 1
    assert all(len(line) <= 88 for line in text.splitlines())
    assert all(line.startswith("    --set") for line in lines[1:])


@given(st.lists(printable | st.sampled_from(["1", "0", " x", "x", "a\nb", ""]), min_size=1, max_size=6))
def test_classes_are_named_so_that_they_are_found(names: list[str]) -> None:
    from picasso.targets.class_names import numbers

    for index in range(len(names)):
        assert numbers(names, [by_name(index, names)]) == [index]
    assert by_name(len(names), names) == len(names)


@settings(deadline=None)
@given(
    st.lists(st.text(visible, min_size=1, max_size=20).filter(str.isprintable), min_size=1, max_size=4),
    st.lists(printable, min_size=7, max_size=7, unique=True),
)
def test_any_name_is_one_word_of_the_recipes(images: list[str], names: list[str]) -> None:
    stored = [StoredImage(uid=0, name=name, filename="", path="") for name in images]
    spec = Spec("ClassProbabilities", {}, stored, 4, {}, 0.0, targets=[0, 3])
    settings = config.build({}, None, {})
    words = shell_words(as_command(settings, spec, Registry(), names=names))
    chosen = main.commands["explain"].make_context("explain", words[1:]).params
    assert [str(file) for file in chosen["images"]] == [str(Path(name)) for name in images]
    assert list(chosen["targets"]) == [str(by_name(index, names)) for index in (0, 3)]
    tree = ast.parse(as_python(settings, spec, Registry(), names=names))
    call = tree.body[-1].value  # type: ignore[attr-defined]
    assert ast.literal_eval(call.args[1]) == images
    assert json.dumps(ast.literal_eval(call.keywords[0].value)) == json.dumps([by_name(i, names) for i in (0, 3)])
