"""The reader of PyTorch files: whole ones, broken ones, and those that would run code."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from picasso.errors import ModelError
from picasso.examples import torch_file


def torch_bytes(tensors: dict[str, NDArray[Any]]) -> bytes:
    """Write a file as PyTorch does, without it: classes that only have the right names stand in."""

    # The pickler in Python can be taught how to write a class; the one in C can't.
    slow: Any = vars(pickle)["_Pickler"]

    class Pickler(slow):  # type: ignore[misc]
        def persistent_id(self, thing: object) -> object:
            return thing.identity if isinstance(thing, Stored) else None

        def save_type_by_name(self, thing: Any) -> None:
            self.write(pickle.GLOBAL + f"{thing.module}\n{thing.name}\n".encode())

        dispatch = dict(slow.dispatch)

    class Name:
        def __init__(self, module: str, name: str) -> None:
            self.module, self.name = module, name

    Pickler.dispatch[Name] = Pickler.save_type_by_name

    class Stored:
        def __init__(self, key: str, values: NDArray[Any]) -> None:
            kind = Name("torch", {"f": "FloatStorage", "i": "LongStorage"}[values.dtype.kind])
            self.identity = ("storage", kind, key, "cpu", values.size, None)

    class Described:
        def __init__(self, key: str, values: NDArray[Any]) -> None:
            strides = tuple(step // values.itemsize for step in values.strides)
            self.arguments: Any = (Stored(key, values), 0, values.shape, strides, False, OrderedDict())

    def save_described(self: Any, thing: Described) -> None:
        self.save(Name("torch._utils", "_rebuild_tensor_v2"))
        self.save(thing.arguments)
        self.write(pickle.REDUCE)

    Pickler.dispatch[Described] = save_described
    stream = io.BytesIO()
    described = OrderedDict((name, Described(name, values)) for name, values in tensors.items())
    for part in (torch_file.MAGIC, torch_file.VERSION, {"little_endian": True}, described, list(tensors)):
        Pickler(stream, 2).dump(part)
    for values in tensors.values():
        stream.write(values.size.to_bytes(8, "little") + values.tobytes(order="A"))
    return stream.getvalue()


TENSORS: dict[str, NDArray[Any]] = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "count": np.array(5, np.int64),
}


def test_torch_file_round_trip(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(torch_bytes(TENSORS))
    found = torch_file.read(tmp_path / "weights.pth")
    assert list(found) == list(TENSORS)
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_torch_file_cut_off_anywhere(tmp_path: Path) -> None:
    file, body = tmp_path / "weights.pth", torch_bytes(TENSORS)
    for length in range(len(body)):
        file.write_bytes(body[:length])
        with pytest.raises(ModelError, match="no file of PyTorch weights"):
            torch_file.read(file)


def test_torch_file_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match=r"it asks for pathlib.*, which is not allowed"):
        torch_file.read(file)
    assert not (tmp_path / "touched").exists()


def test_torch_tensor_outside_its_storage() -> None:
    storage = torch_file.Storage(np.dtype("<f4"), 4, np.arange(4, dtype=np.float32))
    for offset, shape, strides in [(1, (2, 2), (2, 1)), (0, (5,), (1,)), (-1, (1,), (1,)), (3, (2,), (-1,))]:
        with pytest.raises(ValueError, match="beyond its storage"):
            torch_file.Tensor(storage, offset, shape, strides).array()
