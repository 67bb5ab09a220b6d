"""Every setting once: its key, type, default and help; reading, checking and documenting settings files."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import itertools
import json
import os
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml

from picasso.errors import ConfigurationError, reason

ENVIRONMENT_VARIABLE = "PICASSO_SETTINGS"
PASSWORD_VARIABLE = "PICASSO_PASSWORD"  # noqa: S105 - the name of a variable
PACKAGE = Path(__file__).parent
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def setting(
    default: Any,
    help: str,  # noqa: A002 - for readers
    maximum: int | None = None,
    minimum: int = 1,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a setting: its default, the sentence that documents it, a number's bounds, a text's allowed values."""
    make = {"default_factory": lambda: copy.copy(default)} if isinstance(default, list | dict) else {"default": default}
    return field(metadata={"help": help, "maximum": maximum, "minimum": minimum, "choices": choices}, **make)


@dataclass(frozen=True)
class Settings:
    """The checked settings of one server; the names are those of the settings file.

    ``{picasso}`` in a path stands for the folder that Picasso is installed in. Other relative paths are
    relative to the settings file, or to the current folder where there is none.
    """

    APP_TITLE: str = setting("Picasso", "The title at the top of every page.")
    HOST: str = setting("127.0.0.1", "The address to listen on; anything but loopback is reachable by others.")
    PORT: int = setting(5000, "The port to listen on.", maximum=65535)
    PASSWORD: str = setting(
        "", "What visitors must type; needed to listen on anything but loopback. $PICASSO_PASSWORD is taken first."
    )
    PASSWORD_FILE: str = setting("", "A file that holds the password, such as a secret of Docker; it wins over both.")
    OPEN: bool = setting(False, "Whether others may be served without a password.")
    TRUSTED_HOSTS: list[str] = setting([], "Host names under which the server is reached, besides this machine's own.")
    PROXIES: int = setting(
        0, "How many proxies stand before the server; of so many, the forwarded headers are believed.", minimum=0
    )
    PROXY_HEADERS: str = setting(
        "X-Forwarded",
        'Which headers those proxies set: "X-Forwarded" (-For, -Proto, -Host, -Port) or "Forwarded" (RFC 7239).',
        choices=("X-Forwarded", "Forwarded"),
    )
    PREFIX: str = setting(
        "", 'The path under which visitors reach the server, such as "/picasso"; "" takes what a proxy says.'
    )
    THREADS: int = setting(
        8, "How many requests are answered at once; at most half of them may wait for the model.", maximum=64, minimum=2
    )
    LOG_REQUESTS: bool = setting(False, "Whether each request is written to the log as a line of JSON.")
    MODEL: str = setting("", 'A model file to load; "" uses the class that the next three settings name.')
    MODEL_CLS_PATH: str = setting(
        "{picasso}/examples/keras/model.py",
        'The Python file that holds your model class; "" takes the class of an installed package.',
    )
    MODEL_CLS_NAME: str = setting("KerasMNISTModel", "The name of the model class in that file.")
    MODEL_LOAD_ARGS: dict[str, Any] = setting(
        {"data_dir": "{picasso}/examples/keras/data"}, "The keyword arguments of the class's load() method."
    )
    LABELS: str = setting("", "A file with the class names: .txt, .json, .yaml or .csv.")
    PREPROCESS: str = setting("", 'How images become inputs, such as "-1..1 crop", or "module:function".')
    OUTPUT: str = setting(
        "", 'What the values of the model\'s output are, such as "logits" or "sigmoid"; "" finds it out.'
    )
    TRUST_MODEL: bool = setting(False, "Whether code inside the model file (Lambda layers, file operations) may run.")
    MODEL_MB: int = setting(4_000, "Megabytes that the tensors of a model file may take, unpacked.")
    COMPARE: dict[str, Any] = setting(
        {}, "Models to compare with: a name for each, and those of the settings above that differ."
    )
    SAMPLES_DIR: str = setting(
        "{picasso}/examples/samples/mnist",
        'A folder of images to offer as samples, at any depth; "" offers none.',
    )
    PLUGIN_DIRS: list[str] = setting([], "Folders with visualizations of your own and their templates.")
    INTERVENTIONS: list[str] = setting([], "Python files with interventions of your own, which audits try, too.")
    TOP_CLASSES: int = setting(5, "How many of the most probable classes are shown and explained.")
    OCCLUSION_MB: int = setting(
        300, "Megabytes that the windows of an occlusion map may take at once; larger is not faster."
    )
    MAX_UPLOAD_MB: int = setting(64, "The largest upload request, in megabytes.")
    MAX_MEGAPIXELS: int = setting(50, "The largest image, in millions of pixels.")
    DECODE_PROCESSES: int = setting(2, "How many uploaded images are decoded at once.", maximum=64)
    DECODE_MB: int = setting(600, "Megabytes that decoding them may take together, and so the most for one of them.")
    DECODE_SECONDS: int = setting(10, "Seconds of a processor that decoding an uploaded image may take.")
    MAX_IMAGES: int = setting(500, "How many images a session may hold.")
    MAX_SESSIONS: int = setting(100, "How many sessions the server may hold.")
    SESSION_MB: int = setting(2_000, "Megabytes that the images and results of a session may take.")
    TOTAL_MB: int = setting(20_000, "Megabytes that those of all sessions may take.")
    SESSION_MINUTES: int = setting(120, "Minutes without a request after which a session's files are deleted.")
    QUEUE_LENGTH: int = setting(20, "How many runs and audits may wait or compute at once.")
    RUN_MINUTES: int = setting(
        120, "Minutes that a run or an audit may compute; then it fails, and the worker starts anew."
    )
    STALL_MINUTES: int = setting(
        10, "Minutes that a run may compute without coming any further; then it fails, and the worker starts anew."
    )
    WORK_DIR: str = setting("", 'The folder for temporary session folders; "" uses the system\'s.')

    # Where the settings came from, so that the worker process can read the same ones again.
    source: Path | None = field(default=None, metadata={"internal": True})
    overrides: dict[str, Any] = field(default_factory=dict, metadata={"internal": True})
    # By which way the model is named, so that messages say what to write there; see picasso.remedies.
    door: str = field(default="settings", metadata={"internal": True})

    def password(self) -> str:
        """Return what visitors must type, or ""; what need not be in the settings file wins.

        Raises:
            ConfigurationError: ``PASSWORD_FILE`` can't be read, or does not hold one line.
        """
        if self.PASSWORD_FILE:
            return read_password(self.path(self.PASSWORD_FILE))
        return os.environ.get(PASSWORD_VARIABLE, self.PASSWORD)

    def asks_for_password(self) -> bool:
        """Tell whether visitors must type a password."""
        return bool(self.PASSWORD_FILE or os.environ.get(PASSWORD_VARIABLE, self.PASSWORD))

    def exposed_password_file(self) -> Path | None:
        """Return the password file if all users of this machine may read it; one of Docker is in a container."""
        path = self.path(self.PASSWORD_FILE) if self.PASSWORD_FILE else None
        exposed = path and path.stat().st_mode & 0o007 and not path.is_relative_to("/run/secrets")
        return path if exposed else None

    def path(self, text: str) -> Path:
        """Resolve a path setting as the class docstring says."""
        folder = self.source.parent if self.source else Path.cwd()
        return (folder / text.replace("{picasso}", str(PACKAGE))).resolve()

    def model_load_args(self) -> dict[str, Any]:
        """Return ``MODEL_LOAD_ARGS`` with its paths resolved; the bundled model's are not for a ``MODEL``."""
        if self.MODEL and DEFAULTS["MODEL_LOAD_ARGS"] == self.MODEL_LOAD_ARGS:
            return {}
        return {
            key: str(self.path(value)) if key in ("data_dir", "path") and isinstance(value, str) else value
            for key, value in self.MODEL_LOAD_ARGS.items()
        }

    def model_name(self) -> str:
        """Return what the model is called before it is loaded: its file or folder, or else its class."""
        if not self.MODEL:
            return self.MODEL_CLS_NAME
        path = Path(self.MODEL)
        path = path.parent if path.name == "saved_model.pb" else path
        # The number of a version says nothing without the folder that it lies in.
        return f"{path.parent.name}/{path.name}" if path.name.isdecimal() and path.parent.name else path.name

    def compared(self, name: str) -> Settings:
        """Return these settings for one of the models of ``COMPARE``, or for the model itself: ``""``."""
        return dataclasses.replace(self, **self.COMPARE[name], door="settings") if name else self

    def plugin_dirs(self) -> list[Path]:
        """Return ``PLUGIN_DIRS``, resolved."""
        return [self.path(folder) for folder in self.PLUGIN_DIRS]

    def intervention_files(self) -> list[Path]:
        """Return ``INTERVENTIONS``, resolved."""
        return [self.path(file) for file in self.INTERVENTIONS]

    def samples_dir(self) -> Path | None:
        """Return the folder of samples, or None; the bundled digits are not for a ``MODEL`` of somebody's own."""
        bundled = DEFAULTS["SAMPLES_DIR"] == self.SAMPLES_DIR
        return None if not self.SAMPLES_DIR or (self.MODEL and bundled) else self.path(self.SAMPLES_DIR)

    def sample_files(self, most: int = 60) -> dict[str, Path]:
        """Return the sample images by their paths within the folder, at most ``most``, evenly spread."""
        folder = self.samples_dir()
        if not folder:
            return {}
        if not folder.is_dir():
            raise ConfigurationError(f"There is no folder of samples {folder}.", field="SAMPLES_DIR")
        images = (file for file in folder.rglob("*") if file.suffix.lower() in IMAGES)
        # A folder may hold a whole data set.
        found = sorted(itertools.islice(images, 10_000))
        chosen = found if len(found) <= most else [found[index * len(found) // most] for index in range(most)]
        return {file.relative_to(folder).as_posix(): file for file in chosen}

    def describe_source(self) -> str:
        """Say in a few words which settings are in force."""
        return f"settings from {self.source}" if self.source else "default settings"


FIELDS = {f.name: f for f in dataclasses.fields(Settings) if "internal" not in f.metadata}
DEFAULTS = {name: getattr(Settings(), name) for name in FIELDS}

# What may differ for a model to compare with.
MODEL_SETTINGS = (
    "MODEL", "MODEL_CLS_PATH", "MODEL_CLS_NAME", "MODEL_LOAD_ARGS", "LABELS", "PREPROCESS", "OUTPUT", "TRUST_MODEL",
)  # fmt: skip

# What replaced the keys of the original's two generations of settings files.
REPLACED = {
    "BACKEND_ML": "derive a class from picasso.models.keras.KerasModel or picasso.models.tensorflow.TFModel "
    "and name it in MODEL_CLS_PATH and MODEL_CLS_NAME",
    "BACKEND_PREPROCESSOR_NAME": "override preprocess() in the class that MODEL_CLS_NAME names",
    "BACKEND_PREPROCESSOR_PATH": "override preprocess() in the class that MODEL_CLS_NAME names",
    "BACKEND_POSTPROCESSOR_NAME": "override decode_prob() in the class that MODEL_CLS_NAME names",
    "BACKEND_POSTPROCESSOR_PATH": "override decode_prob() in the class that MODEL_CLS_NAME names",
    "BACKEND_PROB_DECODER_NAME": "override decode_prob() in the class that MODEL_CLS_NAME names",
    "BACKEND_PROB_DECODER_PATH": "override decode_prob() in the class that MODEL_CLS_NAME names",
    "BACKEND_TF_INPUT_VAR": 'write MODEL_LOAD_ARGS = {"data_dir": ..., "tf_input_var": ..., "tf_predict_var": ...}',
    "BACKEND_TF_PREDICT_VAR": 'write MODEL_LOAD_ARGS = {"data_dir": ..., "tf_input_var": ..., "tf_predict_var": ...}',
    "DATA_DIR": 'write MODEL_LOAD_ARGS = {"data_dir": ...}',
    "MAX_CONTENT_LENGTH": "write MAX_UPLOAD_MB, in megabytes",
}


def installed(group: str) -> list[tuple[str, Callable[[], Any]]]:
    """Return the plugins that installed packages offer: their names, and what imports each.

    Args:
        group: of entry points: ``"picasso.visualizations"``, ``"picasso.interventions"`` or ``"picasso.models"``.
    """
    # Only commands that look for plugins need it.
    from importlib.metadata import entry_points

    return sorted(((one.name, one.load) for one in entry_points(group=group)), key=itemgetter(0))


def load(
    file: str | Path | None = None, overrides: Mapping[str, Any] | None = None, door: str = "settings"
) -> Settings:
    """Return the settings of ``file``, else of ``$PICASSO_SETTINGS``, else of ``./config.py``, else the defaults.

    Args:
        file: a Python file with UPPERCASE names, or a ``.yaml``/``.yml`` file with the same keys.
        overrides: values that win over those of the file (command line options, tests).
        door: "command line" where an option names the model.

    Raises:
        ConfigurationError: the file is missing or broken, a key is unknown, or a value has the wrong type.
    """
    named = file or os.environ.get(ENVIRONMENT_VARIABLE)
    path = Path(named) if named else Path("config.py")
    if not path.is_file():
        if named:
            raise ConfigurationError(
                f"There is no settings file {path}; name one with --config or {ENVIRONMENT_VARIABLE}."
            )
        return build({}, None, overrides, door)
    path = path.resolve()
    return build(read(path), path, overrides, door)


def read_password(path: Path) -> str:
    """Return the line that a password file holds, without the end of the line.

    Raises:
        ConfigurationError: it can't be read, or does not hold one line.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ConfigurationError(
            f"The password file {path} can't be read: {error.strerror}; PASSWORD_FILE or --password-file names it.",
            field="PASSWORD_FILE",
        ) from error
    except UnicodeDecodeError:
        text = ""
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or set(password) & set("\n\r\0"):
        raise ConfigurationError(
            f"The password file {path} must hold one line of text, the password.", field="PASSWORD_FILE"
        )
    return password


def read(path: Path) -> dict[str, Any]:
    """Return the keys and values that a settings file holds, unchecked."""
    try:
        if path.suffix in (".yaml", ".yml"):
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            if not isinstance(values, dict):
                raise ValueError("it does not hold a mapping of settings")
            return {str(key): value for key, value in values.items()}
        return {key: value for key, value in runpy.run_path(str(path)).items() if key.isupper() and key[0] != "_"}
    except Exception as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigurationError(f"The settings file {path} can't be read{line}: {reason(error)}.") from error


def build(
    values: Mapping[str, Any],
    source: Path | None,
    overrides: Mapping[str, Any] | None = None,
    door: str = "settings",
) -> Settings:
    """Check ``values`` and return them as settings.

    Raises:
        ConfigurationError: names the key, what was wrong with it and what to write instead.
    """
    where = f" in {source}" if source else ""
    merged = {**values, **(overrides or {})}
    for key, value in merged.items():
        check(key, value, where)
    for name, differences in merged.get("COMPARE", {}).items():
        check_compared(name, differences, where)
    return Settings(**merged, source=source, overrides=dict(overrides or {}), door=door)


def check(key: str, value: Any, where: str) -> None:
    """Raise a ConfigurationError unless ``key`` is a setting and ``value`` is of its type."""
    if key in REPLACED:
        raise ConfigurationError(
            f"The setting {key}{where} is from an earlier Picasso: now {REPLACED[key]}.", field=key
        )
    if key not in DEFAULTS:
        near = difflib.get_close_matches(key, DEFAULTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(DEFAULTS)}."
        raise ConfigurationError(f"Unknown setting {key}{where}: {hint}", field=key)
    expected = type(DEFAULTS[key])
    if type(value) is not expected:
        raise ConfigurationError(
            f"The setting {key}{where} must be of type {expected.__name__}, like {DEFAULTS[key]!r}, but is {value!r}.",
            field=key,
        )
    minimum, maximum = (FIELDS[key].metadata[bound] for bound in ("minimum", "maximum"))
    if expected is int and (value < minimum or (maximum and value > maximum)):
        allowed = f"from {minimum} to {maximum}" if maximum else f"{minimum} or more"
        raise ConfigurationError(f"The setting {key}{where} must be {allowed}, but is {value}.", field=key)
    choices = FIELDS[key].metadata["choices"]
    if choices and value not in choices:
        allowed = " or ".join(format_value(choice) for choice in choices)
        raise ConfigurationError(f"The setting {key}{where} must be {allowed}, but is {value!r}.", field=key)


def check_compared(name: object, differences: object, where: str) -> None:
    """Raise a ConfigurationError unless an entry of ``COMPARE`` is a name and settings of a model."""
    if not (isinstance(name, str) and name and isinstance(differences, dict)):
        raise ConfigurationError(
            f'COMPARE{where} holds a name and settings for each model, such as {{"epoch 1": {{"MODEL": "1.keras"}}}}, '
            f"but has {name!r}: {differences!r}.",
            field="COMPARE",
        )
    for key, value in differences.items():
        if key not in MODEL_SETTINGS:
            allowed = ", ".join(MODEL_SETTINGS)
            raise ConfigurationError(
                f"COMPARE{where} can't change {key} for {name}; it can change {allowed}.", field="COMPARE"
            )
        check(key, value, where)


def as_python() -> str:
    """Return a settings file that shows every key with its default and its help."""
    blocks = [f"# {f.metadata['help']}\n{name} = {format_value(DEFAULTS[name])}\n" for name, f in FIELDS.items()]
    return "\n".join(blocks)


def format_value(value: Any) -> str:
    """Write a default as Python source with double quotes, as the rest of the file is."""
    return str(value) if isinstance(value, int | bool) else json.dumps(value)
