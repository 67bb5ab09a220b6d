"""The optional packages that run model files of other frameworks, and the numbers that they take."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.models.arrays import Array
from picasso.models.environment import require_versions


def of_type(values: Array, dtype: Any) -> NDArray[Any]:
    """Convert values to another type; for an integer type, they are rounded and clipped to its range."""
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def runtime(module: str, extra: str, packages: Sequence[str], file: Path) -> Any:
    """Import and return the runtime for a model file.

    Args:
        module: the name of the runtime's module.
        extra: the extra of Picasso that installs the runtime.
        packages: the packages that the extra installs.
        file: the model file, for messages.

    Raises:
        ModelError: the runtime is not installed, or a package is too old; the message contains the command to install
            it.
    """
    require_versions(*packages)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(f"{file.name} needs another package: pip install 'picasso-viz[{extra}]'.") from error
