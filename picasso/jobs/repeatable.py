"""What results depend on besides their input: the code, the versions of packages, and the arithmetic of the machine."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from picasso.config import PACKAGE
from picasso.models.base import Model
from picasso.visualizations.base import BaseVisualization

# The packages that results depend on, and their modules, which code whose results are reused may import.
PACKAGES = ("keras", "numpy", "onnxruntime", "pillow", "scikit-image", "scipy", "tensorflow", "tf_keras")
MODULES = {"PIL", "keras", "numpy", "picasso", "scipy", "skimage", "tensorflow", "tf_keras"}
# The environment variables with these prefixes may change the last digits of results.
ARITHMETIC = ("CUDA", "DNNL", "KMP", "MKL", "NVIDIA", "OMP", "ONEDNN", "OPENBLAS", "TF", "XLA")
PROCESSOR, GRAPHICS = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia")
# The lines of PROCESSOR that say what it computes with; ARM has others than x86.
LINES = ("model name", "flags", "CPU implementer", "CPU part", "Features")


@functools.lru_cache(maxsize=1)
def own_code() -> str:
    """Return the SHA-256 of Picasso's own code, which may change without its version."""
    found = hashlib.sha256()
    for file in sorted([*PACKAGE.rglob("*.py"), *(PACKAGE / "explanation").glob("*.png")]):
        found.update(os.fsencode(file.relative_to(PACKAGE).as_posix()) + b"\0")
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


@functools.lru_cache(maxsize=1)
def environment() -> dict[str, object]:
    """Return the versions of packages, and what of this machine may change the last digits of a result."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := version_of(name))},
        "machine": [sys.platform, platform.machine(), *platform.libc_ver(), processors],
        "processor": list(dict.fromkeys(lines_of(PROCESSOR, LINES))),
        "graphics": [
            line for file in sorted(GRAPHICS.glob("gpus/*/information")) for line in lines_of(file, ("Model",))
        ],
        "driver": list(lines_of(GRAPHICS / "version", ("NVRM",))),
        "variables": sorted(f"{key}={value}" for key, value in os.environ.items() if key.startswith(ARITHMETIC)),
    }


def version_of(package: str) -> str:
    """Return the version of an installed package, or ""."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def lines_of(file: Path, beginnings: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a file that begin in one of these ways; none if it can't be read."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    yield from (" ".join(line.split()) for line in text.splitlines() if line.startswith(beginnings))


@functools.lru_cache(maxsize=256)
def code_of(cls: type[Model | BaseVisualization[Any]]) -> str | None:
    """Return what identifies the code of a class: "" for Picasso's own, the SHA-256 of its files for others.

    None means that its results can't be reused: the class does not declare itself repeatable, or imports modules whose
    changes would not be noticed. Call this when the class is imported, because its file may change later.
    """
    modules = dict.fromkeys(one.__module__ for one in cls.__mro__)
    others = [name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names]
    others = [name for name in others if not is_own(name)]
    if not others:
        return ""
    own = vars(cls)
    if not (own.get("repeatable") is True if issubclass(cls, Model) else own.get("REPEATABLE") is True):
        return None
    found = hashlib.sha256()
    for name in others:
        try:
            source = Path(str(sys.modules[name].__file__)).read_bytes()
            if not known_imports(source):
                return None
        except (KeyError, AttributeError, OSError, SyntaxError, ValueError):
            return None
        found.update(hashlib.sha256(source).digest())
    return f"{found.hexdigest()} {cls.__qualname__}"


def is_own(module: str) -> bool:
    """Tell whether a module is Picasso's, such as a bundled example, which settings name by its file."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(PACKAGE.resolve())


def known_imports(source: bytes) -> bool:
    """Tell whether code imports, anywhere in it, only modules whose versions :func:`environment` has.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """
    allowed = MODULES | sys.stdlib_module_names
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # A relative import is of a file beside it.
            names = ["" if node.level else str(node.module)]
        else:
            continue
        if any(name.partition(".")[0] not in allowed for name in names):
            return False
    return True
