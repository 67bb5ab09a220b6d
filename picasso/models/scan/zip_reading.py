"""Check a zip archive without trusting its headers."""

from __future__ import annotations

import io
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.json_reading import Unreadable
from picasso.models.scan.quoting import shown

END, END_64, LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
LOCAL = struct.Struct("<4s5H3L2H")
# This value of a size or offset means that a 64-bit field contains it.
ELSEWHERE = 0xFFFFFFFF
# The maximum size in bytes of the central directory. A member takes at least 46 bytes there, and about 700 in memory.
MAX_DIRECTORY = 4_000_000
ENCRYPTED, SIZES_FOLLOW = 0x1 | 0x40 | 0x2000, 0x8
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BLOCK = 1 << 20


class Slice(io.RawIOBase):
    """A file object for a part of a file."""

    def __init__(self, stream: IO[bytes], start: int, size: int) -> None:
        self.stream, self.start, self.size, self.at = stream, start, size, 0

    def readable(self) -> bool:
        """Return True: the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: the file has positions."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in the part and return it."""
        self.at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence])
        return self.at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer, up to the end of the part, and return the number of bytes."""
        most = max(0, min(len(buffer), self.size - self.at))
        if not most:
            return 0
        self.stream.seek(self.start + self.at)
        found = self.stream.read(most)
        buffer[: len(found)] = found
        self.at += len(found)
        return len(found)


def opened(stream: IO[bytes], context: Context, where: str) -> zipfile.ZipFile:
    """Return an archive after checking the size of its central directory.

    Raises:
        Unreadable: it is no valid archive, or has too many members.
    """
    size = directory_size(stream)
    if size > MAX_DIRECTORY:
        raise Unreadable(Kind.LIMIT, where, f"the list of the archive's members takes {size:,} bytes")
    stream.seek(0)
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OSError) as error:
        raise Unreadable(Kind.BROKEN, where, f"the archive can't be read ({shown(error)[1:-1]})") from error
    if len(archive.infolist()) > context.limits.members:
        raise Unreadable(Kind.LIMIT, where, f"the archive has {len(archive.infolist()):,} members")
    return archive


def directory_size(stream: IO[bytes]) -> int:
    """Return the size of an archive's central directory in bytes, or 0 if the file does not end like an archive."""
    length = stream.seek(0, io.SEEK_END)
    tail_size = min(length, 22 + 0xFFFF + 20)
    stream.seek(length - tail_size)
    tail = stream.read(tail_size)
    at = len(tail) - 22 if tail[-22:].startswith(END) and tail.endswith(b"\0\0") else tail.rfind(END)
    if at < 0 or len(tail) < at + 22:
        return 0
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    locator = tail[max(0, at - 20) : at]
    if locator.startswith(LOCATOR_64):
        stream.seek(min(int.from_bytes(locator[8:16], "little"), length))
        end = stream.read(56)
        # If the offset is wrong, zipfile rejects the archive or uses the record right before the locator.
        if not end.startswith(END_64):
            stream.seek(max(0, length - tail_size + at - 76))
            end = stream.read(56)
        size = max(int.from_bytes(end[40:48], "little"), 0 if size == ELSEWHERE else size)
    return min(size, length)


def faults(archive: zipfile.ZipFile, stream: IO[bytes], context: Context, where: str) -> Iterator[Finding]:
    """Yield the findings about the members of an archive, without reading their content."""
    seen: set[str] = set()
    for info in archive.infolist():
        place = f"member {shown(info.filename)}, {where}"
        if info.filename.casefold() in seen:
            yield Finding(Kind.BROKEN, place, "the archive has two members with the same name")
        seen.add(info.filename.casefold())
        if is_outside(info):
            yield Finding(Kind.CODE, place, "the name of the member is a path outside the archive")
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            yield Finding(Kind.CODE, place, "the member is a link or a device")
        if info.flag_bits & ENCRYPTED:
            yield Finding(Kind.BROKEN, place, "the member is encrypted")
        elif info.compress_type not in METHODS:
            yield Finding(Kind.BROKEN, place, "the member is compressed by a method that Keras does not use")
    yield from faults_of_sizes(archive, context, where)
    yield from faults_of_places(archive, stream, where)


def is_outside(info: zipfile.ZipInfo) -> bool:
    """Tell whether the name of a member is not a plain relative path inside the archive."""
    name = info.filename
    parts = name.removesuffix("/").split("/")
    odd = any(part in ("", ".", "..") or part != part.strip() for part in parts)
    return odd or name != info.orig_filename or not name.isprintable() or any(sign in name for sign in "\\:")


def faults_of_sizes(archive: zipfile.ZipFile, context: Context, where: str) -> Iterator[Finding]:
    """Yield findings if the unpacked size exceeds the limits."""
    limits, total, packed = context.limits, 0, 0
    for info in archive.infolist():
        total, packed = total + info.file_size, packed + info.compress_size
        if is_bomb(info.file_size, info.compress_size, context):
            what = f"{info.compress_size:,} bytes unpack to {info.file_size:,}"
            yield Finding(Kind.LIMIT, f"member {shown(info.filename)}, {where}", what)
    if total > limits.megabytes * 1_000_000 or is_bomb(total, packed, context):
        yield Finding(Kind.LIMIT, where, f"the archive unpacks from {packed:,} to {total:,} bytes")


def is_bomb(size: int, packed: int, context: Context) -> bool:
    """Tell whether the compression ratio of content exceeds the limits."""
    return size > context.limits.free_megabytes * 1_000_000 and size > context.limits.ratio * packed


def faults_of_places(archive: zipfile.ZipFile, stream: IO[bytes], where: str) -> Iterator[Finding]:
    """Yield findings for overlapping members, and for local headers that contradict the central directory."""
    end = archive.start_dir
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset, reverse=True):
        start = content_start(info, stream)
        if start is None:
            what = "the local header of the member contradicts the central directory"
            yield Finding(Kind.BROKEN, f"member {shown(info.filename)}, {where}", what)
        elif start + info.compress_size > end:
            yield Finding(Kind.BROKEN, f"member {shown(info.filename)}, {where}", "the member overlaps another")
        end = min(end, info.header_offset)


def content_start(info: zipfile.ZipInfo, stream: IO[bytes]) -> int | None:
    """Return the offset of a member's content, or None if its local header contradicts the central directory."""
    if not 0 <= info.header_offset <= stream.seek(0, io.SEEK_END):
        return None
    stream.seek(info.header_offset)
    head = stream.read(LOCAL.size)
    if len(head) < LOCAL.size:
        return None
    signature, _, flags, method, _, _, _, packed, size, name_length, extra_length = LOCAL.unpack(head)
    name = stream.read(name_length).decode("utf-8" if flags & 0x800 else "cp437", "replace")
    agree = signature == b"PK\x03\x04" and name == info.orig_filename and method == info.compress_type
    # The sizes may also follow the content, or be stored in 64 bits.
    given = not flags & SIZES_FOLLOW and ELSEWHERE not in (packed, size)
    if not agree or flags != info.flag_bits or (given and (packed, size) != (info.compress_size, info.file_size)):
        return None
    start: int = info.header_offset + LOCAL.size + name_length + extra_length
    return start


def content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, stream: IO[bytes], where: str) -> IO[bytes]:
    """Return the content of a member as a seekable file, unpacked to a temporary file if it is compressed.

    The sizes must have been checked before: at most the size in the central directory is unpacked.

    Raises:
        Unreadable: it can't be unpacked.
    """
    start = content_start(info, stream)
    if info.compress_type == zipfile.ZIP_STORED and start is not None and info.compress_size == info.file_size:
        return io.BufferedReader(Slice(stream, start, info.file_size))
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with archive.open(info) as packed:
            while block := packed.read(BLOCK):
                unpacked.write(block)
    except Exception as error:
        # zipfile and zlib raise undocumented exceptions.
        unpacked.close()
        raise Unreadable(Kind.BROKEN, where, f"the member can't be decompressed ({type(error).__name__})") from error
    unpacked.seek(0)
    return unpacked
