"""The names of the layers of an ONNX graph: those of the modules that the exporter wrote down."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from picasso.models.tf.translation import numbered, readable

# PyTorch's exporter stores the path of the module, outermost first, here.
MODULES = "pkg.torch.onnx.name_scopes"
# The maximum length of a text that is parsed.
PARSED = 10_000


def layer_names(nodes: Iterable[Any]) -> list[str]:
    """Return the name of the layer of each node of a graph, in order."""
    return numbered(layer_name(node) for node in nodes)


def layer_name(node: Any) -> str:
    """Return the name of the layer of a node, without slashes, such as ``layer4.1.conv2``.

    It is the path of the module of the network in PyTorch, if the file states it, or else the name of the node without
    the kind of its operation.
    """
    name = of_metadata(node) or of_path(node.name, node.op_type) or (node.output[0] if node.output else node.op_type)
    return readable(name.strip("/"))


def of_metadata(node: Any) -> str:
    """Return the path of the module in the metadata of a node, or ""."""
    stated = next((one.value for one in node.metadata_props if one.key == MODULES), "")
    try:
        paths = ast.literal_eval(stated) if stated and len(stated) <= PARSED else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    # The last one is the operation. Operations that an optimizer added are in no module.
    modules = [path for path in paths[:-1] if isinstance(path, str) and path] if isinstance(paths, list) else []
    modules = [path for path in modules if not path.startswith("empty_nn_module_stack")]
    return str(modules[-1]) if modules else ""


def of_path(name: str, kind: str) -> str:
    """Return the path of the module in the name of a node, such as ``/layer4/layer4.1/conv2/Conv``."""
    *parts, last = [part for part in name.split("/") if part] or [""]
    if not re.fullmatch(rf"{re.escape(kind)}(_\d+)?", last) or not parts:
        parts.append(last)
    path = ""
    for part in parts:
        # A module's name may repeat the path so far.
        path = part if not path or part.startswith(f"{path}.") else f"{path}.{part}"
    return path
