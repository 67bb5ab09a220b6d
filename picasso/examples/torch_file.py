"""Weights from a file in PyTorch's first format, without PyTorch and without running what the file says.

Such a file is a row of pickles (a magic number, a version, facts about the machine, the tensors, the names of
their storages), then for each storage its length and its raw values. Pickles can call any function there is; this
reader knows four names, none of which does more than hold values, and refuses all others.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from picasso.errors import ModelError, reason

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001


@dataclass
class Storage:
    """``length`` values in a row that tensors are cut out of; they are read after the tensors are described."""

    kind: np.dtype[Any]
    length: int
    values: NDArray[Any] = field(default_factory=lambda: np.empty(0))

    def read(self, stream: BinaryIO) -> None:
        """Read the values, which their number precedes."""
        length = int.from_bytes(stream.read(8), "little")
        body = stream.read(self.length * self.kind.itemsize)
        if length != self.length or len(body) != self.length * self.kind.itemsize:
            raise ValueError("a storage is cut off")
        self.values = np.frombuffer(body, self.kind)


@dataclass(frozen=True)
class Tensor:
    """Where in a storage a tensor lies."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        """Return a copy of the values.

        Raises:
            ValueError: some of them would lie outside of the storage.
        """
        values = self.storage.values
        last = self.offset + sum((side - 1) * step for side, step in zip(self.shape, self.strides, strict=True))
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or (0 not in self.shape and last >= len(values)):
            raise ValueError("a tensor reaches beyond its storage")
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps).copy()


def rebuild(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> Tensor:
    """Stand in for the function of PyTorch that describes a tensor."""
    return Tensor(storage, offset, shape, strides)


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class Unpickler(pickle.Unpickler):
    """Reads a pickle that names nothing but what is :data:`ALLOWED`."""

    def __init__(self, stream: BinaryIO, storages: dict[str, Storage]) -> None:
        super().__init__(stream)
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name; the only door from a pickle to code."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return ALLOWED[module, name]

    def persistent_load(self, identity: Any) -> Storage:
        """Return the storage that ``("storage", kind, key, device, length, view)`` means."""
        _, kind, key, _, length, _ = identity
        return self.storages.setdefault(key, Storage(kind, length))


def read(file: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by name, float32 or int64.

    Raises:
        ModelError: it is not a file in this format, is cut off, or asks for anything that is not allowed.
    """
    storages: dict[str, Storage] = {}
    try:
        with file.open("rb") as stream:
            magic, version, _, tensors, keys = (Unpickler(stream, storages).load() for _ in range(5))
            if (magic, version) != (MAGIC, VERSION):
                raise ValueError("it does not begin like one")
            for key in keys:
                storages[key].read(stream)
        return {name: tensor.array() for name, tensor in tensors.items()}
    except Exception as error:
        # A broken pickle can end in nearly any exception.
        raise ModelError(f"{file} is no file of PyTorch weights that can be read: {reason(error)}.") from error
