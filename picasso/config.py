"""The settings: keys, types, defaults and help texts; reading, validating and documenting settings files."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import itertools
import json
import os
import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from picasso.errors import ConfigurationError, reason

ENVIRONMENT_VARIABLE = "PICASSO_SETTINGS"
PASSWORD_VARIABLE = "PICASSO_PASSWORD"  # noqa: S105 - the name of a variable
PACKAGE = Path(__file__).parent
# The engines: one process, several processes of this machine, or a Dask cluster, with or without TLS.
ENGINE = re.compile(r"local|processes:[1-9]\d?|dask(\+tls)?://[^\s/]+:\d{1,5}|folder:.+")
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def setting(
    default: Any,
    help: str,  # noqa: A002 - for readers
    maximum: int | None = None,
    minimum: int = 1,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a setting: its default, its help text, the bounds of a number, the allowed values of a text."""
    make = {"default_factory": lambda: copy.copy(default)} if isinstance(default, list | dict) else {"default": default}
    return field(metadata={"help": help, "maximum": maximum, "minimum": minimum, "choices": choices}, **make)


@dataclass(frozen=True)
class Settings:
    """The validated settings of one server; the names are those in the settings file.

    ``{picasso}`` in a path stands for the folder in which Picasso is installed. Other relative paths are
    relative to the settings file, or to the current folder if there is none.
    """

    APP_TITLE: str = setting("Picasso", "Title at the top of every page.")
    HOST: str = setting(
        "127.0.0.1", "Address to listen on. Any address except loopback can be reached from other machines."
    )
    PORT: int = setting(5000, "Port to listen on.", maximum=65535)
    PASSWORD: str = setting(
        "", "Password for visitors; required for addresses other than loopback. $PICASSO_PASSWORD takes precedence."
    )
    PASSWORD_FILE: str = setting("", "File with the password, such as a Docker secret. Takes precedence over both.")
    OPEN: bool = setting(False, "Allow addresses other than loopback without a password.")
    TRUSTED_HOSTS: list[str] = setting([], "Host names of the server, in addition to those of this machine.")
    PROXIES: int = setting(
        0, "Number of reverse proxies in front of the server. Forwarded headers of that many are trusted.", minimum=0
    )
    PROXY_HEADERS: str = setting(
        "X-Forwarded",
        'Headers that the proxies set: "X-Forwarded" (-For, -Proto, -Host, -Port) or "Forwarded" (RFC 7239).',
        choices=("X-Forwarded", "Forwarded"),
    )
    PREFIX: str = setting(
        "", 'URL path prefix of the server, such as "/picasso". "" uses the prefix that a proxy sends.'
    )
    THREADS: int = setting(
        8,
        "Number of requests answered in parallel. At most half of them may wait for the model.",
        maximum=64,
        minimum=2,
    )
    LOG_REQUESTS: bool = setting(False, "Log each request as a line of JSON.")
    METRICS: bool = setting(False, "Answer at /metrics with numbers for Prometheus.")
    MODEL: str = setting("", 'Model file to load. "" uses the model class that the next three settings define.')
    MODEL_CLS_PATH: str = setting(
        "{picasso}/examples/keras/model.py",
        'Python file with your model class. "" uses the class of an installed package.',
    )
    MODEL_CLS_NAME: str = setting("KerasMNISTModel", "Name of the model class in that file.")
    MODEL_LOAD_ARGS: dict[str, Any] = setting(
        {"data_dir": "{picasso}/examples/keras/data"}, "Keyword arguments for the load() method of the class."
    )
    LABELS: str = setting("", "File with the class names: .txt, .json, .yaml or .csv.")
    PREPROCESS: str = setting("", 'Preprocessing of images, such as "-1..1 crop", or "module:function".')
    TASK: str = setting("", 'What the model was trained to do, such as "segmentation" or "regression". "" detects it.')
    UNIT: str = setting("", 'Unit of the values of a regression, such as "years".')
    OUTPUT: str = setting("", 'Kind of output of the model, such as "logits" or "sigmoid". "" detects it.')
    TRUST_MODEL: bool = setting(False, "Allow code in the model file (Lambda layers, file operations) to run.")
    MODEL_MB: int = setting(4_000, "Maximum size of the unpacked tensors of a model file, in megabytes.")
    COMPARE: dict[str, Any] = setting({}, "Models to compare with: for each a name and the model settings that differ.")
    SAMPLES_DIR: str = setting(
        "{picasso}/examples/samples/mnist",
        'Folder of sample images, searched recursively. "" offers no samples.',
    )
    PLUGIN_DIRS: list[str] = setting([], "Folders with custom visualizations and their templates.")
    INTERVENTIONS: list[str] = setting([], "Python files with custom interventions for audits.")
    MENDING: bool = setting(False, "Let visitors mend the model by an audit and download the mended copy.")
    TOP_CLASSES: int = setting(5, "Number of most probable classes to show and explain.")
    OCCLUSION_MB: int = setting(
        300, "Memory for the windows of an occlusion map, in megabytes. Higher values are not faster."
    )
    PRECISION: str = setting(
        "exact",
        'Arithmetic of predictions: "exact", or "fast" for bfloat16 if it is accurate enough.',
        choices=("exact", "fast"),
    )
    PRECISION_LIMIT: float = setting(
        0.01,
        "Maximum difference of a probability by fast arithmetic; of other outputs, relative to the largest.",
        maximum=1,
        minimum=0,
    )
    MAX_UPLOAD_MB: int = setting(64, "Maximum size of an upload request, in megabytes.")
    MAX_MEGAPIXELS: int = setting(50, "Maximum size of an image, in megapixels.")
    DECODE_PROCESSES: int = setting(2, "Number of uploaded images decoded in parallel.", maximum=64)
    DECODE_MB: int = setting(600, "Memory for all images being decoded, in megabytes; also the maximum for one image.")
    DECODE_SECONDS: int = setting(10, "CPU time for decoding an uploaded image, in seconds.")
    MAX_IMAGES: int = setting(5000, "Maximum number of images in a session.")
    MAX_SESSIONS: int = setting(100, "Maximum number of sessions on the server.")
    SESSION_MB: int = setting(2_000, "Maximum size of the images and results of a session, in megabytes.")
    TOTAL_MB: int = setting(20_000, "Maximum size of the images and results of all sessions, in megabytes.")
    CACHE_MB: int = setting(
        1_000,
        "Maximum size of the results that are reused for the same image and settings, in megabytes. 0 reuses none.",
        minimum=0,
    )
    SESSION_MINUTES: int = setting(120, "Minutes without a request after which the files of a session are deleted.")
    KEEP_SESSIONS: bool = setting(
        False, "Keep sessions until they are deleted or the server ends, and let visitors name, list and open theirs."
    )
    ENGINE: str = setting(
        "local",
        'Where to compute: "local", "processes:N", "dask://HOST:PORT" (or dask+tls), or "folder:PATH".',
    )
    QUEUE_LENGTH: int = setting(20, "Maximum number of waiting and running runs and audits.")
    RUN_MINUTES: int = setting(
        120, "Maximum computing time of a run or an audit, in minutes. Then it fails and the worker restarts."
    )
    STALL_MINUTES: int = setting(
        10, "Maximum computing time of a run without progress, in minutes. Then it fails and the worker restarts."
    )
    WORK_DIR: str = setting("", 'Folder for temporary session folders. "" uses the system\'s.')

    # The origin of the settings, so that the worker process can read them again.
    source: Path | None = field(default=None, metadata={"internal": True})
    overrides: dict[str, Any] = field(default_factory=dict, metadata={"internal": True})
    # How the model was specified, so that messages can suggest the right remedy; see picasso.remedies.
    interface: str = field(default="settings", metadata={"internal": True})

    def password(self) -> str:
        """Return the password for visitors, or "". The file and the environment variable take precedence.

        Raises:
            ConfigurationError: ``PASSWORD_FILE`` can't be read or does not contain exactly one line.
        """
        if self.PASSWORD_FILE:
            return read_password(self.path(self.PASSWORD_FILE))
        return os.environ.get(PASSWORD_VARIABLE, self.PASSWORD)

    def asks_for_password(self) -> bool:
        """Tell whether visitors need a password."""
        return bool(self.PASSWORD_FILE or os.environ.get(PASSWORD_VARIABLE, self.PASSWORD))

    def exposed_password_file(self) -> Path | None:
        """Return the password file if all users of this machine can read it, except for Docker secrets."""
        path = self.path(self.PASSWORD_FILE) if self.PASSWORD_FILE else None
        exposed = path and path.stat().st_mode & 0o007 and not path.is_relative_to("/run/secrets")
        return path if exposed else None

    def path(self, text: str) -> Path:
        """Resolve a path setting as described in the class docstring."""
        folder = self.source.parent if self.source else Path.cwd()
        return (folder / text.replace("{picasso}", str(PACKAGE))).resolve()

    def work_folder(self) -> Path | None:
        """Return the folder for the files of sessions and tasks, or None for that of the system.

        Raises:
            ConfigurationError: workers would not see the sessions, because ``ENGINE`` names another folder.
        """
        work = self.path(self.WORK_DIR) if self.WORK_DIR else None
        kind, _, place = self.ENGINE.partition(":")
        if kind != "folder":
            return work
        shared = self.path(place)
        if work not in (None, shared):
            raise ConfigurationError(
                f"ENGINE keeps sessions and tasks in {shared}, but WORK_DIR is {work}. Leave WORK_DIR empty.",
                field="WORK_DIR",
            )
        return shared

    def model_load_args(self) -> dict[str, Any]:
        """Return ``MODEL_LOAD_ARGS`` with its paths resolved; the default arguments do not apply to a ``MODEL``."""
        if self.MODEL and DEFAULTS["MODEL_LOAD_ARGS"] == self.MODEL_LOAD_ARGS:
            return {}
        return {
            key: str(self.path(value)) if key in ("data_dir", "path") and isinstance(value, str) else value
            for key, value in self.MODEL_LOAD_ARGS.items()
        }

    def model_name(self) -> str:
        """Return the name of the model before it is loaded: its file or folder, or else its class."""
        if not self.MODEL:
            return self.MODEL_CLS_NAME
        path = Path(self.MODEL)
        path = path.parent if path.name == "saved_model.pb" else path
        # A version number needs the name of its parent folder.
        return f"{path.parent.name}/{path.name}" if path.name.isdecimal() and path.parent.name else path.name

    def compared(self, name: str) -> Settings:
        """Return the settings for one of the models of ``COMPARE``, or for the model itself (``""``)."""
        if not name:
            return self
        given = self.overrides.get("COMPARE", {})
        return dataclasses.replace(
            self, **self.COMPARE[name], interface=self.interface if name in given else "settings"
        )

    def comparing(self, models: Mapping[str, Mapping[str, Any]]) -> Settings:
        """Return these settings with further models to compare with, which replace those of the same names."""
        together = {**self.COMPARE, **models}
        return dataclasses.replace(self, COMPARE=together, overrides={**self.overrides, "COMPARE": together})

    def plugin_dirs(self) -> list[Path]:
        """Return ``PLUGIN_DIRS``, resolved."""
        return [self.path(folder) for folder in self.PLUGIN_DIRS]

    def intervention_files(self) -> list[Path]:
        """Return ``INTERVENTIONS``, resolved."""
        return [self.path(file) for file in self.INTERVENTIONS]

    def samples_dir(self) -> Path | None:
        """Return the folder of samples, or None; the bundled digits are not offered for a ``MODEL``."""
        bundled = DEFAULTS["SAMPLES_DIR"] == self.SAMPLES_DIR
        return None if not self.SAMPLES_DIR or (self.MODEL and bundled) else self.path(self.SAMPLES_DIR)

    def sample_files(self, most: int = 60) -> dict[str, Path]:
        """Return the sample images by their relative paths, at most ``most``, evenly spread."""
        folder = self.samples_dir()
        if not folder:
            return {}
        if not folder.is_dir():
            raise ConfigurationError(
                f"The folder of samples {folder} does not exist; set SAMPLES_DIR or --samples to a folder of images.",
                field="SAMPLES_DIR",
            )
        images = (file for file in folder.rglob("*") if file.suffix.lower() in IMAGES)
        # The folder may contain a whole data set.
        found = sorted(itertools.islice(images, 10_000))
        chosen = found if len(found) <= most else [found[index * len(found) // most] for index in range(most)]
        return {file.relative_to(folder).as_posix(): file for file in chosen}

    def describe_source(self) -> str:
        """Return a short description of the settings in use."""
        return f"settings from {self.source}" if self.source else "default settings"


FIELDS = {f.name: f for f in dataclasses.fields(Settings) if "internal" not in f.metadata}
DEFAULTS = {name: getattr(Settings(), name) for name in FIELDS}

# The settings that COMPARE can change.
MODEL_SETTINGS = (
    "MODEL", "MODEL_CLS_PATH", "MODEL_CLS_NAME", "MODEL_LOAD_ARGS", "LABELS", "PREPROCESS", "TASK", "UNIT", "OUTPUT",
    "TRUST_MODEL",
)  # fmt: skip

# The replacements for the keys of both generations of the original's settings files.
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


def load(
    file: str | Path | None = None, overrides: Mapping[str, Any] | None = None, interface: str = "settings"
) -> Settings:
    """Return the settings in ``file``, ``$PICASSO_SETTINGS`` or ``./config.py``, whichever is first, or the defaults.

    Args:
        file: a Python file with UPPERCASE names, or a ``.yaml``/``.yml`` file with the same keys.
        overrides: values that take precedence over those in the file (command line options, tests).
        interface: "command line" if an option specifies the model.

    Raises:
        ConfigurationError: the file is missing or broken, a key is unknown, or a value has the wrong type.
    """
    named = file or os.environ.get(ENVIRONMENT_VARIABLE)
    path = Path(named) if named else Path("config.py")
    if not path.is_file():
        if named:
            raise ConfigurationError(
                f"The settings file {path} does not exist; specify another with --config or {ENVIRONMENT_VARIABLE}."
            )
        return build({}, None, overrides, interface)
    path = path.resolve()
    return build(read(path), path, overrides, interface)


def read_password(path: Path) -> str:
    """Return the line in a password file, without the line ending.

    Raises:
        ConfigurationError: the file can't be read or does not contain exactly one line.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ConfigurationError(
            f"The password file {path} can't be read: {error.strerror}. Check PASSWORD_FILE or --password-file.",
            field="PASSWORD_FILE",
        ) from error
    except UnicodeDecodeError:
        text = ""
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or set(password) & set("\n\r\0"):
        raise ConfigurationError(
            f"The password file {path} must contain exactly one line of text, the password.", field="PASSWORD_FILE"
        )
    return password


def read(path: Path) -> dict[str, Any]:
    """Return the keys and values in a settings file, unvalidated."""
    try:
        if path.suffix in (".yaml", ".yml"):
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            if not isinstance(values, dict):
                raise ValueError("it does not contain a mapping of settings")
            return {str(key): value for key, value in values.items()}
        return {key: value for key, value in runpy.run_path(str(path)).items() if key.isupper() and key[0] != "_"}
    except Exception as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigurationError(f"The settings file {path} can't be read{line}: {reason(error)}.") from error


def build(
    values: Mapping[str, Any],
    source: Path | None,
    overrides: Mapping[str, Any] | None = None,
    interface: str = "settings",
) -> Settings:
    """Validate ``values`` and return them as settings.

    Raises:
        ConfigurationError: with the key, the error and the valid values.
    """
    where = f" in {source}" if source else ""
    own = overrides or {}
    merged = {**values, **own}
    for key, value in merged.items():
        # A wrong option is not blamed on the file.
        check(key, value, "" if key in own else where)
    for name, differences in merged.get("COMPARE", {}).items():
        check_compared(name, differences, where)
    return Settings(**merged, source=source, overrides=dict(overrides or {}), interface=interface)


def check(key: str, value: Any, where: str) -> None:
    """Raise a ConfigurationError unless ``key`` is a setting and ``value`` is of its type."""
    if key in REPLACED:
        raise ConfigurationError(
            f"The setting {key}{where} is from an earlier version of Picasso; now {REPLACED[key]}.", field=key
        )
    if key not in DEFAULTS:
        near = difflib.get_close_matches(key, DEFAULTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(DEFAULTS)}."
        raise ConfigurationError(f"Unknown setting {key}{where}: {hint}", field=key)
    expected = type(DEFAULTS[key])
    if type(value) is not expected and not (expected is float and type(value) is int):
        raise ConfigurationError(
            f"The setting {key}{where} must be of type {expected.__name__}, like {DEFAULTS[key]!r}, but is {value!r}.",
            field=key,
        )
    minimum, maximum = (FIELDS[key].metadata[bound] for bound in ("minimum", "maximum"))
    # NaN is not between any bounds.
    if expected in (int, float) and not (minimum <= value and (not maximum or value <= maximum)):
        allowed = f"from {minimum} to {maximum}" if maximum else f"{minimum} or more"
        raise ConfigurationError(f"The setting {key}{where} must be {allowed}, but is {value}.", field=key)
    choices = FIELDS[key].metadata["choices"]
    if choices and value not in choices:
        allowed = " or ".join(format_value(choice) for choice in choices)
        raise ConfigurationError(f"The setting {key}{where} must be {allowed}, but is {value!r}.", field=key)
    if key == "ENGINE" and not ENGINE.fullmatch(value):
        allowed = '"local", "processes:N" with N from 1 to 99, "dask://HOST:PORT", or "folder:PATH"'
        raise ConfigurationError(f"The setting {key}{where} must be {allowed}, but is {value!r}.", field=key)


def check_compared(name: object, differences: object, where: str) -> None:
    """Raise a ConfigurationError unless an entry of ``COMPARE`` is a name with model settings."""
    if not (isinstance(name, str) and name and isinstance(differences, dict)):
        raise ConfigurationError(
            f'COMPARE{where} must map names to model settings, such as {{"epoch 1": {{"MODEL": "1.keras"}}}}, '
            f"but contains {name!r}: {differences!r}.",
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
    """Return a settings file with the default and the help text of every key."""
    blocks = [f"# {f.metadata['help']}\n{name} = {format_value(DEFAULTS[name])}\n" for name, f in FIELDS.items()]
    return "\n".join(blocks)


def format_value(value: Any) -> str:
    """Format a default as Python source with double quotes."""
    return str(value) if isinstance(value, int | float | bool) else json.dumps(value)
