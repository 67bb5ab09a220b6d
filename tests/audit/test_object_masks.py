"""Masks of the object: found beside the images, seen as the model sees images, and used instead of attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import picasso
from picasso.audit import object_masks
from picasso.audit.interventions.region_swap import regions
from picasso.errors import BadRequest
from tests.audit.test_audit import HEIGHT, WIDTH, Judge, noise_images

COUNT = 24


class Everywhere(Judge):
    """Relies on the corner, and has gradients that are 0, so that its attention does not tell where the object is."""

    proxy, reliance = "corner", 0.9

    def batch_input_gradients(self, inputs: np.ndarray, classes: object) -> np.ndarray:
        return np.zeros_like(inputs)


def written(folder: Path, covered: bool = False) -> Path:
    """Write images and masks that show the bar in the middle, and the corner, too, if it is covered."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[6:18, 8:24] = 1
    mask[:6, :8] = 7 * covered
    for target, views in noise_images("corner").items():
        name = Judge().class_names()[target]
        for kind in ("images", "masks"):
            (folder / kind / name).mkdir(parents=True)
        for index, view in enumerate(views[:COUNT]):
            Image.fromarray(np.round(view * 255).astype(np.uint8)).save(folder / "images" / name / f"{index}.bmp")
            Image.fromarray(mask).save(folder / "masks" / name / f"{index}.png")
    return folder / "images"


def audited(images: Path, **more: Path) -> picasso.audit.audit.Audit:
    model = Everywhere()
    model.load()
    corner = [one for one in regions() if one.name == "the top left corner"]
    return picasso.audit_model(model, images, interventions=corner, **more)  # type: ignore[arg-type]


def test_masks_beside_the_images_clear_a_part_that_attention_does_not(tmp_path: Path) -> None:
    images = written(tmp_path)
    found = audited(images)
    assert set(found.folder.masks) == {0, 1}
    assert found.folder.masks[0].shape == (COUNT, HEIGHT, WIDTH)
    assert found.folder.masks[0][3].sum() == 12 * 16
    assert [one.there.intervention for one in found.verdict.alarms] == ["the top left corner"]
    (tmp_path / "masks" / "tank" / "3.png").unlink()
    # Not all images of the class have a mask.
    assert "Masks locate the object in 2 of 2 classes" in found.sentence()
    found = audited(images)
    assert "Masks locate the object in 1 of 2 classes" in found.sentence()
    assert set(found.folder.masks) == {0}
    assert [one.reason for one in found.verdict.findings] == ["object"]


def test_a_part_that_the_masks_cover_is_informative(tmp_path: Path) -> None:
    found = audited(written(tmp_path, covered=True))
    assert [one.reason for one in found.verdict.findings] == ["object"]


def test_masks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    images = written(tmp_path)
    with pytest.raises(BadRequest, match=r"The folder of masks .*nowhere does not exist\."):
        audited(images, masks=tmp_path / "nowhere")
    Image.new("L", (5, 4)).save(tmp_path / "masks" / "tank" / "3.png")
    with pytest.raises(BadRequest, match=f"mask tank/3.png has 5 x 4 pixels; its image has {WIDTH} x {HEIGHT}"):
        audited(images)
    assert object_masks.folder_of(tmp_path / "masks") is None
