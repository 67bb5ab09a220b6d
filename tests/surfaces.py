"""A contract for import-linter: code outside of a package imports only what the package's ``__all__`` names.

The package may export names that its ``__init__`` defines, or modules; all that a module defines is exported with it.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


class SurfaceContract(Contract):
    """No module imports a module that a package around it, but not around the importer, keeps to itself."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Return whether the contract is kept, and the imports that break it."""
        own = sorted(graph.find_descendants("picasso"))
        exported = {name: exports(name) for name in own if graph.find_children(name)}
        broken = [
            (importer, imported, package)
            for importer in own
            for imported in sorted(graph.find_modules_directly_imported_by(importer) & set(own))
            for package in private_in(imported, importer, exported)
        ]
        missing = [(name, one) for name, names in exported.items() for one in names if not known(graph, name, one)]
        return ContractCheck(kept=not (broken or missing), metadata={"broken": broken, "missing": missing})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that break the contract."""
        for importer, imported, package in check.metadata["broken"]:
            output.print_error(f"{importer} imports {imported}, which is not in __all__ of {package}.")
        for package, name in check.metadata["missing"]:
            output.print_error(f"__all__ of {package} names {name}, which no other package imports.")


def private_in(imported: str, importer: str, exported: dict[str, set[str]]) -> list[str]:
    """Return the packages that do not export the imported module, or the package below them that holds it."""
    parts = imported.split(".")
    around = [(".".join(parts[:depth]), parts[depth]) for depth in range(2, len(parts))]
    return [
        package
        for package, child in around
        if not f"{importer}.".startswith(f"{package}.") and child not in exported[package]
    ]


def exports(package: str) -> set[str]:
    """Return the names in ``__all__`` of a package, read from its source."""
    spec = importlib.util.find_spec(package)
    assert spec
    assert spec.origin
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(one) for one in node.targets] == ["__all__"]:
            names: Any = ast.literal_eval(node.value)
            return set(names)
    return set()


def known(graph: ImportGraph, package: str, name: str) -> bool:
    """Tell whether an exported module is imported from outside of its package; other names are not checked."""
    module = f"{package}.{name}"
    if module not in graph.modules:
        return True
    users = {
        user
        for one in (module, *graph.find_descendants(module))
        for user in graph.find_modules_that_directly_import(one)
    }
    return any(not f"{user}.".startswith(f"{package}.") for user in users)
