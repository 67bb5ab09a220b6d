"""The bundled examples: real weights on real digits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from picasso import explain
from picasso.examples import mnist
from picasso.models import load_model
from picasso.models.base import Model

pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES = Path(mnist.__file__).parent
SAMPLES = sorted(mnist.SAMPLES.glob("*.png"))


@pytest.fixture(scope="module", params=["keras", "tensorflow"])
def example(request: pytest.FixtureRequest) -> Model:
    return load_model(EXAMPLES / request.param / "config.py")


def test_every_sample_is_read_right(example: Model) -> None:
    assert len(SAMPLES) == 30
    results = explain(example, SAMPLES, "ClassProbabilities")
    assert [result.predictions[0]["name"] for result in results] == [file.name[0] for file in SAMPLES]


def test_dark_ink_on_paper_and_other_sizes_are_read_too(example: Model) -> None:
    right = 0
    for file in SAMPLES:
        digit = Image.open(file).resize((140, 140), Image.Resampling.BICUBIC)
        paper = ImageOps.expand(ImageOps.invert(digit), (30, 0), 255).convert("RGB")
        (result,) = explain(example, paper, "ClassProbabilities")
        right += result.predictions[0]["name"] == file.name[0]
    assert right >= 28


def test_occlusion_and_saliency_lie_on_the_digit(example: Model) -> None:
    file = next(file for file in SAMPLES if file.name.startswith("8"))
    ink = np.asarray(Image.open(file)) > 40
    (saliency,) = explain(example, file, "SaliencyMaps")
    best = saliency.panels[0].array
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    box = best[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert box.mean() > 1.5 * (best.sum() - box.sum()) / (best.size - box.size)
    (occlusion,) = explain(example, file, Window=0.2, Strides=10, Occlusion="black", Show="probability")
    drops = occlusion.predictions[0]["prob"] - occlusion.panels[1].array
    corners = [drops[0, 0], drops[0, -1], drops[-1, 0], drops[-1, -1]]
    np.testing.assert_allclose(corners, 0, atol=1e-6)
    assert drops.max() > 0.01


def test_logits_softmax_to_the_probabilities(example: Model) -> None:
    inputs = example.preprocess([Image.open(file) for file in SAMPLES])
    logits = example.logits(inputs)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        exponentials / exponentials.sum(axis=1, keepdims=True), example.predict(inputs), atol=1e-6
    )


@pytest.mark.skipif("PICASSO_MNIST" not in os.environ, reason="PICASSO_MNIST does not name a folder of the MNIST files")
def test_accuracy_on_all_test_digits(example: Model) -> None:
    digits = mnist.load(Path(os.environ["PICASSO_MNIST"]), "t10k")
    guesses = example.predict(example.preprocess([Image.fromarray(image) for image in digits.images])).argmax(axis=1)
    accuracy = np.mean(guesses == digits.labels)
    print(f"{type(example).__name__}: {accuracy:.4f}")
    assert accuracy >= {"keras": 0.990, "tensorflow": 0.985}[example.framework]


def test_idx_files_that_are_broken(tmp_path: Path) -> None:
    import gzip

    file = tmp_path / "t10k-images.gz"
    for body in (b"", b"\0\0\x08\x01\0\0\0\x05ab", b"hello"):
        file.write_bytes(gzip.compress(body))
        with pytest.raises(ValueError, match="is not an IDX file|should hold 5 bytes"):
            mnist.read_idx(file)
    with pytest.raises(FileNotFoundError, match="--download"):
        mnist.load(tmp_path, "train")
