"""TensorFlow graphs whose variables have become constants: which code they hold, and how they are imported."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from picasso import remedies
from picasso.errors import ModelError
from picasso.models.backend import tf, tf1
from picasso.models.feature_layers import reach, walk
from picasso.models.outputs import class_count

# Operations that read or write files or call Python. None of them has a place in a classifier, and all of them
# run as soon as the graph does.
CODE = {
    "EagerPyFunc", "PyFunc", "PyFuncStateless", "ReadFile", "WriteFile", "WholeFileReader", "WholeFileReaderV2",
    "MatchingFiles", "PrintV2", "WriteSummary", "WriteImageSummary", "WriteGraphSummary", "CreateSummaryFileWriter",
    "DebugIdentityV2", "DebugIdentityV3", "FixedLengthRecordReaderV2", "TextLineReaderV2", "TFRecordReaderV2",
}  # fmt: skip
# Every SavedModel has these to save itself again; the function that classifies has no use for them.
SAVING = {"MergeV2Checkpoints", "Save", "SaveSlices", "SaveV2"}

# How many tensors a message lists.
MAX_LISTED = 8
PLACEHOLDERS = ("Placeholder", "PlaceholderWithDefault")


def operations_of(definition: Any) -> Iterable[str]:
    """Yield the types of all operations of a GraphDef, those inside its functions included."""
    yield from (node.op for node in definition.node)
    for function in definition.library.function:
        yield from (node.op for node in function.node_def)


def refuse_code(operations: Iterable[str], label: str, trust: bool, *, saving: bool = False) -> None:
    """Raise a ModelError if an operation touches files or calls Python, unless the model is trusted.

    With ``saving``, the operations that belong to saving a model are let through.
    """
    found = sorted((CODE if saving else CODE | SAVING).intersection(operations))
    if found and not trust:
        raise ModelError(
            f"{label} contains operations that touch files or run code when the model is used: {', '.join(found)}. "
            f"If you trust the file: {remedies.setting('TRUST_MODEL')}."
        )


def importer(
    definition: Any,
    input_name: str,
    output_name: str,
    label: str,
    input_shape: Sequence[int] | None = None,
    learned: Sequence[int] | None = None,
    constant_feeds: Mapping[str, Any] | None = None,
) -> Callable[[], tuple[Any, Any]]:
    """Return a function that builds a frozen graph in the default graph and gives its input and output.

    Args:
        definition: a GraphDef without variables.
        input_name: the tensor that takes the pictures, or "" for the only placeholder there is.
        output_name: the tensor of class scores, or "" for the only softmax or sigmoid that nothing follows.
        label: how error messages name the model.
        input_shape: ``(H, W, C)``, as the user says.
        learned: ``(H, W, C)``, as preprocess() gives it; taken where neither the user nor the placeholder says.
        constant_feeds: values of further placeholders, by tensor name.

    Raises:
        ModelError: a tensor does not exist, or the names can't be guessed.
    """
    feeds = dict(constant_feeds or {})
    for node in definition.node:
        # In another process, the registry entry of a silu's custom gradient is gone; it was an optimization only.
        if node.op == "IdentityN":
            node.attr.pop("_gradient_op_type", None)
        if node.op in PLACEHOLDERS and "learning_phase" in node.name:
            feeds.setdefault(f"{node.name}:0", 0)
    with tf.Graph().as_default() as graph:
        tf1.import_graph_def(definition, name="")
        input_name = input_name or guess_input(graph, feeds, label)
        output_name = output_name or guess_output(graph, label)
        source = find_tensor(graph, "tf_input_var", input_name)
        find_tensor(graph, "tf_predict_var", output_name)
        types = {name: find_tensor(graph, "constant_feeds", name).dtype for name in feeds}

    def build() -> tuple[Any, Any]:
        shape = known_shape(source.shape, input_shape, learned, label)
        pictures = tf1.placeholder(tf.float32, shape, "picasso_input")
        mapped = {name: tf.cast(value, types[name]) for name, value in feeds.items()}
        mapped[input_name] = tf.cast(pictures, source.dtype)
        (output,) = tf1.import_graph_def(definition, input_map=mapped, return_elements=[output_name], name="")
        unfed = sorted(one.name for one in reach(output.op, up=True) if one.type == "Placeholder")
        missing = [f"{name}:0" for name in unfed if name != pictures.op.name]
        if missing:
            values = remedies.argument("constant_feeds", dict.fromkeys(missing, 1.0))
            raise ModelError(
                f"{label} needs more than an image: give a value for {', '.join(missing)}, such as {values}.",
                field="constant_feeds",
            )
        return pictures, output

    return build


def known_shape(described: Any, given: Sequence[int] | None, learned: Sequence[int] | None, label: str) -> Any:
    """Return the shape ``[N or None, H, W, C]`` of an input.

    Args:
        described: what the graph says.
        given: ``(H, W, C)``, as the user says.
        learned: ``(H, W, C)``, as preprocess() gives it.
        label: how error messages name the model.

    Raises:
        ModelError: nobody says.
    """
    if given:
        return [None, *given]
    known = described.rank is not None and None not in described.as_list()[1:]
    if learned and not known:
        return [None, *learned]
    if described.rank is None or (described.rank == 4 and not known):
        how = remedies.argument("input_shape", [224, 224, 3])
        raise ModelError(
            f"The input of {label} has no known size; say its height, width and channels, such as {how}, or override "
            "preprocess() in a model class.",
            field="input_shape",
        )
    return described


def find_tensor(graph: Any, key: str, name: str) -> Any:
    """Return a tensor by name, or raise a ModelError that lists likely ones."""
    try:
        return graph.get_tensor_by_name(name)
    except (KeyError, ValueError, TypeError) as error:
        kinds = ("Softmax", "Sigmoid") if key == "tf_predict_var" else PLACEHOLDERS
        tensors = [operation.outputs[0] for operation in graph.get_operations() if operation.type in kinds]
        likely = [tensor.name for tensor in tensors if key != "tf_input_var" or tensor.shape.rank in (None, 4)]
        hint = f"likely ones are {', '.join(likely)}" if likely else "name it as operation:0"
        raise ModelError(f"{key} = {name!r} is no tensor of this graph; {hint}.", field=key) from error


def guess_input(graph: Any, feeds: Mapping[str, Any], label: str) -> str:
    """Return the name of the only placeholder that could take pictures."""
    names = [
        tensor.name
        for operation in graph.get_operations()
        if operation.type == "Placeholder" and (tensor := operation.outputs[0]).name not in feeds
        and tensor.shape.rank in (None, 4)
    ]  # fmt: skip
    return only(names, "tf_input_var", "placeholders", label)


def guess_output(graph: Any, label: str) -> str:
    """Return the name of the only softmax or sigmoid that nothing but copies follows, or else of the only result.

    Results are what depends on a placeholder for images, is used by nothing, and has the shape of class scores.
    """
    names = [
        operation.outputs[0].name
        for operation in graph.get_operations()
        if operation.type in ("Softmax", "Sigmoid")
        and all(other.type == "Identity" for other in walk(operation, up=False) if other is not operation)
    ]
    if len(names) == 1:
        return str(names[0])
    results = list(results_of(graph))
    if not names and len(results) == 1:
        return str(results[0].name)
    likely = {tensor.name: tensor.shape for tensor in map(graph.get_tensor_by_name, names)}
    likely |= {tensor.name: tensor.shape for tensor in results}
    listed = ", ".join(f"{name} {shape}" for name, shape in itertools.islice(likely.items(), MAX_LISTED)) or "none"
    how = remedies.argument("tf_predict_var", next(iter(likely), "operation:0"))
    raise ModelError(
        f"{label} has no single tensor that could hold the class scores; likely ones are: {listed}. Name the right "
        f"one, such as {how}.",
        field="tf_predict_var",
    )


def results_of(graph: Any) -> Iterator[Any]:
    """Yield the tensors of fractions that depend on images, that nothing uses, and that may be class scores."""
    placeholders = [one for one in graph.get_operations() if one.type in PLACEHOLDERS]
    images = [one for one in placeholders if one.outputs[0].shape.rank in (None, 4)]
    seen = {operation for image in images for operation in walk(image, up=False)} - set(images)
    for operation in graph.get_operations():
        if operation not in seen or any(tensor.consumers() for tensor in operation.outputs):
            continue
        for tensor in operation.outputs:
            scores = tensor.shape.rank and class_count(tensor.shape.as_list(), None)
            if tensor.dtype.is_floating and scores:
                yield tensor


def only(names: Sequence[str], key: str, what: str, label: str) -> str:
    """Return the one name there is, or raise a ModelError that asks for a choice."""
    if len(names) == 1:
        return names[0]
    found = f"has {len(names)} {what} ({', '.join(names)})" if names else f"has no {what}"
    how = remedies.argument(key, names[0] if names else "operation:0")
    raise ModelError(f"{label} {found}; name the right tensor, such as {how}.", field=key)
