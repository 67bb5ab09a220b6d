"""The contract on what a package exports finds imports of private modules, and exports that nothing needs."""

from __future__ import annotations

import pytest
from grimp import ImportGraph

from tests import surfaces


def found(monkeypatch: pytest.MonkeyPatch, exported: dict[str, set[str]], *imports: tuple[str, str]) -> tuple[int, int]:
    """Return how many imports break the contract, and how many exports are not needed."""
    graph = ImportGraph()
    for name in ("picasso", "picasso.a", "picasso.a.one", "picasso.a.two", "picasso.a.deep", "picasso.a.deep.three"):
        graph.add_module(name)
    for name in ("picasso.b", "picasso.b.four"):
        graph.add_module(name)
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    monkeypatch.setattr(surfaces, "exports", lambda package: exported.get(package, set()))
    contract = surfaces.SurfaceContract("surfaces", {"root_packages": ["picasso"]}, {})
    check = contract.check(graph, verbose=False)
    assert check.kept is not bool(check.metadata["broken"] or check.metadata["missing"])
    return len(check.metadata["broken"]), len(check.metadata["missing"])


def test_private_modules_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = ("picasso.a.two", "picasso.a.one"), ("picasso.b.four", "picasso.a.one")
    assert found(monkeypatch, {}, inside) == (0, 0)
    assert found(monkeypatch, {}, outside) == (1, 0)
    assert found(monkeypatch, {"picasso.a": {"one"}}, outside) == (0, 0)
    assert found(monkeypatch, {"picasso.a": {"one", "a_name"}}, outside) == (0, 0)


def test_each_package_on_the_way_has_to_export(monkeypatch: pytest.MonkeyPatch) -> None:
    beside, outside = ("picasso.a.one", "picasso.a.deep.three"), ("picasso.b", "picasso.a.deep.three")
    assert found(monkeypatch, {"picasso.a": {"deep"}}, outside) == (1, 0)
    assert found(monkeypatch, {"picasso.a": {"deep"}, "picasso.a.deep": {"three"}}, outside) == (0, 0)
    assert found(monkeypatch, {}, beside) == (1, 0)
    assert found(monkeypatch, {"picasso.a.deep": {"three"}}, beside) == (0, 0)


def test_exports_that_nothing_needs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, {"picasso.a": {"one"}}) == (0, 1)
    assert found(monkeypatch, {"picasso.a": {"one"}}, ("picasso.a.two", "picasso.a.one")) == (0, 1)


def test_exports_are_read_from_the_source() -> None:
    assert "load_model" in surfaces.exports("picasso.models")
    assert surfaces.exports("picasso.examples") == set()
