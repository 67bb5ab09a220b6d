"""Models that rely on a shortcut, mended and audited again; and those that can't be mended."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import picasso
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.properties import PROPERTIES
from picasso.cli.command import main
from picasso.errors import BadRequest, ModelError
from picasso.mending import advice
from picasso.mending import deep as training
from picasso.mending.counterfactuals import Alarm, counterfactuals, unchanged
from picasso.mending.mend import NOTHING
from picasso.models import load_model
from picasso.models.base import Model
from tests.mending.models import LABELS, edges, folder

# Keras warns when it writes a file.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

BRIGHTNESS = [PropertyChange(PROPERTIES[0]), PropertyChange(PROPERTIES[1])]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("images") / "images")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("models") / "bad.keras"
    edges(1.0).save(file)
    return file


def loaded(file: Path) -> Model:
    return load_model(file, labels=LABELS, preprocess="0..255")


def test_a_shortcut_is_unlearned_in_a_copy(images: Path, saved: Path, tmp_path: Path) -> None:
    digest, shown = hashlib.sha256(saved.read_bytes()).digest(), list[tuple[float, str]]()
    out = tmp_path / "new" / "mended.keras"
    found = picasso.mend_model(
        loaded(saved),
        images,
        out,
        fair=images,
        interventions=BRIGHTNESS,
        progress=lambda fraction, what: shown.append((fraction, what)),
    )
    assert found.mended
    assert found.file == out
    (effect,) = found.effects
    assert effect.intervention == "brightness"
    assert effect.size_before > 0.9
    assert effect.size_after < 0.05
    assert effect.remainder < 0.05
    assert found.own
    assert found.held_out
    assert found.worst
    assert found.own.before.accuracy < 0.9 < found.own.after.accuracy
    assert found.held_out.after.accuracy > 0.9
    assert found.worst.before < 0.1
    assert found.worst.after > 0.9
    assert found.fair
    assert found.fair.after.accuracy == found.own.after.accuracy
    assert found.sentence.startswith("Brightness 1.0")
    assert repr(found).startswith("<Mending: Brightness")
    # The features are known: the first is the brightness, whose weight was the only one.
    old, new = (loaded(file).head().weights.kernel for file in (saved, out))
    assert abs(old[0]).max() > 30 * abs(old[1:]).max()
    assert abs(new[0]).max() < 0.05 * abs(new[1:]).min()
    # The model is as it was, and nothing but the copy and its numbers was written.
    assert hashlib.sha256(saved.read_bytes()).digest() == digest
    assert sorted(one.name for one in out.parent.iterdir()) == ["mended.keras", "mended.mending.json"]
    document = json.loads((out.parent / "mended.mending.json").read_text(encoding="utf-8"))
    assert document["mended"]
    assert document["model"]["checkpoint"] == "bad.keras"
    assert document["effects"][0]["classes"] == list(LABELS)
    assert document["own"]["after"]["accuracy"] == found.own.after.accuracy
    fractions = [fraction for fraction, _ in shown]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert {"auditing the model", "fitting the last layer", "auditing the mended model"} <= {what for _, what in shown}


def test_the_same_call_gives_the_same_weights(images: Path, saved: Path, tmp_path: Path) -> None:
    kernels = []
    for name in ("one.keras", "two.keras"):
        picasso.mend_model(loaded(saved), images, tmp_path / name, interventions=BRIGHTNESS)
        kernels.append(loaded(tmp_path / name).head().weights.kernel)
    np.testing.assert_array_equal(kernels[0], kernels[1])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train all layers for a few seconds only."""
    monkeypatch.setattr(training, "PARTS", 12)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("deep", [False, True])
def test_features_without_the_object_are_said_to_lack_it(images: Path, tmp_path: Path, deep: bool) -> None:
    model = load_model(edges(1.0, blind=True), labels=LABELS, preprocess="0..255")
    out = tmp_path / "mended.keras"
    found = picasso.mend_model(model, images, out, interventions=BRIGHTNESS, deep=deep)
    if deep:
        # The other convolutions are zero with ReLUs that pass no gradient, so training finds nothing either.
        assert found.deep or not found.mended
    assert not found.mended
    assert found.file is None
    assert not out.exists()
    assert "can't be mended by" in found.sentence
    assert "features hardly carry the object" in found.sentence
    assert ("repeat with --deep (deep=True), about " in found.advice) != deep
    assert "Collect 20 images of “no tank” with the brightness of “tank”" in found.advice
    assert "keras.layers.RandomBrightness" in found.advice
    # Nothing is left that would stop another attempt.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("short")
def test_the_whole_network_can_be_trained(images: Path, saved: Path, tmp_path: Path) -> None:
    found = picasso.mend_model(
        loaded(saved), images, tmp_path / "mended.keras", fair=images, interventions=BRIGHTNESS[:1], deep=True
    )
    assert found.mended
    assert found.worst
    assert found.worst.after > 0.9
    assert found.held_out
    # A quarter of the images is held out if the trained network was taken.
    assert found.held_out.after.images == (20 if found.deep else 80)
    model, copy = loaded(saved), loaded(tmp_path / "mended.keras")
    first = [one.model.get_layer("seen").get_weights()[0] for one in (model, copy)]  # type: ignore[attr-defined]
    assert (first[0] != first[1]).any() == found.deep


def test_without_an_alarm_nothing_is_written(images: Path, tmp_path: Path) -> None:
    model = load_model(edges(0.0), labels=LABELS, preprocess="0..255")
    found = picasso.mend_model(model, images, tmp_path / "mended.keras", interventions=BRIGHTNESS)
    assert found.sentence == NOTHING
    assert not found.mended
    assert list(tmp_path.iterdir()) == []


def test_files_that_exist_are_kept(images: Path, saved: Path, tmp_path: Path) -> None:
    for name in ("mended.keras", "mended.mending.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(BadRequest, match="exists, and no file is overwritten"):
            picasso.mend_model(loaded(saved), images, tmp_path / "mended.keras", interventions=BRIGHTNESS)
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    with pytest.raises(BadRequest, match=r"is a \.keras file"):
        picasso.mend_model(loaded(saved), images, tmp_path / "mended.h5", interventions=BRIGHTNESS)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_predicts_otherwise_is_deleted(
    images: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(saved)
    head = model.head()
    monkeypatch.setattr(type(model), "head", lambda self: head)
    monkeypatch.setattr(head, "reload", lambda file: loaded(saved))
    with pytest.raises(ModelError, match="predicts otherwise after it was written"):
        picasso.mend_model(model, images, tmp_path / "mended.keras", interventions=BRIGHTNESS)
    assert list(tmp_path.iterdir()) == []


def test_counterfactuals_keep_the_class_and_exchange_the_property(images: Path, saved: Path) -> None:
    from picasso.audit.reading import read
    from picasso.audit.trial import TrialContext
    from picasso.evaluation import labeled_folder

    model = loaded(saved)
    context = TrialContext(model, read(model, labeled_folder.find(model, images), lambda _: None), 0, BRIGHTNESS)
    lights = {one.target: float(one.views.mean()) for one in unchanged(context)}
    assert lights[1] < lights[0]
    alarms = [Alarm("brightness", (0, 1)), Alarm("contrast", (0, 1))]
    made = list(counterfactuals(context, alarms, draws=3))
    counts = {change: sum(one.change == change for one in made) for change in ("brightness", "all changes")}
    assert counts == {"brightness": 6, "all changes": 6}
    for one in made:
        assert one.views.shape == context.folder.views[one.target].shape
        if one.change == "brightness":
            other = lights[1 - one.target]
            assert abs(one.views.mean() - other) < abs(one.views.mean() - lights[one.target])
        if one.change == "brightness, within":
            assert not one.changed
            assert abs(one.views.mean() - lights[one.target]) < abs(lights[0] - lights[1]) / 3
        if one.change == "brightness, control":
            # As far the other way.
            assert not one.changed
            assert abs(one.views.mean() - lights[1 - one.target]) > abs(lights[0] - lights[1])
    again = list(counterfactuals(context, alarms, draws=3))
    assert all(np.array_equal(one.views, other.views) for one, other in zip(made, again, strict=True))


def command(*arguments: object) -> tuple[int, str]:
    options = ["--preprocess", "0..255", "--labels", str(arguments[0])]
    result = CliRunner().invoke(main, ["mend", *map(str, arguments[1:]), *options])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("labels") / "labels.txt"
    file.write_text("\n".join(LABELS), encoding="utf-8")
    return file


def test_the_command_ends_with_0_1_or_2(images: Path, saved: Path, labels: Path, tmp_path: Path) -> None:
    out, audit = tmp_path / "mended.keras", tmp_path / "audit"
    options = ["audit", images, "--model", saved, "--out", audit, "--preprocess", "0..255", "--labels", labels]
    assert CliRunner().invoke(main, list(map(str, options))).exit_code == 1
    trials = {file: file.stat().st_mtime_ns for file in (audit / "trials").iterdir()}
    status, said = command(labels, images, "--model", saved, "--out", out, "--audit", audit)
    assert status == 0, said
    assert "accuracy on your images" in said
    assert "worst held-out group" in said
    assert said.endswith(f"-> {out}\n")
    assert {file: file.stat().st_mtime_ns for file in (audit / "trials").iterdir()} == trials, "computed twice"
    status, said = command(labels, images, "--model", saved, "--out", out)
    assert status == 2
    assert "mended.keras exists, and no file is overwritten" in said
    status, said = command(labels, images, "--model", saved, "--out", tmp_path / "x.keras", "--audit", images)
    assert status == 2
    assert "is not the output folder of an audit" in said
    edges(1.0, blind=True).save(tmp_path / "blind.keras")
    status, said = command(labels, images, "--model", tmp_path / "blind.keras", "--out", tmp_path / "no.keras")
    assert status == 1
    assert "can't be mended by its last layer" in said
    assert "import keras" in said
    assert not (tmp_path / "no.keras").exists()
    edges(0.0).save(tmp_path / "good.keras")
    words = ["mend", images, "--model", tmp_path / "good.keras", "--out", tmp_path / "copy.keras"]
    words += ["--preprocess", "0..255", "--labels", labels, "--json"]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert (result.exit_code, json.loads(result.stdout)["sentence"]) == (0, NOTHING)
    assert NOTHING in result.stderr


@pytest.mark.parametrize(("kind", "name"), [(kind, "something") for kind in advice.OF_KIND])
def test_the_code_for_each_kind_runs(kind: str, name: str) -> None:
    run(advice.augmentation([(kind, name)]))


@pytest.mark.parametrize("name", advice.LAYERS)
def test_the_code_for_each_intervention_runs(name: str) -> None:
    run(advice.augmentation([("property", name)]))


def run(code: str) -> None:
    """Run the code, and augment images with it: some value must change, and all stay within 0 to 255."""
    keras.utils.set_random_seed(0)
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - the code is what is tested
    images = np.random.default_rng(0).uniform(0, 255, (4, 24, 32, 3)).astype(np.float32)
    changed = np.asarray(names["augment"](images))  # type: ignore[operator]
    assert changed.shape == images.shape
    assert np.abs(changed - images).max() > 1
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_masks_are_those_of_the_audit(images: Path, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path / "images")
    for file in sorted((tmp_path / "images").glob("*/*")):
        mask = tmp_path / "masks" / file.parent.name / f"{file.stem}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            Image.new("L", image.size, 255).save(mask)
    audited = picasso.audit_model(loaded(saved), tmp_path / "images", tmp_path / "audit", interventions=BRIGHTNESS)
    assert len(audited.folder.masks) == 2
    (trials,) = (tmp_path / "audit" / "trials").glob("*.json")
    before = trials.read_bytes()
    out, earlier = tmp_path / "mended.keras", tmp_path / "audit"
    picasso.mend_model(loaded(saved), tmp_path / "images", out, audit=earlier, interventions=BRIGHTNESS)
    # Otherwise, all would have been tested again, and stored with another key.
    assert trials.read_bytes() == before
    with pytest.raises(BadRequest, match="folder of masks .* does not exist"):
        picasso.mend_model(loaded(saved), images, tmp_path / "other.keras", masks=tmp_path / "nowhere")
