"""Judging the configuration of a Keras model: the JSON that says which layers it has and how they are called."""

from __future__ import annotations

import builtins
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picasso.models.scan import keras_symbols as symbols
from picasso.models.scan.findings import Context, Finding, Kind
from picasso.models.scan.json_reading import Unreadable, parse
from picasso.models.scan.quoting import shown, shown_path

# "keras.src.layers.core.dense" is of the package "layers"; the package of "keras" alone is "".
KERAS_MODULE = re.compile(r"(?:tf_)?keras(?:\.src)?(?:\.(?P<package>[a-z_]+)(?:\.[a-z0-9_]+)*)?")
# A class of one of these is no class of somebody's own.
NEVER_OWN = sys.stdlib_module_names | {"h5py", "keras", "numpy", "picasso", "tensorflow", "tf_keras", "torch", "jax"}

# An absolute path, an address, or a path that leaves its folder.
PATH = re.compile(
    r"[/\\~](?!$)|[A-Za-z]:[/\\]|[a-z0-9+.-]*://|(?:file|gs|s3|hf|https?|ftp|hdfs):|(?:.*[/\\])?\.\.[/\\]"
)
# What the arguments of a call may say: "channels_last", "float32", "bij,bjk->bik", "b (h w) c -> b h w c".
ARGUMENT = re.compile(r"[\w ,.()>*+|-]*")

# Settings that are the sides of a tensor, or how many values one has; in some, it has the square of them.
SIZES = dict.fromkeys(
    symbols.names("""
        batch_input_shape batch_shape build_input_shape crop_to cropping dims filters height input_dim input_shape
        intermediate_dim key_dim kernel_size max_tokens n num_bins num_heads num_thresholds num_tokens output_dim
        output_shape padding pool_size repetition_factor shape size target_shape units value_dim width
    """),
    1,
) | {"num_classes": 2}
# Settings that say how many objects of Python a layer makes, or how often it repeats something.
COUNTS = symbols.names("chain_depth ngrams num_chains num_oov_indices num_ops")
# A list, since a class may be named by anything.
MODELS = sorted(symbols.MODELS)
VALUES_PER_MEGABYTE = 250_000
# What holds the calls of a layer, and what a tensor is called in them.
CALLS, TENSOR = "inbound_nodes", "__keras_tensor__"
# Settings that name a function or class by a text alone.
NAMED = (
    (re.compile(r"(?:.*_)?activation"), symbols.ACTIVATIONS),
    (re.compile(r".*_initializer"), symbols.INITIALIZERS),
    (re.compile(r".*_regularizer"), symbols.REGULARIZERS),
    (re.compile(r".*_constraint"), symbols.CONSTRAINTS),
)


@dataclass(frozen=True)
class Place:
    """Where a value stands in a document.

    Attributes:
        value: the value.
        above: the place that it stands in, or None for the document itself.
        key: its name or position there.
        layer: the object of the layer that it belongs to, or None.
        call: whether it is part of the arguments of a call of a layer.
        names: whether its texts are names of layers.
        trained: whether it only says how the model was trained, which Keras does not get to read.
    """

    value: Any
    above: Place | None = None
    key: str | int = ""
    layer: dict[str, Any] | None = None
    call: bool = False
    names: bool = False
    trained: bool = False

    def path(self) -> str:
        """Return the way from the document to the value, such as ``config.layers[3].config.function``."""
        keys, place = [], self
        while place.above:
            keys.append(f"[{place.key}]" if isinstance(place.key, int) else f".{shown(place.key)[1:-1]}")
            place = place.above
        return "".join(reversed(keys)).lstrip(".")


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield what the architecture of a model, a JSON of Keras 1, 2 or 3, must not hold."""
    try:
        if path.stat().st_size > context.limits.json_bytes:
            raise Unreadable(Kind.LIMIT, path.name, f"the JSON has {path.stat().st_size:,} bytes")
        document = parse(path.read_bytes(), context, path.name)
        # Keras 1 encoded its JSON twice.
        for _ in range(2):
            if isinstance(document, str):
                document = parse(document.encode("utf-8", "replace"), context, path.name)
    except Unreadable as error:
        yield error.finding
        return
    if not isinstance(document, dict) or not {"class_name", "config"} <= document.keys():
        yield Finding(Kind.BROKEN, path.name, "the JSON describes no Keras model")
        return
    yield from judge(document, context, path.name)


def judge(document: Any, context: Context, where: str, *, trained: bool = False) -> Iterator[Finding]:
    """Yield what a configuration must not hold.

    Args:
        document: as read from JSON.
        context: what the operator said.
        where: the file or attribute that holds it.
        trained: whether it only says how the model was trained; what nobody knows in there is not asked for.
    """
    places = [Place(document, trained=trained)]
    while places:
        place = places.pop()
        for kind, what, name in faults(place, context):
            if not (name and place.trained):
                layer = place.value if is_layer(place.value) else place.layer
                parts = ("" if layer is None else described(layer), where, place.path())
                yield Finding(kind, ", ".join(filter(None, parts)), what, name)
        places += reversed(list(within(place)))


def within(place: Place) -> Iterator[Place]:
    """Yield the values inside one that are to be judged, too."""
    value, layer = place.value, place.layer
    if isinstance(value, list):
        first = 1 if place.call and is_history(value) else 0
        for position, one in enumerate(value[first:], first):
            if isinstance(one, str | dict | list):
                yield Place(one, place, position, layer, place.call, place.names, place.trained)
    elif isinstance(value, dict):
        layer = value if is_layer(value) else layer
        tensor = value.get("class_name") == TENSOR
        for key, one in value.items():
            if key != "vocabulary" and (isinstance(one, str | dict | list) or key in SIZES or key in COUNTS):
                call, names = place.call or key == CALLS, place.names or tensor
                trained = place.trained or (key == "compile_config" and place.above is None)
                yield Place(one, place, key, layer, call, names, trained)


def is_layer(value: Any) -> bool:
    """Tell whether a value describes a layer, or another object with a name, that is no model."""
    if not isinstance(value, dict) or "class_name" not in value or value["class_name"] in MODELS:
        return False
    config = value.get("config")
    return isinstance(config, dict) and "name" in config


def described(layer: dict[str, Any]) -> str:
    """Return a layer in words."""
    return f"layer {shown(layer['config']['name'])} ({shown(layer['class_name'])[1:-1]})"


def is_history(value: list[Any]) -> bool:
    """Tell whether a list of a call names a tensor: a layer, and which of its calls and outputs."""
    return len(value) >= 3 and isinstance(value[0], str) and all(type(one) is int for one in value[1:3])


Fault = tuple[Kind, str, str]


def faults(place: Place, context: Context) -> Iterator[Fault]:
    """Yield what is wrong with one value by itself: who may lift it, what, and the name of a class that is missing."""
    value, key = place.value, place.key
    if isinstance(value, str):
        if not place.names:
            yield from faults_of_text(value, place)
    elif isinstance(value, dict):
        if "class_name" in value:
            yield from faults_of_object(value, context)
        if isinstance(value.get(CALLS), list) and not all(map(holds_tensor, value[CALLS])):
            # Keras computes such a call at once, before there is a model.
            yield Kind.CODE, "a call has no tensor among its arguments", ""
        if not is_plain(value.get("vocabulary")):
            yield Kind.CODE, "the vocabulary is no list of words, but may name a file", ""
    elif key in COUNTS and (count := largest(value)) > context.limits.members:
        yield Kind.LIMIT, f"the setting {key} is {count:,}, and {context.limits.members:,} are allowed", ""
    elif key in SIZES and (values := elements(value) ** SIZES[key]) > context.limits.megabytes * VALUES_PER_MEGABYTE:
        yield Kind.LIMIT, f"the setting {key} describes a tensor of {values:,} values", ""


def faults_of_text(text: str, place: Place) -> Iterator[Fault]:
    """Yield what is wrong with a text."""
    if PATH.match(text) or "://" in text:
        yield Kind.CODE, f"the value {shown_path(text)} is a path or an address", ""
    elif place.call and place.key != "name" and not ARGUMENT.fullmatch(text):
        yield Kind.CODE, f"the call has the argument {shown(text)}, which may be a path", ""


def holds_tensor(call: Any) -> bool:
    """Tell whether the arguments of a call hold a tensor, as any version of Keras writes them."""
    if isinstance(call, dict):
        return call.get("class_name") == TENSOR or any(map(holds_tensor, call.values()))
    return isinstance(call, list) and (is_history(call) or any(map(holds_tensor, call)))


def is_plain(value: Any) -> bool:
    """Tell whether a value is a list of words and numbers, or none."""
    return value is None or (isinstance(value, list) and not any(isinstance(one, dict | list) for one in value))


def elements(value: Any) -> int:
    """Return how many elements a tensor with these sides has, or the largest of several tensors."""
    if not isinstance(value, list):
        return abs(value) if isinstance(value, int) else 1
    sides = [max(1, elements(one)) for one in value]
    return max(sides) if any(isinstance(one, list) for one in value) else math.prod(sides)


def largest(value: Any) -> int:
    """Return a number, or the largest one of a list."""
    if isinstance(value, list):
        return max(map(largest, value), default=0)
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def faults_of_object(value: dict[str, Any], context: Context) -> Iterator[Fault]:
    """Yield why an object of a configuration may not be made: a class or function that is no known part of Keras."""
    kind, config, module = value["class_name"], value.get("config"), value.get("module")
    registered = value.get("registered_name")
    if not isinstance(kind, str) or not isinstance(module, str | None) or not isinstance(registered, str | None):
        yield Kind.CODE, "a class is named by something else than a text", ""
    elif kind in symbols.STRUCTURES:
        dtype = config.get("dtype") if isinstance(config, dict) else None
        if kind in ("__numpy__", "__tensor__") and not (isinstance(dtype, str) and dtype in symbols.DTYPES):
            yield Kind.CODE, f"a constant has the type {shown(dtype)}, which is no type of numbers", ""
    elif kind == "function":
        yield from faults_of_function(config, module, registered, context.known)
    elif kind in symbols.REFUSED_STRUCTURES:
        yield Kind.CODE, symbols.REFUSED_STRUCTURES[kind], ""
    elif not is_own(value, context.known):
        yield from faults_of_class(kind, config, module, registered)
        yield from faults_of_names(config, context.known)


def is_own(value: dict[str, Any], known: frozenset[str]) -> bool:
    """Tell whether Keras makes a class that the operator has registered of an object.

    Where the file names a module, Keras looks for the registered name first; in files of Keras 1 and 2, which name
    none, for the class. Some objects are read either way, so what is refused may not hide behind a registered name.
    """
    kind = value["class_name"]
    registered = value.get("registered_name", kind)
    if kind in known:
        return "module" not in value or registered in known
    return "module" in value and registered in known and kind not in symbols.REFUSED_LAYERS


def faults_of_class(kind: str, config: Any, module: str | None, registered: str | None) -> Iterator[Fault]:
    """Yield why a class may not be made that the operator has not registered."""
    whole, package = registered or kind, package_of(module)
    if kind in symbols.REFUSED_LAYERS:
        yield Kind.CODE, f"a layer {kind} {symbols.REFUSED_LAYERS[kind]}", ""
    elif kind in symbols.OPERATION_LAYERS:
        function = config.get("function") if isinstance(config, dict) else None
        if not isinstance(function, str) or function not in symbols.TENSORFLOW_FUNCTIONS:
            yield Kind.CODE, f"the function {shown(function)} of TensorFlow is not known to compute only", ""
    elif module is None:
        if kind in symbols.OPERATIONS - symbols.BARE and registered in (None, kind):
            what = f"{shown(kind)} is an operation of keras.ops, which Keras can't read from a file of this kind"
            yield Kind.BROKEN, f"{what}: save the whole model as .keras", ""
        elif kind not in symbols.BARE or registered not in (None, kind):
            yield missing(whole)
    elif package is None:
        foreign = kind in symbols.BARE or is_foreign(module)
        what = f"the class {shown(kind)} is taken from the module {shown(module)}"
        yield (Kind.CODE, what, "") if foreign else missing(whole)
    elif kind not in symbols.PACKAGES.get(package, ()):
        yield Kind.CODE, f"{shown(f'{module}.{kind}')} is no layer, and not known to compute only", ""
    elif registered not in (None, kind):
        yield Kind.CODE, f"a class of Keras is registered as {shown(registered)}", ""


def faults_of_names(config: Any, known: frozenset[str]) -> Iterator[Fault]:
    """Yield the functions and classes that a configuration names by a text alone, and that are no part of Keras."""
    for key, text in config.items() if isinstance(config, dict) else ():
        names = next((found for pattern, found in NAMED if pattern.fullmatch(key)), None)
        if names and isinstance(text, str) and text not in names | known:
            yield missing(text)


def faults_of_function(name: Any, module: str | None, registered: str | None, known: frozenset[str]) -> Iterator[Fault]:
    """Yield why a function may not be used, such as one that the operator has not registered."""
    package = package_of(module)
    if not isinstance(name, str):
        yield Kind.CODE, "a function is named by something else than a text", ""
    elif name in known or (module == "builtins" and any(one.endswith(f">{name}") for one in known)):
        return
    elif module in (None, "builtins"):
        if name not in symbols.BUILTIN_FUNCTIONS or registered not in (None, "function", name):
            foreign = hasattr(builtins, name)
            yield (Kind.CODE, f"the function {shown(name)} is one of Python", "") if foreign else missing(name)
    elif package is None:
        if is_foreign(str(module)) or name in symbols.BUILTIN_FUNCTIONS:
            yield Kind.CODE, f"the function {shown(name)} is taken from the module {shown(module)}", ""
        else:
            yield missing(name)
    elif name not in symbols.FUNCTIONS.get(package, ()) or registered not in (None, "function", name):
        yield Kind.CODE, f"the function {shown(f'{module}.{name}')} is not known to compute only", ""


def missing(name: str) -> Fault:
    """Return the fault of a class or function that is no part of Keras and that nobody has registered."""
    return Kind.CUSTOM, f"{shown(name)} is no part of Keras", name


def package_of(module: str | None) -> str | None:
    """Return the package of Keras that a module belongs to, "" for Keras itself, or None for any other module."""
    found = KERAS_MODULE.fullmatch(module or "")
    return (found["package"] or "") if found else None


def is_foreign(module: str) -> bool:
    """Tell whether a module is known not to hold classes of somebody's own."""
    return module.partition(".")[0] in NEVER_OWN
