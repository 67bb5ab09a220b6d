"""Results: saved and read back the same, valid JSON, drawn in notebooks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picasso import Result, explain
from picasso.models.base import Model
from tests.conftest import noise_image
from tests.fakes import (
    DetectorModel,
    EmbeddingModel,
    LinearModel,
    MultiLabelModel,
    RegressorModel,
    SegmenterModel,
)


@pytest.fixture
def result(linear: LinearModel) -> Result:
    return explain(linear, noise_image(), "PartialOcclusion", Window=0.3, Strides=5)[0]


def test_saving_and_loading(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "out")
    again = Result.load(tmp_path / "out")
    assert again.as_dict() == json.loads((tmp_path / "out" / "result.json").read_text())
    assert again.predictions == result.predictions
    assert again.model == result.model
    np.testing.assert_array_equal(again.view, result.view)
    for one, other in zip(again.panels, result.panels, strict=True):
        np.testing.assert_array_equal(one.array, other.array)
        assert (one.scale(), one.title, one.class_index) == (other.scale(), other.title, other.class_index)


def test_what_no_page_could_send_is_a_question_mark(result: Result, tmp_path: Path) -> None:
    panels = tuple(replace(panel, title="half a letter \ud83d", note="\N{DOG}") for panel in result.panels)
    replace(result, panels=panels).save(tmp_path / "out")
    again = Result.load(tmp_path / "out")
    assert {(panel.title, panel.note) for panel in again.panels} == {("half a letter ?", "\N{DOG}")}


def test_what_other_models_say_is_kept(result: Result, tmp_path: Path) -> None:
    compared = replace(result, compared={"epoch 1": result.predictions[:2], "epoch 2": ()})
    compared.save(tmp_path / "out")
    again = Result.load(tmp_path / "out")
    assert again.compared == compared.compared
    assert result.compared == {}
    # As saved before models could be compared.
    document = tmp_path / "out" / "result.json"
    content = json.loads(document.read_text())
    del content["compared"]
    document.write_text(json.dumps(content))
    assert Result.load(tmp_path / "out").compared == {}


def test_every_file_that_the_document_names_is_there(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "out")
    document = result.as_dict()
    names = {document["view"], document["arrays"], "result.json"}
    names |= {panel[key] for panel in document["panels"] for key in ("file", "legend") if key in panel}
    assert {file.name for file in (tmp_path / "out").iterdir()} == names
    for panel in document["panels"]:
        with Image.open(tmp_path / "out" / panel["file"]) as drawn:
            assert drawn.format == "PNG"


def test_nothing_half_written_is_left(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        result.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_notebooks_draw_results_and_escape_names(result: Result) -> None:
    html = result._repr_html_()
    legends = sum(panel.kind == "map" and not panel.flat for panel in result.panels)
    assert html.count("<img") == 1 + len(result.panels) + legends
    assert "cat &lt;b&gt;" in html
    assert "cat <b>" not in html


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (SegmenterModel, {"mask": ("uint16", (6, 9))}),
        (RegressorModel, {"values": ("float32", (2,))}),
        (EmbeddingModel, {"embedding": ("float32", (7,))}),
        (
            DetectorModel,
            {"boxes": ("float32", (2, 4)), "scores": ("float32", (2,)), "classes": ("int64", (2,))},
        ),
        (MultiLabelModel, {}),
    ],
)
def test_the_output_is_kept_as_arrays(
    cls: type[Model], expected: dict[str, tuple[str, tuple[int, ...]]], tmp_path: Path
) -> None:
    model = cls()
    model.load()
    (result,) = explain(model, noise_image(), "ClassProbabilities")
    result.save(tmp_path / "out")
    again = Result.load(tmp_path / "out")
    assert {key: (str(array.dtype), array.shape) for key, array in again.output.items()} == expected
    for key, array in again.output.items():
        np.testing.assert_array_equal(array, result.output[key])
    assert again.as_dict() == result.as_dict()
    assert ("mask" in result.as_dict()) == (tmp_path / "out" / "mask.png").exists() == ("mask" in expected)
    assert result._repr_html_().count("<img") == 1 + ("mask" in expected)
