"""TensorFlow's files are read as data first: hostile ones are refused before TensorFlow is even imported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from picasso.models.scan import scan
from tests.hostile.make_models import write
from tests.hostile.models import Hostile, tensorflow_files
from tests.hostile.models.tensorflow_graphs import checkpoint, classifier, graph, meta_graph, saved
from tests.hostile.opened import opened


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a file outside of the model's folder, which hostile files name."""
    (tmp_path / "outside").mkdir()
    file = tmp_path / "outside" / "secret.txt"
    file.write_text("marker\n" * 100)
    return file


@pytest.mark.parametrize("hostile", tensorflow_files.FILES, ids=lambda one: one.name)
def test_hostile_files_are_refused(hostile: Hostile, tmp_path: Path, outside: Path) -> None:
    file = write(hostile, tmp_path, outside)
    with opened() as paths:
        report = scan(file)
    # Nothing but the model's own files, and none of them by a link that leads elsewhere.
    read = [Path(one) for one in paths if not one.endswith((".py", ".pyc"))]
    assert all(one.resolve().is_relative_to(file.parent) for one in read), read
    assert [str(one.kind) for one in report][:1] == [hostile.kind], list(report)
    said = [f"{one.what}; {one.where}" for one in report]
    assert any(re.search(hostile.said, one) for one in said), said
    assert all(str(tmp_path) not in one and "marker" not in one and one.isprintable() for one in said)
    assert not (outside.parent / "written").exists()


def test_a_cache_of_links(tmp_path: Path) -> None:
    kept, folder = tmp_path / "blobs", tmp_path / "snapshots" / "1"
    kept.mkdir()
    checkpoint(kept / "model", meta_graph(graph(classifier())))
    for name in ("index", "data-00000-of-00001"):
        file = folder / "variables" / f"variables.{name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(kept / f"model.{name}")
    (kept / "graph").write_bytes(saved(graph(classifier())))
    (folder / "saved_model.pb").symlink_to(kept / "graph")
    assert list(scan(folder)) == []
    for name in ("meta", "index", "data-00000-of-00001"):
        (tmp_path / "snapshots" / f"old.{name}").symlink_to(kept / f"model.{name}")
    assert list(scan(tmp_path / "snapshots" / "old.meta")) == []
