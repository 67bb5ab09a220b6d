"""What to write where, in the words of whoever loads a model: an option, a setting or an argument in Python.

Messages ask here for their last words. Who loads a model says by which door with :func:`use`.
"""

from __future__ import annotations

import json
import shlex
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

Example = Any


class Door(StrEnum):
    """By which way a model is named."""

    COMMAND_LINE = "command line"
    SETTINGS = "settings"
    PYTHON = "Python"


# The settings that have an option and an argument of load_model(), too: those two, and what stands for a value.
KNOWN = {
    "TRUST_MODEL": ("--trust-model", "trust_model", True),
    "MODEL_MB": ("--model-mb", "model_mb", 8000),
    "LABELS": ("--labels", "labels", "labels.txt"),
    "PREPROCESS": ("--preprocess", "preprocess", "-1..1 crop"),
    "OUTPUT": ("--output-kind", "output_kind", "logits"),
}

_door: ContextVar[Door] = ContextVar("door", default=Door.PYTHON)


def use(door: Door) -> None:
    """Let messages speak to somebody who came by this door, from now on."""
    _door.set(door)


def argument(name: str, example: Example) -> str:
    """Say how an argument of a model's ``load()`` is given, such as ``--load-arg output=1``.

    Args:
        name: of the argument.
        example: a value for it, as JSON has them.
    """
    door = _door.get()
    if door is Door.COMMAND_LINE:
        return f"--load-arg {shlex.quote(f'{name}={plain(example)}')}"
    if door is Door.SETTINGS:
        return f"MODEL_LOAD_ARGS = {{{quoted(name)}: {written(example)}}}"
    return f"{name}={written(example)} for load_model()"


def setting(name: str, example: Example = None) -> str:
    """Say how one of the settings of :data:`KNOWN` is given, such as ``--labels labels.txt``.

    Args:
        name: of the setting.
        example: a value for it; None takes the usual one.
    """
    option, keyword, usual = KNOWN[name]
    value, door = usual if example is None else example, _door.get()
    if door is Door.COMMAND_LINE:
        return option if value is True else f"{option} {shlex.quote(plain(value))}"
    if door is Door.SETTINGS:
        return f"{name} = {written(value)}"
    return f"{keyword}={written(value)} for load_model()"


def objects(name: str) -> str:
    """Say how a class of the user's own, ``package>Name``, is handed over; no option can."""
    short = name.rpartition(">")[2]
    mapping = f"{{{quoted(name)}: {short}}}"
    if _door.get() is Door.PYTHON:
        return f"custom_objects={mapping} for load_model()"
    return f"super().load(custom_objects={mapping}, **arguments) in the load() of a class that MODEL_CLS_PATH names"


def called(name: str) -> str:
    """Return what a setting of :data:`KNOWN` is called, such as ``--labels``."""
    option, keyword, _ = KNOWN[name]
    return {Door.COMMAND_LINE: option, Door.SETTINGS: name, Door.PYTHON: keyword}[_door.get()]


def load_arguments() -> str:
    """Return what the arguments of ``load()`` are called together."""
    names = {Door.COMMAND_LINE: "--load-arg", Door.SETTINGS: "MODEL_LOAD_ARGS", Door.PYTHON: "load_model()"}
    return names[_door.get()]


def plain(value: Example) -> str:
    """Return a value as it is written in YAML on a command line."""
    return value if isinstance(value, str) else json.dumps(value)


def written(value: Example) -> str:
    """Return a value as Python writes it, with double quotes."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(key)}: {written(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(written, value))
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    """Return a text in double quotes."""
    return json.dumps(text, ensure_ascii=False)
