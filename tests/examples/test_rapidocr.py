"""RapidOCR's networks: what they are fed, what they say about the samples, and how the samples are drawn."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from picasso import explain
from picasso.examples.rapidocr import samples
from picasso.models import load_model
from picasso.models.info import Capability

pytestmark = pytest.mark.filterwarnings("ignore")

FOLDER = Path(samples.__file__).parent
FILES = ("ch_PP-OCRv4_det_infer.onnx", "ch_ppocr_mobile_v2.0_cls_infer.onnx")
PREPARED = all((FOLDER / "data" / name).exists() for name in FILES)
needs_files = pytest.mark.skipif(not PREPARED, reason="run make prepare EXAMPLE=rapidocr-detector first")


def test_without_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = runpy.run_path(str(FOLDER / "prepare_model.py"))["main"]
    monkeypatch.setitem(main.callback.__wrapped__.__globals__, "DATA", tmp_path / "data")
    answer = CliRunner().invoke(main, ["--wheel", str(tmp_path / "none.whl")])
    assert answer.exit_code == 2
    assert answer.stderr == f"picasso: There is no wheel {tmp_path / 'none.whl'}.\n"
    assert not (tmp_path / "data").exists()


def test_samples_are_drawn_again(tmp_path: Path) -> None:
    """With some tolerance: versions of Pillow draw edges of letters differently."""
    answer = CliRunner().invoke(samples.main, ["--out", str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    bundled = sorted(file.relative_to(FOLDER / "samples") for file in (FOLDER / "samples").rglob("*.png"))
    assert bundled == sorted(file.relative_to(tmp_path) for file in tmp_path.rglob("*.png"))
    for name in bundled:
        one, other = (np.asarray(Image.open(root / name), np.float64) for root in (FOLDER / "samples", tmp_path))
        assert np.abs(one - other).mean() < 2, name


@needs_files
def test_both_are_fed_what_rapidocr_feeds_them() -> None:
    """Blue first, and ``(x / 255 - 0.5) / 0.5``."""
    image = Image.open(FOLDER / "samples" / "lines" / "wednesday.png")
    expected = (np.asarray(image, np.float32)[..., ::-1] / 255 - 0.5) / 0.5
    np.testing.assert_allclose(load_model(FOLDER / "orientation.py").preprocess([image])[0], expected, atol=1e-6)
    page = Image.open(FOLDER / "samples" / "pages" / "menu.png")
    expected = (np.asarray(page, np.float32)[..., ::-1] / 255 - 0.5) / 0.5
    np.testing.assert_allclose(load_model(FOLDER / "detector.py").preprocess([page])[0], expected, atol=1e-6)


@needs_files
@pytest.mark.parametrize("name", ["orientation.py", "detector.py"])
def test_both_have_gradients_and_feature_maps_of_logits(name: str) -> None:
    model = load_model(FOLDER / name)
    assert model.capabilities == {Capability.PREDICTIONS, Capability.GRADIENTS, Capability.FEATURE_MAPS}
    assert model.logits_found.startswith("input of the final s")
    assert not any("predictions" in note for note in model.notes)


@needs_files
def test_lines_are_upright_or_upside_down() -> None:
    files = sorted((FOLDER / "samples" / "lines").glob("*.png"))
    results = explain(load_model(FOLDER / "orientation.py"), files, "ClassProbabilities")
    for file, result in zip(files, results, strict=True):
        best = result.predictions[0]
        assert best["name"] == ("upside down" if "turned" in file.stem else "upright"), file.name
        assert best["prob"] > 0.99, file.name


@needs_files
def test_words_are_found_and_so_is_a_ring() -> None:
    model = load_model(FOLDER / "detector.py")
    for page in samples.PAGES:
        (text,) = model.predict(model.inputs_of([Image.open(FOLDER / "samples" / "pages" / page.name)]))[..., 1]
        for word in page.words:
            left, top, right, bottom = word.box()
            assert text[(top + bottom) // 2, left + 8 : right - 8].mean() > 0.5, word.text
            text[top - 12 : bottom + 12, left - 12 : right + 12] = 0
        if page.name == "shapes.png":
            left, top, right, bottom = samples.RING
            assert text[(top + bottom) // 2, (left + right) // 2] > 0.9
            text[top:bottom, left:right] = 0
        assert text.max() < 0.3, page.name


@needs_files
def test_letters_say_which_way_up_a_line_is() -> None:
    """Hiding the right ones takes away more than a factor of ten of the odds."""
    line = FOLDER / "samples" / "lines" / "open-daily-turned.png"
    (result,) = explain(load_model(FOLDER / "orientation.py"), line, "PartialOcclusion")
    turned, upright = result.panels[1:]
    assert turned.title == "upside down"
    assert turned.array.max() > np.log(10)
    np.testing.assert_allclose(upright.array, -turned.array, atol=1e-3)
