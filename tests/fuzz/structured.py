"""Ways to spoil a model file in its own structure: fields of messages, values of JSON, members and objects of archives.

Bytes that are changed anywhere mostly end at the first length that no longer fits. What is changed here is whole again:
lengths and sums fit, so that a reader looks into it.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import h5py

from tests.fuzz.mutations import MAX_SIZE, NUMBERS, Mutator

INTEGERS = (*NUMBERS, *MAX_SIZE, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
WORDS = (
    "", ".", "..", "../x", "/etc/passwd", "C:\\x", "file:///x", "http://x", "a" * 5000, "\0", "\x1b[31m", "é",
    "Lambda", "Dense", "function", "keras.layers", "os", "builtins", "ReadFile", "PyFunc", "Loop", "If", "While",
    "Constant", "ConstantOfShape", "value", "body", "then_branch", "com.microsoft", "config.json", "model.weights.h5",
)  # fmt: skip
DEEPEST = 8

# A field of a message: its number, its kind, its value, and the fields inside of it or None.
Field = tuple[int, int, Any, "list[Field] | None"]


# ---- protocol buffers -----------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """Return an integer as messages hold it."""
    value %= 1 << 64
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def parsed(data: bytes, depth: int = 0) -> list[Field] | None:
    """Return the fields of a message, or None where bytes are none."""
    fields: list[Field] = []
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    try:
        while place < len(data):
            tag = number()
            kind = tag & 7
            if not tag >> 3 or kind not in (0, 1, 2, 5):
                return None
            if kind == 0:
                fields.append((tag >> 3, kind, number(), None))
                continue
            size = {1: 8, 5: 4}.get(kind) or number()
            content = data[place : place + size]
            place += size
            if len(content) < size:
                return None
            inner = parsed(content, depth + 1) if kind == 2 and size > 1 and depth < DEEPEST else None
            fields.append((tag >> 3, kind, content, inner))
    except IndexError:
        return None
    return fields


def message(fields: Sequence[Field]) -> bytes:
    """Return fields as a message whose lengths are right."""
    written = []
    for number, kind, value, _ in fields:
        content = varint(value) if kind == 0 else varint(len(value)) + value if kind == 2 else value
        written.append(varint(number << 3 | kind) + content)
    return b"".join(written)


def changed_fields(fields: list[Field], chance: random.Random) -> list[Field]:
    """Return fields of which one, somewhere inside, is another."""
    fields = list(fields)
    if not fields:
        return [(chance.randrange(1, 30), 0, chance.choice(INTEGERS), None)]
    place = chance.randrange(len(fields))
    number, kind, value, inner = fields[place]
    if inner and chance.random() < 0.8:
        inner = changed_fields(inner, chance)
        fields[place] = (number, kind, message(inner), inner)
        return fields
    way = chance.randrange(9)
    if way == 0:
        del fields[place]
    elif way == 1:
        fields[place:place] = [fields[place]] * chance.choice((1, 2, 30, 2000 if len(str(value)) < 50 else 2))
    elif way == 2:
        fields.insert(chance.randrange(len(fields) + 1), fields.pop(place))
    elif way == 3:
        fields[place] = (chance.choice((1, 2, 5, 7, 8, 11, 13, 14, 20, 25, 99, 1 << 28)), kind, value, inner)
    elif way == 4 and kind == 2:
        # In itself, again and again.
        for _ in range(chance.choice((1, 3, 40, 200))):
            value = varint(number << 3 | 2) + varint(len(value)) + value if len(value) < 100_000 else value
        fields[place] = (number, kind, value, None)
    elif way == 5:
        kind = chance.choice((0, 1, 2, 5))
        fields[place] = (number, kind, {0: 7, 1: bytes(8), 2: b"ab", 5: bytes(4)}[kind], None)
    else:
        fields[place] = (number, kind, other_value(kind, value, chance), None)
    return fields


def other_value(kind: int, value: Any, chance: random.Random) -> Any:
    """Return another value of a kind."""
    if kind == 0:
        return chance.choice((*INTEGERS, value + 1, value * 1000))
    if kind != 2:
        return bytes(chance.randrange(256) for _ in value)
    if chance.random() < 0.6:
        return chance.choice(WORDS).encode()
    return value[: len(value) // 2] if chance.random() < 0.5 else value + bytes(chance.randrange(1, 20))


# ---- JSON -----------------------------------------------------------------------------------------------------------


def changed_json(value: Any, chance: random.Random) -> Any:
    """Return a document of which one value, somewhere inside, is another."""
    if isinstance(value, dict) and value and chance.random() < 0.93:
        key = chance.choice(list(value))
        changed = dict(value)
        way = chance.random()
        if way < 0.05:
            del changed[key]
        elif way < 0.1:
            changed[chance.choice(WORDS)] = changed.pop(key)
        elif way < 0.15:
            changed[chance.choice(("function", "module", "class_name", "config", "registered_name"))] = changed[key]
        else:
            changed[key] = changed_json(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.93:
        place = chance.randrange(len(value))
        rest = [value[place]] * chance.choice((0, 1, 2, 300)) if chance.random() < 0.1 else None
        return value[:place] + (rest if rest is not None else [changed_json(value[place], chance)]) + value[place + 1 :]
    return leaf(value, chance)


def leaf(value: Any, chance: random.Random) -> Any:
    """Return another value, whatever was there."""
    way = chance.randrange(7)
    if way == 0:
        for _ in range(chance.choice((2, 50, 300))):
            value = {"class_name": "Sequential", "config": value} if chance.random() < 0.5 else [value]
        return value
    choices: tuple[Any, ...] = (chance.choice(WORDS), chance.choice(INTEGERS), None, [], {}, True)
    return choices[way - 1] if way < 6 else chance.choice((1e308, float("nan"), -1, [[]], {"a": []}))


def dumped(value: Any) -> bytes:
    """Return a document as bytes; one that is too deep for Python's writer as the beginning of one."""
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b'{"class_name": "Sequential", "config":' + b"[" * 5000


# ---- archives -------------------------------------------------------------------------------------------------------


def changed_archive(body: bytes, chance: random.Random) -> bytes:
    """Return an archive with another member, or with one that is spoilt, moved, doubled or left out."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = [(one.filename, archive.read(one)) for one in archive.infolist()]
    place, way = chance.randrange(len(members)), chance.randrange(8)
    name, content = members[place]
    if way == 0:
        del members[place]
    elif way == 1:
        members.append(members[place])
    elif way == 2:
        members[place] = (chance.choice(WORDS) or "x", content)
    elif way == 3:
        members += [(f"{chance.choice(WORDS)}{index}", b"x") for index in range(chance.choice((1, 5, 2000)))]
    elif way == 4:
        members.append((chance.choice(("assets/x", "big", "model.weights.h5")), bytes(chance.choice((10, 10**6)))))
    elif name.endswith(".json"):
        members[place] = (name, dumped(changed_json(json.loads(content), chance)))
    elif name.endswith(".h5"):
        members[place] = (name, changed_hdf5(content, chance))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name.replace("\0", "") or "x"), content)
    return changed_headers(bytearray(buffer.getvalue()), chance) if chance.random() < 0.4 else buffer.getvalue()


def changed_headers(body: bytearray, chance: random.Random) -> bytes:
    """Return an archive with another number in one of its headers."""
    mark = chance.choice((b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"))
    places = [at for at in range(len(body) - 46) if body[at : at + 4] == mark] if len(body) < 100_000 else []
    at = chance.choice(places) if places else max(0, body.rfind(mark))
    size, form = chance.choice(((2, "<H"), (4, "<I")))
    offset = at + 4 + 2 * chance.randrange(8 if mark == b"PK\x05\x06" else 20)
    if offset + size <= len(body):
        struct.pack_into(form, body, offset, chance.choice(INTEGERS) % 256**size)
    return bytes(body)


# ---- HDF5 -----------------------------------------------------------------------------------------------------------


def changed_hdf5(body: bytes, chance: random.Random) -> bytes:
    """Return an HDF5 file with other objects, links or attributes; its library writes it, so that it can be read."""
    buffer = io.BytesIO(body)
    try:
        with h5py.File(buffer, "r+") as file:
            for _ in range(chance.randint(1, 3)):
                change_hdf5(file, chance)
    # What the library refuses to write is no file.
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return body
    return buffer.getvalue()


def change_hdf5(file: h5py.File, chance: random.Random) -> None:
    """Change one thing in an open file."""
    groups: list[Any] = [file]
    file.visititems(lambda _, one: groups.append(one) if isinstance(one, h5py.Group) else None)
    group, name = chance.choice(groups), f"n{chance.randrange(1000)}"
    if chance.random() < 0.3 and "model_config" in file.attrs:
        document = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = dumped(changed_json(document, chance)).decode()
    elif chance.random() < 0.2 and len(group):
        del group[chance.choice(list(group))]
    elif chance.random() < 0.5:
        link_hdf5(group, name, chance.choice(groups), chance)
    else:
        add_dataset(group, name, chance)


def link_hdf5(group: Any, name: str, other: Any, chance: random.Random) -> None:
    """Add a link or an attribute to a group."""
    links = (
        h5py.ExternalLink(chance.choice(WORDS[1:7]), "/x"),
        h5py.SoftLink(chance.choice(("/", name, "/none", ".."))),
        other,
    )
    if chance.random() < 0.7:
        group[name] = chance.choice(links)
    else:
        group.attrs[chance.choice(("layer_names", "weight_names", "keras_version", name))] = chance.choice(WORDS)[:100]


def add_dataset(group: Any, name: str, chance: random.Random) -> None:
    """Add a dataset to a group: huge, packed, of texts, or with its values elsewhere."""
    way = chance.randrange(5)
    if way == 0:
        group.create_dataset(name, (chance.choice((1, 10**3, 10**9)),) * 2, "f4", chunks=(1, 1))
    elif way == 1:
        group.create_dataset(name, (10,), "u1", external=[(chance.choice(WORDS[2:5]), 0, 10)])
    elif way == 2:
        layout = h5py.VirtualLayout((10,), "f4")
        layout[:] = h5py.VirtualSource(chance.choice(("other.h5", "/x", ".")), "d", (10,))
        group.create_virtual_dataset(name, layout)
    elif way == 3:
        group.create_dataset(name, (10**6,), "f4", data=0, compression="gzip", shuffle=chance.random() < 0.5)
    else:
        group.create_dataset(name, data=[chance.choice(WORDS).replace("\0", "")] * 3)


# ---- FlatBuffers ----------------------------------------------------------------------------------------------------


def changed_flatbuffer(body: bytes, chance: random.Random) -> bytes:
    """Return a FlatBuffer with other offsets, lengths or numbers; all of them stand at even places."""
    spoilt = bytearray(body)
    for _ in range(chance.randint(1, 3)):
        form = chance.choice(("<H", "<I", "<i", "<B"))
        size = struct.calcsize(form)
        at = chance.randrange(0, len(spoilt) - 8, min(size, 4))
        value = chance.choice((*INTEGERS, at, len(spoilt), len(spoilt) - at, chance.randrange(200)))
        if form == "<i":
            value = struct.unpack_from("<i", spoilt, at)[0] + chance.choice((-4, -2, 4, 8, 64))
        struct.pack_into(form.upper(), spoilt, at, value % 256**size)
    return bytes(spoilt)


# ---- all of them ----------------------------------------------------------------------------------------------------


class StructuredMutator:
    """An endless source of model files that are spoilt in their structure; the same seed gives the same files."""

    def __init__(self, suffix: str, seeds: Sequence[bytes], seed: int, most: int) -> None:
        self._suffix, self._seeds, self._most = suffix, seeds, most
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated
        self._plain = Mutator(seeds, seed, most)
        messages = suffix in (".pb", ".meta", ".onnx")
        self._messages = [fields for body in seeds if messages and (fields := parsed(body))]

    def next(self) -> bytes:
        """Return another file; one in ten is spoilt without any regard for its structure."""
        chance = self._chance
        # Spoilt bytes can keep the library that reads HDF5 at work for ever.
        if chance.random() < 0.1 and self._suffix not in (".h5", ".keras"):
            return self._plain.next()
        ways: dict[str, Callable[[bytes, random.Random], bytes]] = {
            ".keras": changed_archive,
            ".h5": changed_hdf5,
            ".tflite": changed_flatbuffer,
            ".json": lambda body, chance: dumped(changed_json(json.loads(body), chance)),
        }
        if self._messages:
            fields = chance.choice(self._messages)
            for _ in range(chance.randint(1, 3)):
                fields = changed_fields(fields, chance)
            return message(fields)[: self._most]
        if self._suffix not in ways:
            return self._plain.next()
        return ways[self._suffix](chance.choice(self._seeds), chance)[: self._most]
