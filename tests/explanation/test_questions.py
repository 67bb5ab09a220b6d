"""Questions about images of which parts are hidden: answers that can be computed by hand."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from picasso.errors import BadRequest, NotFound, RunError
from picasso.explanation import cost_model, questions
from picasso.explanation.registry import Registry
from picasso.imaging.masking import FILLS, MaskEdit, blurred
from picasso.models.arrays import Array
from picasso.models.base import Model
from tests.conftest import noise_image, png
from tests.explanation.test_pipeline import Cropping
from tests.fakes import CLASSES, GreyModel, LinearModel, PatchModel, softmax

ALL = {"box": [0, 0, 1, 1]}
AnyModel = TypeVar("AnyModel", bound=Model)
#: The patch that PatchModel reads: rows 2 and 3, columns 5 to 7, of 6 x 9 pixels.
PATCH = {"box": [5 / 9, 2 / 6, 8 / 9, 4 / 6]}
ELSEWHERE = {"box": [0, 0, 5 / 9, 1]}
REGISTRY = Registry()


def store(folder: Path, *images: Image.Image) -> list[str]:
    """Write images as a session keeps them and return their paths."""
    paths = [folder / f"{index}.png" for index, _ in enumerate(images)]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(png(image))
    return [str(path) for path in paths]


def ask(model: LinearModel, paths: list[str], *shapes: object, **more: Any) -> list[dict[str, Any]]:
    """Ask what the model answers where shapes are hidden."""
    question = {"kind": "what if", "paths": paths, "shapes": shapes, "fill": "grey", "other": None, "show": False}
    answers: list[dict[str, Any]] = questions.answer(model, REGISTRY, {**question, **more})["answers"]
    return answers


def of_patch(total: float) -> Array:
    """Return what PatchModel answers where the numbers of its patch sum to ``total``."""
    return np.asarray(softmax(np.arange(1, CLASSES + 1, dtype=np.float32)[None] * np.float32(total / 10))[0])


def loaded(cls: type[AnyModel], **arguments: Any) -> AnyModel:
    model = cls()
    model.load(**arguments)
    return model


def test_hiding_what_the_model_does_not_read_changes_nothing(patch: PatchModel, tmp_path: Path) -> None:
    paths = store(tmp_path, noise_image(1), noise_image(2))
    for fill in FILLS:
        for answer in ask(patch, paths, ELSEWHERE, fill=fill, other=paths[1]):
            assert answer["before"] == answer["after"]
            assert all(one["before"] == one["after"] for one in answer["classes"])
            assert answer["flipped"] is False
            assert "view" not in answer


def test_hiding_what_the_model_reads_gives_what_is_computed_by_hand(patch: PatchModel, tmp_path: Path) -> None:
    paths = store(tmp_path, noise_image(1), noise_image(2))
    pixels = np.stack([np.asarray(noise_image(seed), np.float64) / 255 for seed in (1, 2)])
    patches = pixels[:, patch.ROWS, patch.COLUMNS].sum(axis=(1, 2, 3))
    for answer, total in zip(ask(patch, paths, PATCH), patches, strict=True):
        before, after = of_patch(total), of_patch(2 * 3 * 3 * 128 / 255)
        assert [one["index"] for one in answer["classes"]] == [6, 5, 4, 3, 2]
        for one in answer["classes"]:
            assert one["before"] == pytest.approx(before[one["index"]], rel=1e-4)
            assert one["after"] == pytest.approx(after[one["index"]], rel=1e-4)
    # Half of the patch is covered by another image's pixels.
    half = {"box": [5 / 9, 2 / 6, 8 / 9, 3 / 6]}
    (answer,) = ask(patch, paths[:1], half, fill="image", other=paths[1])
    total = pixels[1, 2, patch.COLUMNS].sum() + pixels[0, 3, patch.COLUMNS].sum()
    assert answer["after"][0]["prob"] == pytest.approx(of_patch(total)[6], rel=1e-4)


def test_another_class_on_top_is_told_with_both_probabilities(patch: PatchModel, tmp_path: Path) -> None:
    bright, black = store(tmp_path, Image.new("RGB", (9, 6), "white"), Image.new("RGB", (9, 6)))
    (answer,) = ask(patch, [bright], PATCH, fill="image", other=black)
    assert answer["flipped"] is True
    # All are equally probable now, so that they are listed in the order of the output.
    assert [one["name"] for one in answer["before"]] == ["gnu", "fox", "elk", "dog", "cat <b>"]
    assert [one["name"] for one in answer["after"]] == ["ant", "bee", "cat <b>", "dog", "elk"]
    assert [one["index"] for one in answer["classes"]] == [6, 5, 4, 3, 2, 0, 1]
    assert [one["after"] for one in answer["classes"]] == pytest.approx([1 / 7] * 7)
    white = of_patch(18)
    assert [one["before"] for one in answer["classes"]] == pytest.approx(white[[6, 5, 4, 3, 2, 0, 1]], rel=1e-4)


@pytest.mark.parametrize("cls", [LinearModel, GreyModel])
def test_the_image_that_the_model_then_sees_is_shown(cls: type[LinearModel], tmp_path: Path) -> None:
    model = loaded(cls)
    paths = store(tmp_path, noise_image(1, (90, 40)))
    (answer,) = ask(model, paths, PATCH, show=True, fill="noise")
    kind, _, data = answer["view"].partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        covered = MaskEdit.parse([PATCH], "noise").cover(model.view(noise_image(1, (90, 40))))
        np.testing.assert_array_equal(shown, np.asarray(covered))


def test_models_of_one_batch_size_are_asked_as_any_other(tmp_path: Path) -> None:
    class Fixed(PatchModel):
        fixed_batch = 4

        def batch_probabilities(self, inputs: Array) -> Array:
            assert len(inputs) == 4
            return super().batch_probabilities(inputs)

    paths = store(tmp_path, *(noise_image(seed) for seed in range(5)))
    answers = ask(loaded(Fixed), paths, PATCH)
    assert answers == ask(loaded(PatchModel), paths, PATCH)


@pytest.mark.parametrize("fill", FILLS)
def test_numbers_are_covered_where_the_view_is_not_what_the_model_receives(fill: str, tmp_path: Path) -> None:
    model = loaded(Cropping)
    images = [noise_image(1, (90, 60)), noise_image(2, (90, 60))]
    paths = store(tmp_path, *images)
    one, other = model.preprocess(images)
    # What lies outside of the mask is as it was, so hiding nothing changes nothing.
    (same,) = ask(model, paths[:1], fill=fill, other=paths[1])
    assert same["before"] == same["after"]
    numbers = {
        "grey": np.full_like(one, 128 / 127.5 - 1),
        "black": np.full_like(one, -1),
        "white": np.full_like(one, 1),
        "mean": np.broadcast_to(one.mean(axis=(0, 1)), one.shape),
        "image": other,
        "blur": blurred(one),
        "noise": model.encode([MaskEdit((), "noise").filling(Image.new("RGB", (9, 6)))])[0],
    }[fill]
    covered = one.copy()
    covered[2:4, 5:8] = numbers[2:4, 5:8]
    expected = model.predict(covered[None])[0]
    (answer,) = ask(model, paths[:1], PATCH, fill=fill, other=paths[1], show=True)
    for document in answer["classes"]:
        assert document["after"] == pytest.approx(expected[document["index"]], abs=1e-6)
    assert answer["view"].startswith("data:image/png;base64,")


def test_images_are_prepared_once_and_kept_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(LinearModel)
    paths = store(tmp_path, noise_image(1, (900, 600)))
    first = ask(model, paths, PATCH)
    assert questions.prepared(model, paths[0]).image.size == (9, 6)
    Path(paths[0]).unlink()
    assert ask(model, paths, PATCH) == first


def test_what_cannot_be_answered_is_said(patch: PatchModel, tmp_path: Path) -> None:
    paths = store(tmp_path, noise_image(1))
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"paths": [str(tmp_path / "gone.png")]}, NotFound, "^The image was removed in the meantime.$"),
        ({"fill": "image"}, BadRequest, "requires another image"),
        ({"fill": "image", "other": str(tmp_path / "gone.png")}, NotFound, "removed in the meantime"),
        ({"fill": "pink"}, BadRequest, "fill must be one of"),
        ({"shapes": [{"box": [0]}]}, BadRequest, "A shape is"),
        ({"kind": "why"}, RunError, "Unknown kind of question: why"),
    ]
    for more, error, message in cases:
        with pytest.raises(error, match=message):
            ask(patch, **{"paths": paths, **more})


def estimate(model: LinearModel, name: str, **settings: object) -> float | None:
    question = {"kind": "estimate", "visualization": name, "settings": settings}
    seconds: float | None = questions.answer(model, REGISTRY, question)["seconds"]
    return seconds


def test_estimates_grow_with_the_work() -> None:
    model = loaded(LinearModel)
    assert estimate(model, "PartialOcclusion") is None, "nothing was measured yet"
    cost_model.measure(model)
    seconds = [estimate(model, "PartialOcclusion", Strides=strides) or 0 for strides in (2, 5, 10, 20, 30)]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert seconds[-1] / seconds[0] == pytest.approx(901 / 5)
    with pytest.raises(BadRequest, match="Strides must be one of"):
        estimate(model, "PartialOcclusion", Strides=7)
    with pytest.raises(NotFound):
        estimate(model, "Nonsense")
