"""Phrase the advice in error messages for the user's interface: as an option, a setting or an argument in Python.

Code that loads a model calls :func:`set_interface` to set the interface through which the user specified it.
"""

from __future__ import annotations

import json
import shlex
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

Example = Any


class Interface(StrEnum):
    """The interface through which a user specifies a model."""

    COMMAND_LINE = "command line"
    SETTINGS = "settings"
    PYTHON = "Python"


# The settings that are also options and arguments of load_model(): the option, the argument and an example value.
KNOWN = {
    "TRUST_MODEL": ("--trust-model", "trust_model", True),
    "MODEL_MB": ("--model-mb", "model_mb", 8000),
    "LABELS": ("--labels", "labels", "labels.txt"),
    "PREPROCESS": ("--preprocess", "preprocess", "-1..1 crop"),
    "TASK": ("--task", "task", "segmentation"),
    "UNIT": ("--unit", "unit", "years"),
    "OUTPUT": ("--output-kind", "output_kind", "logits"),
}

_interface: ContextVar[Interface] = ContextVar("interface", default=Interface.PYTHON)


def set_interface(interface: Interface) -> None:
    """Phrase messages for an interface from now on, in the current context."""
    _interface.set(interface)


def argument(name: str, example: Example) -> str:
    """Return how to pass an argument to a model's ``load()``, such as ``--load-arg output=1``.

    Args:
        name: the name of the argument.
        example: an example value that JSON can represent.
    """
    interface = _interface.get()
    if interface is Interface.COMMAND_LINE:
        return f"--load-arg {shlex.quote(f'{name}={plain(example)}')}"
    if interface is Interface.SETTINGS:
        return f"MODEL_LOAD_ARGS = {{{quoted(name)}: {written(example)}}}"
    return f"{name}={written(example)} for load_model()"


def setting(name: str, example: Example = None) -> str:
    """Return how to write one of the settings of :data:`KNOWN`, such as ``--labels labels.txt``.

    Args:
        name: the name of the setting.
        example: an example value, or None for the one in :data:`KNOWN`.
    """
    option, keyword, usual = KNOWN[name]
    value, interface = usual if example is None else example, _interface.get()
    if interface is Interface.COMMAND_LINE:
        return option if value is True else f"{option} {shlex.quote(plain(value))}"
    if interface is Interface.SETTINGS:
        return f"{name} = {written(value)}"
    return f"{keyword}={written(value)} for load_model()"


def objects(name: str) -> str:
    """Return how to pass a custom Keras class ``package>Name``; there is no command-line option for it."""
    short = name.rpartition(">")[2]
    mapping = f"{{{quoted(name)}: {short}}}"
    if _interface.get() is Interface.PYTHON:
        return f"custom_objects={mapping} for load_model()"
    return f"super().load(custom_objects={mapping}, **arguments) in the load() of the class in MODEL_CLS_PATH"


def called(name: str) -> str:
    """Return the name of a setting of :data:`KNOWN` in the current interface, such as ``--labels``."""
    option, keyword, _ = KNOWN[name]
    return {Interface.COMMAND_LINE: option, Interface.SETTINGS: name, Interface.PYTHON: keyword}[_interface.get()]


def load_arguments() -> str:
    """Return the name for all arguments of ``load()`` in the current interface, such as ``--load-arg``."""
    names = {
        Interface.COMMAND_LINE: "--load-arg",
        Interface.SETTINGS: "MODEL_LOAD_ARGS",
        Interface.PYTHON: "load_model()",
    }
    return names[_interface.get()]


def plain(value: Example) -> str:
    """Return a value as it is written on the command line, where it is read as YAML."""
    return value if isinstance(value, str) else json.dumps(value)


def written(value: Example) -> str:
    """Return a value as a Python expression, with double quotes."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(key)}: {written(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(written, value))
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    """Return a text in double quotes."""
    return json.dumps(text, ensure_ascii=False)
