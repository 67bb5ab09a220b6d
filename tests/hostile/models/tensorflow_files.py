"""Hostile TensorFlow files: operations that touch the disk, wherever they hide, and graphs that cost too much."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.hostile.models import Hostile
from tests.hostile.models.protobuf import entry, field
from tests.hostile.models.tensorflow_graphs import (
    BOOL,
    CLASSES,
    FLOAT,
    INT32,
    INT64,
    RESOURCE,
    SERVING,
    STRING,
    UINT8,
    VARIANT,
    answer,
    asset,
    block,
    block_of,
    call,
    calls,
    checkpoint,
    classifier,
    constant,
    function,
    graph,
    integer,
    integers,
    kind,
    kinds,
    meta_graph,
    node,
    placeholder,
    saved,
    saver,
    scalar,
    shapes,
    signature,
    sized,
    stored,
    string,
    tensor,
    text,
    variable,
)  # fmt: skip

# How inputs in a function end.
INSIDE = ":output:0"

Make = Callable[[Path], bytes]
Write = Callable[[Path, Path], None]


def own_name(folder: Path, ending: str) -> str:
    """Return the name of the file that belongs into a folder."""
    return folder.name.removesuffix("_" + ending.replace(".", "_")) + "." + ending


def frozen(make: Make) -> Write:
    """Return what writes a frozen graph."""

    def write(folder: Path, mark: Path) -> None:
        (folder / own_name(folder, "pb")).write_bytes(make(mark))

    return write


def folder_of(make: Make, prepare: Callable[[Path, Path], object] = lambda *_: None) -> Write:
    """Return what writes a SavedModel, after which its folder is prepared further."""

    def write(folder: Path, mark: Path) -> None:
        model = folder / folder.name
        model.mkdir()
        (model / "saved_model.pb").write_bytes(make(mark))
        prepare(model, mark)

    return write


def saver_of(make: Make, **more: object) -> Write:
    """Return what writes a checkpoint; ``more`` goes to :func:`checkpoint`."""

    def write(folder: Path, mark: Path) -> None:
        prefix = folder / own_name(folder, "ckpt.meta").removesuffix(".meta")
        checkpoint(prefix, make(mark), **more)  # type: ignore[arg-type]

    return write


# ---- operations that touch the disk --------------------------------------------------------------------------------


def written(mark: Path) -> str:
    """Return a path that does not exist yet."""
    return str(mark.parent / "written")


def writing(mark: Path, name: str = "evil", ending: str = "") -> list[bytes]:
    """Return operations of which the last writes a file; in a function, inputs end in ``:output:0``."""
    return [
        string(f"{name}/path", written(mark)),
        string(f"{name}/text", "owned"),
        node(name, "WriteFile", f"{name}/path{ending}", f"{name}/text{ending}"),
    ]


def records(mark: Path) -> list[bytes]:
    """Return operations of which the last writes a data set into a file."""
    return [
        string("row", "owned"),
        string("path", written(mark)),
        string("none", ""),
        node("set", "TensorDataset", "row", Toutput_types=kinds(STRING), output_shapes=shapes([])),
        node("evil", "DatasetToTFRecord", "set", "path", "none"),
    ]


def added(*nodes: bytes, source: str, of: int) -> list[bytes]:
    """Return a classifier to whose scores the first values of a tensor are added."""
    cast = node("extra", "Cast", source, SrcT=kind(of), DstT=kind(FLOAT))
    return classifier(*nodes, cast, extra="extra")


def region(mark: Path) -> bytes:
    """Return an operation that maps a file into memory as a constant."""
    return node("evil", "ImmutableConst", dtype=kind(UINT8), shape=sized(CLASSES), memory_region_name=text(str(mark)))


def read(mark: Path) -> list[bytes]:
    """Return a classifier whose scores are the contents of a file."""
    return added(
        string("path", str(mark)),
        node("evil", "ReadFile", "path"),
        node("bytes", "DecodeRaw", "evil", out_type=kind(UINT8)),
        integers("from", 0),
        integers("size", CLASSES),
        node("first", "Slice", "bytes", "from", "size", T=kind(UINT8), Index=kind(INT32)),
        source="first",
        of=UINT8,
    )


def restored(mark: Path) -> list[bytes]:
    """Return a classifier that restores its scores from another checkpoint as it answers."""
    return classifier(
        string("path", str(mark)),
        string("key", "w"),
        string("part", ""),
        node("evil", "RestoreV2", "path", "key", "part", dtypes=kinds(FLOAT)),
        extra="evil",
    )


def one(operation: str, *inputs: str, **attributes: bytes) -> Make:
    """Return what makes a classifier that waits for one operation."""
    return lambda mark: graph(classifier(string("s", written(mark)), node("evil", operation, *inputs, **attributes),
                                         waits=["evil"]))  # fmt: skip


def hidden(name: str, *more: bytes, inputs: Sequence[str] = ("zero",), **attributes: bytes) -> Make:
    """Return what makes a graph whose operation ``name`` leads to a function that writes a file."""

    def make(mark: Path) -> bytes:
        body = writing(mark, ending=INSIDE)
        harmful = function("harmful", {"a": FLOAT}, {"b": (FLOAT, "a")}, *body)
        inner = function("inner", {"a": FLOAT}, {"b": (FLOAT, "evil:output:0")},
                         call("evil", "harmful", "a", takes=[FLOAT]))  # fmt: skip
        nodes = classifier(*more, node("found", name, *inputs, **attributes), extra="found")
        return graph(nodes, [harmful, inner])

    return make


def branch() -> dict[str, bytes]:
    """Return attributes of a choice, one of whose branches writes a file."""
    return {"Tcond": kind(FLOAT), "Tin": kinds(FLOAT), "Tout": kinds(FLOAT), "then_branch": calls("inner"),
            "else_branch": calls("harmful")}  # fmt: skip


def gradient(mark: Path) -> bytes:
    """Return a graph whose harmless function has a gradient that writes a file."""
    plain = function("plain", {"a": FLOAT}, {"b": (FLOAT, "a")})
    harmful = function("harmful", {"a": FLOAT, "g": FLOAT}, {"b": (FLOAT, "g")}, *writing(mark, ending=INSIDE))
    nodes = classifier(call("found", "plain", "zero", takes=[FLOAT]), extra="found")
    return graph(nodes, [plain, harmful], [("plain", "harmful")])


def named_like_an_operation(mark: Path) -> bytes:
    """Return a graph with a function that takes the place of an operation."""
    harmful = function("Relu", {"a": FLOAT}, {"b": (FLOAT, "a")}, *writing(mark, ending=INSIDE))
    return graph(classifier(node("found", "Relu", "zero", T=kind(FLOAT)), extra="found"), [harmful])


# ---- what is run when: initializers, restore operations, assets ---------------------------------------------------


def initializer(mark: Path) -> bytes:
    """Return a SavedModel whose initializer writes a file."""
    init = entry(5, "__saved_model_init_op", entry(2, "__saved_model_init_op", field(1, "evil")))
    return saved(graph(classifier(*writing(mark))), signatures=SERVING + init)


def saving_initializer(mark: Path) -> bytes:
    """Return a SavedModel whose initializer saves a checkpoint somewhere."""
    nodes = [
        string("path", written(mark)), string("key", "w"), string("part", ""),
        node("evil", "SaveV2", "path", "key", "part", "zero", dtypes=kinds(FLOAT)),
    ]  # fmt: skip
    init = entry(5, "__saved_model_init_op", entry(2, "__saved_model_init_op", field(1, "evil")))
    return saved(graph(classifier(*nodes)), signatures=SERVING + init)


def main_operation(mark: Path) -> bytes:
    """Return a SavedModel of TensorFlow 1 whose main operation writes a file."""
    listed = entry(4, "saved_model_main_op", field(1, field(1, "evil")))
    return field(1, 1) + field(2, meta_graph(graph(classifier(*writing(mark))), signatures=SERVING, more=listed))


def resource_function(mark: Path) -> bytes:
    """Return a SavedModel with a table whose initializer, a function of the graph of objects, restores values."""
    nodes = [string("path", str(mark)), string("key", "w"), string("part", ""),
             node("r", "RestoreV2", "path", "key", "part", dtypes=kinds(FLOAT))]  # fmt: skip
    harmful = function("fill", {}, {"b": (FLOAT, "r:tensors:0")}, *nodes)
    table = field(1, field(1, field(1, 1) + field(2, "_initialize")) + field(10, b""))
    made = field(1, field(6, field(1, "fill")))
    return saved(graph(classifier(), [harmful]), objects=table + made)


def table(name: str, file: str, *more: bytes, takes: Sequence[str] = ()) -> bytes:
    """Return a SavedModel whose initializer fills a table from a text file."""
    nodes = [
        node("table", "HashTableV2", key_dtype=kind(STRING), value_dtype=kind(INT64), shared_name=text("t")),
        string(name, file),
        node("fill", "InitializeTableFromTextFileV2", "table", name, key_index=field(3, -2), value_index=field(3, -1)),
    ]  # fmt: skip
    init = entry(5, "__saved_model_init_op", entry(2, "__saved_model_init_op", field(1, "fill")))
    return saved(graph(classifier(*nodes)), signatures=SERVING + init, more=b"".join(more))


def table_in_function(mark: Path) -> bytes:
    """Return a SavedModel that hands the name of a foreign file to the function which fills a table."""
    fill = node("fill", "InitializeTableFromTextFileV2", "t", "f", key_index=field(3, -2), value_index=field(3, -1))
    filling = function("filling", {"t": RESOURCE, "f": STRING}, {"b": (STRING, "f")}, fill)
    nodes = [
        node("table", "HashTableV2", key_dtype=kind(STRING), value_dtype=kind(INT64), shared_name=text("t")),
        string("file", str(mark)),
        call("init", "filling", "table", "file", takes=[RESOURCE, STRING], gives=[STRING]),
    ]
    init = entry(5, "__saved_model_init_op", entry(2, "__saved_model_init_op", field(1, "init")))
    return saved(graph(classifier(*nodes), [filling]), signatures=SERVING + init)


def restoring(mark: Path) -> bytes:
    """Return the graph of a checkpoint that names, as its restore operation, one that writes a file."""
    return meta_graph(graph(classifier(*variable(), *writing(mark), extra="w/read")),
                      saving=saver("save/Const:0", "save/Const:0", "evil"))  # fmt: skip


def restoring_by_saving(mark: Path) -> bytes:
    """Return the graph of a checkpoint whose restore operation saves somewhere."""
    nodes = [string("path", written(mark)), string("key", "w"), string("part", ""),
             node("evil", "SaveV2", "path", "key", "part", "w", dtypes=kinds(FLOAT))]  # fmt: skip
    return meta_graph(graph(classifier(*variable(), *nodes, extra="w/read")),
                      saving=saver("save/Const:0", "save/Const:0", "evil"))  # fmt: skip


def plain_meta(_: Path) -> bytes:
    """Return the harmless graph of a checkpoint."""
    return meta_graph(graph(classifier(*variable(), extra="w/read")),
                      saving=saver("save/Const:0", "save/Const:0", "save/restore_all"))  # fmt: skip


def link_variables(model: Path, mark: Path) -> None:
    """Let the folder of variables be a link to another folder."""
    (model / "variables").symlink_to(mark.parent, target_is_directory=True)


def link_asset(model: Path, mark: Path) -> None:
    """Let an asset be a link to another file."""
    (model / "assets").mkdir()
    (model / "assets" / "words.txt").symlink_to(mark)


def link_index(model: Path, mark: Path) -> None:
    """Let the index of the variables be a link to another file."""
    (model / "variables").mkdir()
    (model / "variables" / "variables.index").symlink_to(mark)


def link_data(folder: Path, mark: Path) -> None:
    """Write a checkpoint whose data file is a link to another file."""
    saver_of(plain_meta)(folder, mark)
    data = folder / "tf_linked.ckpt.data-00000-of-00001"
    data.unlink()
    data.symlink_to(mark)


# ---- what costs too much -------------------------------------------------------------------------------------------


def filled(operation: str, *dims: int, **attributes: bytes) -> Make:
    """Return what makes a graph with a huge result of an operation that takes sizes first."""
    inputs = ("dims", "zero") if operation == "Fill" else ("dims",)
    made = node("huge", operation, *inputs, **attributes)
    total = [node("small", "Max", "huge", "axes", T=kind(FLOAT), Tidx=kind(INT32))]
    return lambda _: graph(classifier(integers("dims", *dims), made, *total, extra="small"))


def tiled(_: Path) -> bytes:
    """Return a graph that repeats a constant billions of times."""
    nodes = [integers("times", 1 << 30, 1 << 10), integers("one", 1), node("row", "Pack", "one", N=field(3, 1)),
             node("huge", "Tile", "row", "times", T=kind(INT32)),
             node("small", "Max", "huge", "axes", T=kind(INT32), Tidx=kind(INT32))]  # fmt: skip
    return graph(added(*nodes, source="small", of=INT32))


def ranged(_: Path) -> bytes:
    """Return a graph that counts very far."""
    nodes = [constant("stop", tensor(INT64, (), struct.pack("<q", 10**12)), INT64),
             constant("start", tensor(INT64, (), struct.pack("<q", 0)), INT64),
             constant("step", tensor(INT64, (), struct.pack("<q", 1)), INT64),
             node("huge", "Range", "start", "stop", "step", Tidx=kind(INT64)),
             node("small", "Max", "huge", "axes", T=kind(INT64), Tidx=kind(INT32))]  # fmt: skip
    return graph(added(*nodes, source="small", of=INT64))


def repeated(_: Path) -> bytes:
    """Return a graph with a constant that says one value and a shape of billions."""
    return graph(classifier(constant("huge", tensor(FLOAT, (100_000, 100_000), b"", field(5, struct.pack("<f", 1))),
                                     FLOAT)))  # fmt: skip


def many_repeated(_: Path) -> bytes:
    """Return a graph with many constants of which each alone is small enough."""
    made = [constant(f"c{index}", tensor(FLOAT, (10_000, 10_000), b"", field(5, struct.pack("<f", 1))), FLOAT)
            for index in range(30)]  # fmt: skip
    return graph(classifier(*made))


def impossible(_: Path) -> bytes:
    """Return a graph with a constant of a shape that overflows every integer."""
    return graph(classifier(constant("huge", tensor(FLOAT, [1 << 62] * 200), FLOAT)))


def looping(condition: bytes, *parts: bytes) -> Make:
    """Return what makes a graph with a loop that has a condition."""
    test = function("test", {"i": INT32}, {"go": (BOOL, "go:output:0")}, *parts, condition)
    body = function("body", {"i": INT32}, {"o": (INT32, "same:output:0")}, node("same", "Identity", "i", T=kind(INT32)))
    loop = node("loop", "While", "start", cond=calls("test"), body=calls("body"), T=kinds(INT32))
    return lambda _: graph(added(integer("start", 0), loop, source="loop", of=INT32), [test, body])


def old_loop(_: Path) -> bytes:
    """Return a graph with a loop of TensorFlow 1 whose condition is a constant."""
    nodes = [
        integer("start", 0),
        node("enter", "Enter", "start", T=kind(INT32), frame_name=text("f")),
        node("merge", "Merge", "enter", "next", T=kind(INT32), N=field(3, 2)),
        constant("true", tensor(BOOL, (), b"\1"), BOOL),
        node("go", "LoopCond", "true"),
        node("switch", "Switch", "merge", "go", T=kind(INT32)),
        node("next", "NextIteration", "switch:1", T=kind(INT32)),
        node("exit", "Exit", "switch", T=kind(INT32)),
    ]
    return graph(added(*nodes, source="exit", of=INT32))


def recursive(_: Path) -> bytes:
    """Return a graph with a function that calls itself by way of another."""
    pair = [function(name, {"a": FLOAT}, {"b": (FLOAT, "c:output:0")}, call("c", other, "a", takes=[FLOAT]))
            for name, other in (("ping", "pong"), ("pong", "ping"))]  # fmt: skip
    return graph(classifier(call("found", "ping", "zero", takes=[FLOAT]), extra="found"), pair)


def multiplying(_: Path) -> bytes:
    """Return a graph whose functions call one another ten times each."""
    functions = [
        function(f"f{level}", {"a": FLOAT}, {"b": (FLOAT, "c9:output:0")},
                 *(call(f"c{index}", f"f{level + 1}", "a", takes=[FLOAT]) for index in range(10)))
        for level in range(12)
    ] + [function("f12", {"a": FLOAT}, {"b": (FLOAT, "c:y:0")}, node("c", "Abs", "a", T=kind(FLOAT)))]  # fmt: skip
    return graph(classifier(call("found", "f0", "zero", takes=[FLOAT]), extra="found"), functions)


def deep(_: Path) -> bytes:
    """Return a graph of a thousand functions that call one another in a row."""
    functions = [
        function(f"f{level}", {"a": FLOAT}, {"b": (FLOAT, "c:output:0")},
                 call("c", f"f{level + 1}", "a", takes=[FLOAT]))
        for level in range(1000)
    ] + [function("f1000", {"a": FLOAT}, {"b": (FLOAT, "a")})]  # fmt: skip
    return graph(classifier(call("found", "f0", "zero", takes=[FLOAT]), extra="found"), functions)


# ---- broken files --------------------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    """Return an attribute that names a function with an attribute that names a function, and so on."""
    made = field(10, field(1, "f"))
    for _ in range(depth):
        made = field(10, field(1, "f") + entry(2, "a", made))
    return made


def twice(_: Path) -> bytes:
    """Return an operation that has two kinds, of which libraries take the last."""
    return graph([*classifier(), field(1, "odd") + field(2, "NoOp") + field(2, "WriteFile")])


def plain_graph(_: Path) -> bytes:
    """Return a harmless frozen graph."""
    return graph(classifier())


def hostile_list() -> list[Hostile]:
    """Return all files."""
    code, limit, broken = "code", "limit", "broken"
    foreign = "refers? to a file that is not an asset|reads a file that is not an asset"
    graphs: list[tuple[str, str, str, Make]] = [
        ("write", code, 'WriteFile writes files; node "evil"', lambda mark: graph(
            classifier(*writing(mark), waits=["evil"]))),
        ("record", code, "DatasetToTFRecord writes files", lambda mark: graph(
            classifier(*records(mark), waits=["evil"]))),
        ("read", code, "ReadFile reads files", lambda mark: graph(read(mark))),
        ("region", code, "ImmutableConst reads files", lambda mark: graph(
            added(region(mark), source="evil", of=UINT8))),
        ("restore", code, "RestoreV2 reads files, and a prediction depends on it", lambda mark: graph(restored(mark))),
        ("save", code, "SaveV2 writes files, and a prediction depends on it", lambda mark: graph(classifier(
            string("path", written(mark)), string("key", "w"), string("part", ""),
            node("evil", "SaveV2", "path", "key", "part", "zero", dtypes=kinds(FLOAT)), waits=["evil"]))),
        ("python", code, "PyFunc calls Python", one("PyFunc", "zero", token=text("0"), Tin=kinds(FLOAT),
                                                    Tout=kinds(FLOAT))),
        ("print", code, "PrintV2 prints", one("PrintV2", "s", output_stream=text("file:///tmp/printed"))),
        ("debug", code, "DebugNanCount writes files", one("DebugNanCount", "zero", T=kind(FLOAT))),
        ("match", code, "MatchingFiles reads files", one("MatchingFiles", "s")),
        ("lines", code, "TextLineDataset reads files", one("TextLineDataset", "s", "s", "s")),
        ("sql", code, "SqlDataset reads files", one("SqlDataset", "s", "s", "s", output_types=kinds(STRING))),
        ("service", code, "DataServiceDatasetV4 communicates with other processes", one("DataServiceDatasetV4", "s")),
        ("rpc", code, "RpcServer communicates with other processes", one("RpcServer", "s")),
        ("send", code, "_Send communicates with other processes", one(
            "_Send", "zero", T=kind(FLOAT), tensor_name=text("t"))),
        ("xla", code, "XlaCallModule compiles code", one("XlaCallModule", "zero", module=text("m"))),
        ("custom", code, "EvilOp is not known to be harmless", one("EvilOp", "zero")),
        ("escape", code, "is not known to be harmless", one("\x1b[2J" + "x" * 300, "zero")),
        ("uninitialized", code, "Empty is not known to be harmless", one("Empty", "axes", dtype=kind(FLOAT))),
        ("image", code, "DecodeJpeg decodes data, and a prediction depends", lambda _: graph(added(
            string("s", "x"), node("evil", "DecodeJpeg", "s"), source="evil", of=UINT8))),
        ("handle", code, "is not a tensor of numbers or strings but an object", lambda _: graph(classifier(constant(
            "evil", tensor(RESOURCE, (), b"", field(14, field(1, "cpu:0"))), RESOURCE)))),
        ("variant", code, "is not a tensor of numbers or strings but an object", lambda _: graph(classifier(constant(
            "evil", tensor(VARIANT, (), b"", field(15, field(1, "tensorflow::DatasetVariantWrapper"))), VARIANT)))),
        ("truncated_type", broken, "a type has an unknown number", lambda _: graph(classifier(constant(
            "evil", tensor((1 << 32) + VARIANT, (), b"x"), VARIANT)))),
        ("truncated_field", broken, "an unsupported wire type", lambda _: graph(classifier(constant(
            "evil", tensor(FLOAT, (), bytes(4), field((1 << 29) + 1, VARIANT)), FLOAT)))),
        ("call", code, 'WriteFile.*function "harmful"', hidden(
            "PartitionedCall", f=calls("inner"), Tin=kinds(FLOAT), Tout=kinds(FLOAT))),
        ("direct", code, 'WriteFile.*function "harmful"', hidden("inner")),
        ("branch", code, 'WriteFile.*function "harmful"', hidden("If", inputs=("zero", "zero"), **branch())),
        ("case", code, 'WriteFile.*function "harmful"', hidden(
            "Case", branches=field(1, field(9, field(1, "inner")) + field(9, field(1, "harmful"))))),
        ("foreign_attribute", code, 'WriteFile.*function "harmful"', hidden("Identity", T=kind(FLOAT),
                                                                              unknown=calls("harmful"))),
        ("gradient", code, 'WriteFile.*function "harmful"', gradient),
        ("shadow", code, "has the name of an operation", named_like_an_operation),
        ("fill", limit, "its result takes .* MB", filled("Fill", 1 << 20, 1 << 20, T=kind(FLOAT),
                                                         index_type=kind(INT32))),
        ("random", limit, "its result takes .* MB", filled("RandomUniform", 1 << 20, 1 << 20, T=kind(INT32),
                                                           dtype=kind(FLOAT))),
        ("tile", limit, "its result takes .* MB", tiled),
        ("range", limit, "its result takes .* MB", ranged),
        ("repeated", limit, "its result takes .* MB", repeated),
        ("many_repeated", limit, "its constants take", many_repeated),
        ("impossible", limit, "more memory than is available", impossible),
        ("input", limit, "its result takes", lambda _: graph([
            placeholder(sizes=(1, 100_000, 100_000, 3)), scalar("zero", 0), *answer()])),
        ("endless", limit, "may never end", looping(
            constant("go", tensor(BOOL, (), b"\1"), BOOL))),
        ("stuck", limit, "may never end", looping(
            node("go", "Less", "i", "ten", T=kind(INT32)), integer("ten", 10))),
        ("old_loop", limit, "may never end", old_loop),
        ("recursive", limit, "calls itself", recursive),
        ("multiplying", limit, "the nested calls of its functions amount", multiplying),
        ("deep", limit, "nested more than 200 deep", deep),
        ("nested", broken, "nested too deeply", lambda _: graph(classifier(
            node("odd", "Identity", "zero", T=kind(FLOAT), f=nested(500))))),
        ("twice", broken, "two names or two types", twice),
        ("same_name", broken, "two operations have the name", lambda _: graph([*classifier(), scalar("zero", 1)])),
        ("truncated", broken, "it is truncated", lambda mark: plain_graph(mark)[:-3]),
        ("group", broken, "an unsupported wire type", lambda mark: plain_graph(mark) + b"\x0b\x0c"),
        ("newer", broken, "unknown field number 99", lambda mark: plain_graph(mark) + field(99, "new")),
        ("text", broken, "is not a frozen TensorFlow graph", lambda _: b"node {\n  name: 'x'\n}\n"),
    ]  # fmt: skip
    folders: list[tuple[str, str, str, Write]] = [
        ("initializer", code, "WriteFile writes files", folder_of(initializer)),
        ("saving_initializer", code, "SaveV2 writes files, and loading depends on it", folder_of(saving_initializer)),
        ("main_operation", code, "WriteFile writes files", folder_of(main_operation)),
        ("resource", code, "RestoreV2 reads files, and loading depends on it", folder_of(resource_function)),
        ("table", code, foreign, folder_of(lambda mark: table("file", str(mark)))),
        ("table_in_function", code, foreign, folder_of(table_in_function)),
        ("asset_outside", code, "is a path outside the model's folder", folder_of(
            lambda mark: table("file", "words.txt", asset("file:0", str(mark))))),
        ("asset_above", code, "is a path outside the model's folder", folder_of(
            lambda _: table("file", "words.txt", asset("file:0", "../../outside/secret.txt")))),
        ("asset_address", code, "is an address", folder_of(
            lambda _: table("file", "words.txt", asset("file:0", "gs://bucket/words.txt")))),
        ("asset_link", code, "is a link to a place outside", folder_of(
            lambda _: table("file", "words.txt", asset("file:0", "words.txt")), link_asset)),
        ("variables_link", code, "is a link to a place outside", folder_of(
            lambda _: saved(graph(classifier())), link_variables)),
        ("index_link", code, "is a link to a place outside", folder_of(
            lambda _: saved(graph(classifier())), link_index)),
        ("serving", code, "SaveV2 writes files, and a prediction depends on it", folder_of(lambda mark: saved(graph(
            classifier(string("path", written(mark)), string("key", "w"), string("part", ""),
                       node("evil", "SaveV2", "path", "key", "part", "zero", dtypes=kinds(FLOAT)), waits=["evil"]))))),
        ("no_graph", broken, "contains no graph", folder_of(lambda _: field(1, 1))),
        ("signatures", code, "WriteFile", folder_of(lambda mark: saved(
            graph(classifier(*writing(mark))), signatures=SERVING + entry(5, "z", signature({"p": "evil:0"}))))),
    ]  # fmt: skip
    header, plain = field(1, 1) + field(3, field(1, 1)), {"w": stored(FLOAT, (3,), 0, 12)}
    huge = {"w": stored(FLOAT, (1 << 20, 1 << 20), 0, 12)}
    checkpoints: list[tuple[str, str, str, Write]] = [
        ("restoring", code, "WriteFile writes files", saver_of(restoring)),
        ("restoring_by_saving", code, "SaveV2 writes files, and restoring depends on it", saver_of(
            restoring_by_saving)),
        ("linked", broken, "or outside the folder", link_data),
        ("variant_value", code, "but an object", saver_of(plain_meta, entries={"w": stored(VARIANT, (), 0, 12)})),
        ("huge_value", broken, "its size does not match its shape", saver_of(plain_meta, entries=huge)),
        ("beyond", broken, "the data file is truncated before it", saver_of(
            plain_meta, entries={"w": stored(FLOAT, (3,), 1 << 40, 12)})),
        ("no_data", broken, "its data file is missing", saver_of(
            plain_meta, entries={"w": stored(FLOAT, (3,), 0, 12, shard=7)})),
        ("truncated_type", broken, "a type has an unknown number", saver_of(
            plain_meta, entries={"w": stored((1 << 32) + VARIANT, (), 0, 12)})),
        ("unknown_type", broken, "the unknown type 99", saver_of(
            plain_meta, entries={"w": stored(99, (), 0, 12)})),
        ("two_counts", broken, "field number 1 twice", saver_of(
            plain_meta, listed=block_of(plain, header + field(1, 2)))),
        ("two_headers", broken, "its keys are not in ascending order", saver_of(plain_meta, listed=block(
            [(b"", field(1, 2)), (b"", header), (b"w", plain["w"])]))),
        ("no_header", broken, "its header entry is missing", saver_of(
            plain_meta, listed=block([(b"w", plain["w"])]))),
        ("hidden_entry", broken, "does not point to an entry", saver_of(
            plain_meta, listed=block_of(plain)[:-8] + struct.pack("<III", 0, 14, 2))),
    ]  # fmt: skip
    return [
        *(Hostile(f"tf_{name}.pb", of, said, frozen(make)) for name, of, said, make in graphs),
        *(Hostile(f"tf_{name}", of, said, write) for name, of, said, write in folders),
        *(Hostile(f"tf_{name}.ckpt.meta", of, said, write) for name, of, said, write in checkpoints),
    ]


FILES = hostile_list()
