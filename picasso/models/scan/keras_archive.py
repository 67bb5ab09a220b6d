"""Scan Keras archives (``.keras``): zip files with the configuration, the weights and assets of layers."""

from __future__ import annotations

import ast
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from picasso.models.scan import keras_config, zip_reading
from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.json_reading import Unreadable, parse
from picasso.models.scan.quoting import shown
from picasso.models.scan.zip_reading import content

CONFIG, METADATA, HDF5, NPZ, ASSETS = "config.json", "metadata.json", "model.weights.h5", "model.weights.npz", "assets/"
# The maximum length of the header of an .npy file, which is also NumPy's limit.
MAX_HEADER_LENGTH = 10_000
NUMBERS = "biufc"


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings in a ``.keras`` file."""
    with path.open("rb") as stream:
        try:
            with zip_reading.opened(stream, context, path.name) as archive:
                yield from faults(archive, stream, context, path.name)
        except Unreadable as error:
            yield error.finding


def faults(archive: zipfile.ZipFile, stream: IO[bytes], context: Context, where: str) -> Iterator[Finding]:
    """Yield the findings in an archive; its members are scanned only if the archive itself is valid."""
    found = list(zip_reading.faults(archive, stream, context, where))
    members = {info.filename: info for info in archive.infolist()}
    found += [
        Finding(Kind.CODE, f"member {shown(name)}, {where}", "the member does not belong to a Keras archive")
        for name in members
        if name not in (CONFIG, METADATA, HDF5, NPZ) and not name.startswith(ASSETS)
    ]
    yield from found
    if any(one.kind is not Kind.CODE for one in found):
        return
    if CONFIG not in members or (HDF5 in members) + (NPZ in members) != 1:
        yield Finding(Kind.BROKEN, where, f"a Keras archive contains {CONFIG} and either {HDF5} or {NPZ}")
        return
    for name in filter(members.__contains__, (CONFIG, METADATA)):
        yield from faults_of_json(archive, members[name], context)
    weights = members.get(HDF5) or members[NPZ]
    try:
        with content(archive, weights, stream, weights.filename) as inside:
            yield from (faults_of_hdf5 if weights.filename == HDF5 else faults_of_npz)(inside, context)
    except Unreadable as error:
        yield error.finding


def faults_of_json(archive: zipfile.ZipFile, info: zipfile.ZipInfo, context: Context) -> Iterator[Finding]:
    """Yield the findings in the configuration or the metadata."""
    name = info.filename
    try:
        if info.file_size > context.limits.json_bytes:
            raise Unreadable(Kind.LIMIT, name, f"the JSON has {info.file_size:,} bytes")
        try:
            text = archive.read(info)
        except Exception as error:
            # zipfile and zlib raise undocumented exceptions.
            raise Unreadable(Kind.BROKEN, name, f"the member can't be decompressed ({type(error).__name__})") from error
        document = parse(text, context, name)
    except Unreadable as error:
        yield error.finding
        return
    if not isinstance(document, dict) or (name == CONFIG and not {"class_name", "config"} <= document.keys()):
        yield Finding(Kind.BROKEN, name, "the JSON does not describe a Keras model")
    elif name == CONFIG:
        yield from keras_config.judge(document, context, name)


def faults_of_hdf5(weights: IO[bytes], context: Context) -> Iterator[Finding]:
    """Yield the findings in weights in HDF5."""
    from picasso.models.scan import keras_hdf5

    yield from keras_hdf5.faults_of_stream(weights, context, HDF5)


def faults_of_npz(weights: IO[bytes], context: Context) -> Iterator[Finding]:
    """Yield the findings in weights in NumPy's format: an archive of arrays, of which none may be pickled."""
    with zip_reading.opened(weights, context, NPZ) as archive:
        found = list(zip_reading.faults(archive, weights, context, NPZ))
        yield from found
        if found:
            return
        total = 0
        for info in archive.infolist():
            where = f"member {shown(info.filename)}, {NPZ}"
            try:
                with archive.open(info) as member:
                    dtype, shape = array_header(member.read(MAX_HEADER_LENGTH + 12))
            except Exception as error:
                raise Unreadable(Kind.BROKEN, where, "it is not a NumPy array") from error
            if not isinstance(dtype, str) or dtype[1:2] not in NUMBERS:
                yield Finding(Kind.CODE, where, f"its values are not numbers, but of type {shown(dtype)}")
                continue
            size = math.prod(shape) * int(dtype[2:] or 1)
            total += size
            if size > info.file_size:
                yield Finding(Kind.BROKEN, where, f"it declares {size:,} bytes and contains {info.file_size:,}")
        if total > context.limits.megabytes * 1_000_000:
            yield Finding(Kind.LIMIT, NPZ, f"its arrays take {total:,} bytes")


def array_header(start: bytes) -> tuple[Any, tuple[int, ...]]:
    """Return the type and the shape of an array from the beginning of an ``.npy`` file, or raise ValueError."""
    major = start[6]
    if not start.startswith(b"\x93NUMPY") or major not in (1, 2, 3):
        raise ValueError("no .npy")
    width = 2 if major == 1 else 4
    (length,) = struct.unpack("<H" if width == 2 else "<I", start[8 : 8 + width])
    if length > MAX_HEADER_LENGTH:
        raise ValueError("too long")
    header = ast.literal_eval(start[8 + width : 8 + width + length].decode("latin1").strip())
    shape = tuple(int(side) for side in header["shape"])
    if min(shape, default=0) < 0:
        raise ValueError("negative dimension")
    return header["descr"], shape
