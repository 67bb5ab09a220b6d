"""Check the structure of HDF5 files by the HDF5 library, for files that were not written by Keras."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

import h5py
from h5py import h5a, h5d, h5g, h5o, h5t, h5z

from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.hdf5_headers import Texts, faults_of_totals
from picasso.models.scan.hdf5_plain import MAX_LETTERS
from picasso.models.scan.json_reading import Unreadable
from picasso.models.scan.quoting import shown

HARD_LINK, SOFT_LINK, EXTERNAL_LINK = 0, 1, 64
# The allowed filters of a dataset, in this order and at most once each, so that the unpacked size is bounded. Other
# filters would be loaded as plugins from HDF5_PLUGIN_PATH.
FILTERS = [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE, h5z.FILTER_FLETCHER32]
BLOCK = 1 << 20
# The maximum size in bytes of opaque types, which represent types that h5py does not have, such as bfloat16.
MAX_OPAQUE = 2


def read(
    stream: IO[bytes], size: int, context: Context, where: str, names: Iterable[str]
) -> tuple[list[Finding], dict[str, bytes]]:
    """Return the findings about a file's structure, and the texts of the existing attributes among ``names``.

    Raises:
        Unreadable: it can't be read at all.
    """
    stream.seek(0)
    try:
        with h5py.File(stream, "r") as file:
            found = list(Structure(file, size, context, where, Texts(stream, where)).faults())
            # The texts of a file with a broken structure can't be read either.
            broken = any(one.kind is not Kind.CODE for one in found)
            return found, {} if broken else {name: text(file, name, where) for name in names if name in file.attrs}
    except Unreadable:
        raise
    except Exception as error:
        # The HDF5 library raises undocumented exceptions.
        raise Unreadable(Kind.BROKEN, where, f"the HDF5 can't be read ({type(error).__name__})") from error


def text(file: h5py.File, name: str, where: str) -> bytes:
    """Return the text in an attribute of a file, or raise Unreadable."""
    found = file.attrs[name]
    found = found.encode() if isinstance(found, str) else found
    if not isinstance(found, bytes):
        raise Unreadable(Kind.BROKEN, f"{where}, attribute {name}", "it is not text")
    return found


class Structure:
    """A check of the groups and datasets of a file, without reading their values.

    Attributes:
        file: the file.
        size: its size in bytes.
        context: the settings of the scan.
        where: its name in findings.
        texts: the reader of the attributes' texts.
    """

    def __init__(self, file: h5py.File, size: int, context: Context, where: str, texts: Texts) -> None:
        self.file, self.size, self.context, self.where, self.texts = file, size, context, where, texts
        self.declared = self.stored = 0

    def faults(self) -> Iterator[Finding]:
        """Yield the findings about the structure."""
        root = h5o.open(self.file.id, b"/")
        groups: list[tuple[str, Any]] = [("", root)]
        # The addresses of the objects that were visited.
        seen = {h5o.get_info(root).addr}
        yield from self.of_attributes("/", root)
        while groups:
            path, group = groups.pop()
            if group.get_num_objs() > self.context.limits.members:
                raise Unreadable(Kind.LIMIT, self.where, f"a group contains {group.get_num_objs():,} objects")
            for name, link in links(group):
                place = f"{path}/{name.decode('utf-8', 'replace')}"
                if link != HARD_LINK:
                    kind = {SOFT_LINK: "a soft link", EXTERNAL_LINK: "a link to another file"}.get(link, "a link")
                    yield self.finding(Kind.CODE, place, f"it is {kind}")
                    continue
                if len(place) > MAX_LETTERS:
                    raise Unreadable(Kind.LIMIT, self.where, "its groups are nested too deeply")
                thing = h5o.open(group, name)
                address = h5o.get_info(thing).addr
                if address in seen:
                    continue
                seen.add(address)
                if len(seen) > self.context.limits.members:
                    raise Unreadable(Kind.LIMIT, self.where, f"the file contains more than {len(seen) - 1:,} objects")
                yield from self.of_attributes(place, thing)
                if isinstance(thing, h5g.GroupID):
                    groups.append((place, thing))
                elif isinstance(thing, h5d.DatasetID):
                    yield from self.of_dataset(place, thing)
                else:
                    yield self.finding(Kind.CODE, place, "it is neither a group nor a dataset")
        yield from self.of_totals()

    def finding(self, kind: Kind, place: str, what: str) -> Finding:
        """Return a finding about a group, dataset or attribute."""
        return Finding(kind, f"{self.where}, {shown(place)}", what)

    def of_attributes(self, place: str, thing: Any) -> Iterator[Finding]:
        """Yield the findings about the attributes of an object."""
        for number in range(h5a.get_num_attrs(thing)):
            attribute = h5a.open(thing, index=number)
            name = f"{place}.{attribute.name.decode('utf-8', 'replace')}"
            kind, shape = attribute.get_type(), attribute.shape
            is_text = isinstance(kind, h5t.TypeStringID)
            if kind.committed() or not (is_text or is_number(kind)):
                yield self.finding(Kind.CODE, name, "the attribute is neither text nor numbers")
            elif math.prod(shape) * kind.get_size() > self.size:
                yield self.finding(Kind.BROKEN, name, "the attribute is larger than the file")
            elif len(shape) > 1:
                yield self.finding(Kind.BROKEN, name, "the attribute has more than one dimension")
            elif is_text and kind.is_variable_str():
                self.texts.count(h5o.get_info(thing).addr, attribute.name, math.prod(shape))

    def of_dataset(self, place: str, dataset: h5d.DatasetID) -> Iterator[Finding]:
        """Yield the findings about a dataset."""
        kind, plan = dataset.get_type(), dataset.get_create_plist()
        layout, limits = plan.get_layout(), self.context.limits
        if kind.committed() or not is_number(kind):
            yield self.finding(Kind.CODE, place, "its values are not numbers")
            return
        if plan.get_external_count():
            yield self.finding(Kind.CODE, place, "its values are in another file (external storage)")
            return
        if layout == h5d.VIRTUAL:
            yield self.finding(Kind.CODE, place, "its values are in other datasets (virtual dataset)")
            return
        used = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
        if used != [one for one in FILTERS if one in used]:
            yield self.finding(Kind.CODE, place, f"its values are compressed by the filters {used}")
            return
        extent = dataset.shape
        chunk = plan.get_chunk() if layout == h5d.CHUNKED else tuple(max(1, side) for side in extent)
        counts = [max(1, math.ceil(side / part)) for side, part in zip(extent, chunk, strict=True)]
        declared = math.prod(counts) * math.prod(chunk) * kind.get_size()
        if layout == h5d.CHUNKED and math.prod(counts) > limits.members:
            yield self.finding(Kind.LIMIT, place, f"it consists of {math.prod(counts):,} chunks")
        elif declared > limits.megabytes * 1_000_000:
            yield self.finding(Kind.LIMIT, place, f"it takes {declared:,} bytes")
        else:
            self.declared += declared
            self.stored += dataset.get_storage_size()
            if h5z.FILTER_DEFLATE in used:
                yield from self.of_chunks(place, dataset, math.prod(chunk) * kind.get_size())

    def of_chunks(self, place: str, dataset: h5d.DatasetID, size: int) -> Iterator[Finding]:
        """Yield a finding if a chunk unpacks to more than its size, which the HDF5 library does not limit."""
        for number in range(dataset.get_num_chunks()):
            chunk = dataset.get_chunk_info(number)
            if chunk.filter_mask:
                yield self.finding(Kind.BROKEN, place, "a chunk skips a filter")
                return
            if not unpacks_within(dataset.read_direct_chunk(chunk.chunk_offset)[1], size):
                yield self.finding(Kind.LIMIT, place, f"a chunk of {chunk.size:,} bytes unpacks to more than {size:,}")
                return

    def of_totals(self) -> Iterator[Finding]:
        """Yield findings if the datasets or the texts are larger in total than what the file stores."""
        yield from faults_of_totals(self.declared, self.stored, self.texts.total, self.size, self.context, self.where)


def links(group: h5g.GroupID) -> list[tuple[bytes, int]]:
    """Return the names in a group, with the types of the links."""
    found: list[tuple[bytes, int]] = []
    group.links.iterate(lambda name, info: found.append((name, info.type)), info=True)
    return found


def is_number(kind: Any) -> bool:
    """Tell whether an HDF5 type is numeric, including complex numbers and 8- and 16-bit floats."""
    if isinstance(kind, h5t.TypeCompoundID):
        parts = [kind.get_member_type(number) for number in range(min(3, kind.get_nmembers()))]
        return len(parts) == 2 and all(isinstance(part, h5t.TypeFloatID) for part in parts)
    if isinstance(kind, h5t.TypeOpaqueID):
        return bool(kind.get_size() <= MAX_OPAQUE)
    return isinstance(kind, h5t.TypeIntegerID | h5t.TypeFloatID | h5t.TypeEnumID | h5t.TypeBitfieldID)


def unpacks_within(packed: bytes, size: int) -> bool:
    """Tell whether a compressed chunk is valid and unpacks to at most ``size`` bytes."""
    unpacker, found = zlib.decompressobj(), 0
    try:
        while not unpacker.eof and packed and found <= size:
            found += len(unpacker.decompress(packed, BLOCK))
            packed = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return found <= size
