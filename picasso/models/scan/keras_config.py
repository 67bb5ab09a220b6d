"""Check the configuration of a Keras model: the JSON of its layers and their calls."""

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

# The package of "keras.src.layers.core.dense" is "layers"; that of "keras" alone is "".
KERAS_MODULE = re.compile(r"(?:tf_)?keras(?:\.src)?(?:\.(?P<package>[a-z_]+)(?:\.[a-z0-9_]+)*)?")
# Top-level packages that do not contain custom classes.
NEVER_OWN = sys.stdlib_module_names | {"h5py", "keras", "numpy", "picasso", "tensorflow", "tf_keras", "torch", "jax"}

# An absolute path, a URL, or a path with "..".
PATH = re.compile(
    r"[/\\~](?!$)|[A-Za-z]:[/\\]|[a-z0-9+.-]*://|(?:file|gs|s3|hf|https?|ftp|hdfs):|(?:.*[/\\])?\.\.[/\\]"
)
# The allowed texts in the arguments of a call: "channels_last", "float32", "bij,bjk->bik", "b (h w) c -> b h w c".
ARGUMENT = re.compile(r"[\w ,.()>*+|-]*")

# Settings that determine the shape or size of a tensor, with the power of the setting that the size is proportional to.
SIZES = dict.fromkeys(
    symbols.names("""
        batch_input_shape batch_shape build_input_shape crop_to cropping dims filters height input_dim input_shape
        intermediate_dim key_dim kernel_size max_tokens n num_bins num_heads num_thresholds num_tokens output_dim
        output_shape padding pool_size repetition_factor shape size target_shape units value_dim width
    """),
    1,
) | {"num_classes": 2}
# Settings that determine the number of Python objects that a layer creates, or a number of repetitions.
COUNTS = symbols.names("chain_depth ngrams num_chains num_oov_indices num_ops")
# A list, because the name of a class in a file may be unhashable.
MODELS = sorted(symbols.MODELS)
VALUES_PER_MEGABYTE = 250_000
# The key of the calls of a layer, and the class name of tensors in them.
CALLS, TENSOR = "inbound_nodes", "__keras_tensor__"
# Settings whose value is the name of a function or class.
NAMED = (
    (re.compile(r"(?:.*_)?activation"), symbols.ACTIVATIONS),
    (re.compile(r".*_initializer"), symbols.INITIALIZERS),
    (re.compile(r".*_regularizer"), symbols.REGULARIZERS),
    (re.compile(r".*_constraint"), symbols.CONSTRAINTS),
)


@dataclass(frozen=True)
class Place:
    """The position of a value in a document.

    Attributes:
        value: the value.
        above: the place of the enclosing object or list, or None for the document itself.
        key: its key or index there.
        layer: the object of the layer that it belongs to, or None.
        call: True if it is part of the arguments of a layer's call.
        names: True if its texts are names of layers.
        trained: True if it belongs to the training configuration, which Keras is not given.
    """

    value: Any
    above: Place | None = None
    key: str | int = ""
    layer: dict[str, Any] | None = None
    call: bool = False
    names: bool = False
    trained: bool = False

    def path(self) -> str:
        """Return the path from the document to the value, such as ``config.layers[3].config.function``."""
        keys, place = [], self
        while place.above:
            keys.append(f"[{place.key}]" if isinstance(place.key, int) else f".{shown(place.key)[1:-1]}")
            place = place.above
        return "".join(reversed(keys)).lstrip(".")


def scan(path: Path, context: Context) -> Iterator[Finding]:
    """Yield the findings in an architecture, a JSON file of Keras 1, 2 or 3."""
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
        yield Finding(Kind.BROKEN, path.name, "the JSON does not describe a Keras model")
        return
    yield from judge(document, context, path.name)


def judge(document: Any, context: Context, where: str, *, trained: bool = False) -> Iterator[Finding]:
    """Yield the findings in a configuration.

    Args:
        document: the value read from JSON.
        context: the settings of the scan.
        where: the file or attribute that contains it.
        trained: True for a training configuration, in which unknown classes are ignored.
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
    """Yield the values inside a value that must be checked too."""
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
    """Tell whether a value describes a layer, or another named object, other than a model."""
    if not isinstance(value, dict) or "class_name" not in value or value["class_name"] in MODELS:
        return False
    config = value.get("config")
    return isinstance(config, dict) and "name" in config


def described(layer: dict[str, Any]) -> str:
    """Return the description of a layer for messages."""
    return f"layer {shown(layer['config']['name'])} ({shown(layer['class_name'])[1:-1]})"


def is_history(value: list[Any]) -> bool:
    """Tell whether a list in a call refers to a tensor, by a layer, the index of its call and that of its output."""
    return len(value) >= 3 and isinstance(value[0], str) and all(type(one) is int for one in value[1:3])


Fault = tuple[Kind, str, str]


def faults(place: Place, context: Context) -> Iterator[Fault]:
    """Yield the faults of one value: the kind, a description, and the name of a missing class or ""."""
    value, key = place.value, place.key
    if isinstance(value, str):
        if not place.names:
            yield from faults_of_text(value, place)
    elif isinstance(value, dict):
        if "class_name" in value:
            yield from faults_of_object(value, context)
        if isinstance(value.get(CALLS), list) and not all(map(holds_tensor, value[CALLS])):
            # Keras would run such a call immediately, while it builds the model.
            yield Kind.CODE, "a call has no tensor among its arguments", ""
        if not is_plain(value.get("vocabulary")):
            yield Kind.CODE, "the vocabulary is not a list of words, but may be the name of a file", ""
    elif key in COUNTS and (count := largest(value)) > context.limits.members:
        yield Kind.LIMIT, f"the setting {key} is {count:,}, and {context.limits.members:,} are allowed", ""
    elif key in SIZES and (values := elements(value) ** SIZES[key]) > context.limits.megabytes * VALUES_PER_MEGABYTE:
        yield Kind.LIMIT, f"the setting {key} describes a tensor of {values:,} values", ""


def faults_of_text(text: str, place: Place) -> Iterator[Fault]:
    """Yield the faults of a text."""
    if PATH.match(text) or "://" in text:
        yield Kind.CODE, f"the value {shown_path(text)} is a path or an address", ""
    elif place.call and place.key != "name" and not ARGUMENT.fullmatch(text):
        yield Kind.CODE, f"the call has the argument {shown(text)}, which may be a path", ""


def holds_tensor(call: Any) -> bool:
    """Tell whether the arguments of a call contain a tensor, in the notation of any version of Keras."""
    if isinstance(call, dict):
        return call.get("class_name") == TENSOR or any(map(holds_tensor, call.values()))
    return isinstance(call, list) and (is_history(call) or any(map(holds_tensor, call)))


def is_plain(value: Any) -> bool:
    """Tell whether a value is None or a flat list of words and numbers."""
    return value is None or (isinstance(value, list) and not any(isinstance(one, dict | list) for one in value))


def elements(value: Any) -> int:
    """Return the number of elements of a tensor with this shape, or of the largest of several tensors."""
    if not isinstance(value, list):
        return abs(value) if isinstance(value, int) else 1
    sides = [max(1, elements(one)) for one in value]
    return max(sides) if any(isinstance(one, list) for one in value) else math.prod(sides)


def largest(value: Any) -> int:
    """Return a number, or the maximum of a list."""
    if isinstance(value, list):
        return max(map(largest, value), default=0)
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def faults_of_object(value: dict[str, Any], context: Context) -> Iterator[Fault]:
    """Yield the reasons why an object of a configuration may not be created, such as an unknown class or function."""
    kind, config, module = value["class_name"], value.get("config"), value.get("module")
    registered = value.get("registered_name")
    if not isinstance(kind, str) or not isinstance(module, str | None) or not isinstance(registered, str | None):
        yield Kind.CODE, "the name of a class is not a string", ""
    elif kind in symbols.STRUCTURES:
        dtype = config.get("dtype") if isinstance(config, dict) else None
        if kind in ("__numpy__", "__tensor__") and not (isinstance(dtype, str) and dtype in symbols.DTYPES):
            yield Kind.CODE, f"a constant has the non-numeric type {shown(dtype)}", ""
    elif kind == "function":
        yield from faults_of_function(config, module, registered, context.known)
    elif kind in symbols.REFUSED_STRUCTURES:
        yield Kind.CODE, symbols.REFUSED_STRUCTURES[kind], ""
    elif not is_own(value, context.known):
        yield from faults_of_class(kind, config, module, registered)
        yield from faults_of_names(config, context.known)


def is_own(value: dict[str, Any], known: frozenset[str]) -> bool:
    """Tell whether Keras would create an object as a class that the user has registered.

    If the file names a module, Keras looks up the registered name first; in files of Keras 1 and 2, which name no
    module, it looks up the class. Some objects are read both ways, so a rejected class must not be hidden behind a
    registered name.
    """
    kind = value["class_name"]
    registered = value.get("registered_name", kind)
    if kind in known:
        return "module" not in value or registered in known
    return "module" in value and registered in known and kind not in symbols.REFUSED_LAYERS


def faults_of_class(kind: str, config: Any, module: str | None, registered: str | None) -> Iterator[Fault]:
    """Yield the reasons why a class that the user has not registered may not be created."""
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
        what = f"the class {shown(kind)} is imported from the module {shown(module)}"
        yield (Kind.CODE, what, "") if foreign else missing(whole)
    elif kind not in symbols.PACKAGES.get(package, ()):
        yield Kind.CODE, f"{shown(f'{module}.{kind}')} is not a layer, and not known to compute only", ""
    elif registered not in (None, kind):
        yield Kind.CODE, f"a class of Keras is registered as {shown(registered)}", ""


def faults_of_names(config: Any, known: frozenset[str]) -> Iterator[Fault]:
    """Yield faults for functions and classes that settings refer to by name and that are not part of Keras."""
    for key, text in config.items() if isinstance(config, dict) else ():
        names = next((found for pattern, found in NAMED if pattern.fullmatch(key)), None)
        if names and isinstance(text, str) and text not in names | known:
            yield missing(text)


def faults_of_function(name: Any, module: str | None, registered: str | None, known: frozenset[str]) -> Iterator[Fault]:
    """Yield the reasons why a function may not be used, for example that the user has not registered it."""
    package = package_of(module)
    if not isinstance(name, str):
        yield Kind.CODE, "the name of a function is not a string", ""
    elif name in known or (module == "builtins" and any(one.endswith(f">{name}") for one in known)):
        return
    elif module in (None, "builtins"):
        if name not in symbols.BUILTIN_FUNCTIONS or registered not in (None, "function", name):
            foreign = hasattr(builtins, name)
            yield (Kind.CODE, f"the function {shown(name)} is a Python function", "") if foreign else missing(name)
    elif package is None:
        if is_foreign(str(module)) or name in symbols.BUILTIN_FUNCTIONS:
            yield Kind.CODE, f"the function {shown(name)} is imported from the module {shown(module)}", ""
        else:
            yield missing(name)
    elif name not in symbols.FUNCTIONS.get(package, ()) or registered not in (None, "function", name):
        yield Kind.CODE, f"the function {shown(f'{module}.{name}')} is not known to compute only", ""


def missing(name: str) -> Fault:
    """Return the fault for a class or function that is neither part of Keras nor registered."""
    return Kind.CUSTOM, f"{shown(name)} is not part of Keras", name


def package_of(module: str | None) -> str | None:
    """Return the package of Keras that a module belongs to, "" for Keras itself, or None for any other module."""
    found = KERAS_MODULE.fullmatch(module or "")
    return (found["package"] or "") if found else None


def is_foreign(module: str) -> bool:
    """Tell whether a module is known not to contain custom classes."""
    return module.partition(".")[0] in NEVER_OWN
