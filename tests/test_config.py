"""Settings: where they come from, what is refused, and that the bundled file tells the truth."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from picasso import config
from picasso.errors import ConfigurationError

ROOT = Path(__file__).parent.parent


def test_the_bundled_file_shows_every_key_with_its_default() -> None:
    text = (ROOT / "config.py").read_text(encoding="utf-8")
    assert config.as_python() in text
    values = {key: value for key, value in runpy.run_path(str(ROOT / "config.py")).items() if key.isupper()}
    assert values == config.DEFAULTS


def test_named_file_wins_over_environment_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config.py", "environment.py", "named.yaml"):
        sep = ": " if name.endswith("yaml") else " = "
        (tmp_path / name).write_text(f'APP_TITLE{sep}"{name}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(config.ENVIRONMENT_VARIABLE, raising=False)
    assert config.load().APP_TITLE == "config.py"
    monkeypatch.setenv(config.ENVIRONMENT_VARIABLE, "environment.py")
    assert config.load().APP_TITLE == "environment.py"
    settings = config.load("named.yaml", {"PORT": 81})
    assert (settings.APP_TITLE, settings.PORT) == ("named.yaml", 81)
    assert settings.source == tmp_path / "named.yaml"
    assert str(tmp_path) in settings.describe_source()


def test_defaults_without_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(config.ENVIRONMENT_VARIABLE, raising=False)
    assert config.load() == config.Settings()


def test_paths_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    lines = [
        "import os",
        "_HELPER = 1",
        'MODEL_CLS_PATH = "sub/model.py"',
        'MODEL_LOAD_ARGS = {"data_dir": "data", "n": "x"}',
    ]
    file.write_text("\n".join(lines))
    settings = config.load(file)
    assert settings.path(settings.MODEL_CLS_PATH) == tmp_path / "sub" / "model.py"
    assert settings.model_load_args() == {"data_dir": str(tmp_path / "data"), "n": "x"}
    assert settings.path("{picasso}/cli.py") == config.PACKAGE / "cli.py"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PROT = 5000", "Unknown setting PROT .*did you mean PORT"),
        ("ZZZ = 5000", "Unknown setting ZZZ .*the settings are APP_TITLE, HOST"),
        ('PORT = "5000"', "PORT .*of type int, like 5000, but is '5000'"),
        ("PORT = True", "PORT .*of type int"),
        ("PORT = 0", "PORT .*from 1 to 65535"),
        ("PORT = 70000", "PORT .*from 1 to 65535, but is 70000"),
        ("TOP_CLASSES = 0", "TOP_CLASSES .*1 or more"),
        ('PLUGIN_DIRS = "plugins"', "PLUGIN_DIRS .*of type list"),
        ('BACKEND_ML = "keras"', "BACKEND_ML .*earlier version of Picasso.*KerasModel"),
        ('DATA_DIR = "x"', "DATA_DIR .*MODEL_LOAD_ARGS"),
        ("APP_TITLE = ", "can't be read, line 1"),
        ("1 / 0", "can't be read: ZeroDivisionError: division by zero"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "config.py"
    file.write_text(text + "\n")
    with pytest.raises(ConfigurationError, match=expected) as caught:
        config.load(file)
    assert str(file) in caught.value.message
    assert "\n" not in caught.value.message


def test_every_replaced_key_says_what_to_write(tmp_path: Path) -> None:
    for key in config.REPLACED:
        with pytest.raises(ConfigurationError, match=f"{key}.* now (derive|override|write) "):
            config.build({key: "x"}, tmp_path / "config.py")


def test_missing_and_malformed_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="The settings file .* does not exist"):
        config.load(tmp_path / "nowhere.py")
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    with pytest.raises(ConfigurationError, match="does not contain a mapping"):
        config.load(tmp_path / "list.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigurationError, match="can't be read"):
        config.load(tmp_path / "bad.yaml")
    (tmp_path / "empty.yaml").write_text("")
    assert config.load(tmp_path / "empty.yaml").PORT == 5000


def test_mutable_defaults_are_not_shared() -> None:
    config.Settings().PLUGIN_DIRS.append("x")
    assert config.Settings().PLUGIN_DIRS == []


@pytest.mark.parametrize(
    ("compared", "expected"),
    [
        ({"": {}}, "COMPARE in .* must map names to model settings, such as .* but contains '': {}"),
        ({1: {}}, "COMPARE .* but contains 1: {}"),
        ({"a": "1.keras"}, "COMPARE .* but contains 'a': '1.keras'"),
        ({"a": {"PORT": 5001}}, "COMPARE .* can't change PORT for a; it can change MODEL, MODEL_CLS_PATH"),
        ({"a": {"COMPARE": {}}}, "COMPARE .* can't change COMPARE for a"),
        ({"a": {"MODL": "x"}}, "COMPARE .* can't change MODL for a"),
        ({"a": {"MODEL": 3}}, "MODEL .*must be of type str, like '', but is 3"),
        (["a.keras"], "COMPARE .*must be of type dict"),
    ],
)
def test_models_to_compare_with_are_checked(tmp_path: Path, compared: object, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected) as caught:
        config.build({"COMPARE": compared}, tmp_path / "config.py")
    assert "\n" not in caught.value.message


def test_a_model_to_compare_with_differs_in_what_its_entry_says(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(
        "MODEL: epoch-20.keras\nLABELS: names.txt\nPREPROCESS: torch\nCOMPARE:\n"
        "  epoch 1: {MODEL: epoch-1.keras}\n  other: {MODEL: b.onnx, PREPROCESS: -1..1, LABELS: ''}\n"
    )
    settings = config.load(file, {"TOP_CLASSES": 3})
    assert list(settings.COMPARE) == ["epoch 1", "other"]
    assert settings.compared("") is settings
    one, other = settings.compared("epoch 1"), settings.compared("other")
    assert (one.MODEL, one.LABELS, one.PREPROCESS, one.TOP_CLASSES) == ("epoch-1.keras", "names.txt", "torch", 3)
    assert (other.MODEL, other.LABELS, other.PREPROCESS) == ("b.onnx", "", "-1..1")
    assert one.path(one.MODEL) == tmp_path / "epoch-1.keras", "paths are relative to the same file"
    # What was said on the command line for the model itself does not replace that of another one.
    chosen = config.load(file, {"MODEL": "/mine.keras"})
    assert (chosen.MODEL, chosen.compared("epoch 1").MODEL) == ("/mine.keras", "epoch-1.keras")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("", "KerasMNISTModel"),
        ("/models/flowers.keras", "flowers.keras"),
        ("exported/flowers", "flowers"),
        ("exported/flowers/saved_model.pb", "flowers"),
        ("exported/flowers/2", "flowers/2"),
        ("exported/flowers/2/saved_model.pb", "flowers/2"),
    ],
)
def test_what_a_model_is_called_before_it_is_loaded(model: str, name: str) -> None:
    assert config.build({"MODEL": model}, None).model_name() == name


def test_an_error_names_where_the_value_is_from(tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text("PORT = 0\n")
    with pytest.raises(ConfigurationError, match=r"PORT in .*settings.py must be from 1 to 65535, but is 0"):
        config.load(file)
    file.write_text("")
    with pytest.raises(ConfigurationError, match="The setting PORT must be from 1 to 65535, but is 0"):
        config.load(file, {"PORT": 0})
