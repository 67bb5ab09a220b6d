"""Large folders are read in random blocks, one at a time and only as many as needed, and audits say how many."""

from __future__ import annotations

import gc
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
from PIL import Image

from benchmarks.audit import pools
from picasso.audit import stopping
from picasso.audit.audit import Audit, Plan, plan, run, silently
from picasso.audit.checkpoint import record_of
from picasso.audit.dataset import Folder
from picasso.audit.interventions import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.properties import PROPERTIES
from picasso.audit.reading import FileBlocks, read
from picasso.audit.reporting import report
from picasso.audit.selection import MIN_PER_CLASS, blocks_of
from picasso.audit.trial import Trial, TrialContext
from picasso.errors import BadRequest
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.models.base import Model
from tests.audit.test_audit import Judge, noise_images

# Of each class; three blocks, of which the last is smaller.
IMAGES, BLOCK = 440, 200


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[LabeledImage]:
    """Return the files of two classes; nearly all images of one are dark."""
    folder, found = tmp_path_factory.mktemp("pool"), []
    for seed in range(IMAGES // 40):
        for target, views in noise_images("brightness", seed).items():
            for index, view in enumerate(np.round(views * 255).astype(np.uint8)):
                file = folder / f"{target}-{seed:02d}-{index:02d}.png"
                Image.fromarray(view).save(file)
                found.append(LabeledImage(file, target))
    return found


class Sometimes(Intervention):
    """Darkens all images of a block, or finds nothing to change in it."""

    kind, name = "property", "something rare"

    def __init__(self, *found: bool) -> None:
        self.found = list(found)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult | None:
        shift = np.float32(-0.1 if case.ours.mean() > case.theirs.mean() else 0.1)
        return InterventionResult(case.ours + shift, case.ours - shift) if self.found.pop(0) else None

    def words(self, case: ImagePair) -> str:
        return "changing {a} images"


def context_of(images: list[LabeledImage], *interventions: Intervention, reliance: float = 0.9) -> TrialContext:
    model = Judge()
    model.load()
    model.reliance = reliance
    return TrialContext(model, read(model, images, silently), 0, interventions or (PropertyChange(PROPERTIES[0]),))


def test_blocks_are_random_disjoint_and_complete(images: list[LabeledImage]) -> None:
    few = [one for one in images if one.target == 0] + [one for one in images if one.target == 1][:12]
    context = context_of(few)
    blocks = context.folder.blocks
    assert isinstance(blocks, FileBlocks)
    assert blocks.sizes == {0: [BLOCK, BLOCK, IMAGES - 2 * BLOCK], 1: [12]}
    assert sorted(file for block in blocks.files[0] for file in block) == sorted(one.file for one in few[:IMAGES])
    # Each contains images of all parts of the folder, and the seed decides which.
    assert all(
        {file.name[:4] for file in block} == {f"0-{seed:02d}" for seed in range(11)} for block in blocks.files[0]
    )
    for seed in (1, -1):
        other = read(context.model, few, silently, seed=seed).blocks
        assert isinstance(other, FileBlocks)
        assert other.files[0] != blocks.files[0]
    # The smaller class limits a pair: there is one look, so nothing is held back for others.
    assert context.blocks_of_pair((0, 1)) == 1
    (one, _) = run(context).trials[0, 1]
    assert (one.decided, one.tally, one.pool) == (True, None, BLOCK)


def test_what_fits_into_a_block_is_read_at_once(images: list[LabeledImage]) -> None:
    some = [one for one in images if one.file.name[2:4] in ("00", "01", "02", "03", "04")]
    context = context_of(some)
    assert context.folder.blocks is None
    assert context.folder.names[1] == tuple(one.file.name for one in some if one.target == 1)
    found = run(context)
    assert all((one.tally, one.blocks_used, one.decided) == (None, 1, True) for one in found.trials[0, 1])
    assert "Decided after" not in found.verdict.findings[0].sentence(["no tank", "tank"])
    assert found.coverage.used == 1


def test_an_audit_stops_early_and_says_so(images: list[LabeledImage], tmp_path: Path) -> None:
    found = run(context_of(images), keep=tmp_path / "trials")
    there, _ = found.trials[0, 1]
    assert there.early
    assert (there.blocks_used, there.effect.images) == (2, 2 * BLOCK)
    assert there.pool == IMAGES
    assert [one.alarm for one in found.verdict.findings] == [True]
    assert "Decided after 800 of 880 images." in found.verdict.findings[0].sentence(["no tank", "tank"])
    assert "The tests stopped with 90.9% of the images, on average." in found.sentence()
    written = report.write(found, tmp_path / "out")
    assert written["findings"][0]["directions"][0]["pool"] == IMAGES
    assert written["trials"][0]["tally"] is None
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Tests that may stop after each block of images on 400 of 440 images of" in page
    # What is stored is used again.
    assert run(context_of(images), keep=tmp_path / "trials").trials == found.trials


def test_the_benchmark_goes_on_where_an_audit_stopped(
    images: list[LabeledImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    views = {
        target: np.stack([np.asarray(Image.open(one.file)) for one in images if one.target == target])
        for target in (0, 1)
    }
    model = context_of(images[:80]).model
    context = TrialContext(model, pools.pool_of(model, views), 0, (PropertyChange(PROPERTIES[0]),))
    stopped = run(context)
    assert all(one.early for one in made(stopped))
    whole = pools.completed(context, stopped.trials)
    monkeypatch.setattr(stopping, "is_clear", never)
    for one, other in zip(whole[0, 1], made(run(context)), strict=True):
        assert (one.blocks_used, one.tally) == (3, other.tally)
        assert one.effect.fraction == other.effect.fraction
    assert pools.summary(whole) == {"findings": [["[0, 1]", "brightness", "relies on"]], "used": 1.0, "tests": 1}
    found = {
        name: {"first": alarm, "stopped": alarm, "whole": alarm, "seconds": [1.0, 4.0]}
        for name, alarm in (
            ("planted", pools.summary(stopped.trials)),
            ("clean", {"findings": [], "used": 0.5, "tests": 1}),
        )
    }
    lines = pools.lines(found)
    assert lines[0].startswith(
        "planted: 1 models, 90.9% of the images, at most 90.9%; alarms in 1, with one block in 1"
    )
    assert "alarms in 1; the same verdict in 1, of the same names in 1; CPU 25.0%" in lines[1]
    assert lines[2].startswith(
        "innocent: 1 models, 50.0% of the images, at most 50.0%; alarms in 0, with one block in 0"
    )


def never(*_: object) -> bool:
    return False


def test_where_nothing_is_clear_all_images_are_used(
    images: list[LabeledImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "is_clear", never)
    asked: list[tuple[int, list[int]]] = []
    original = FileBlocks.read

    def noted(self: FileBlocks, model: Model, number: int, targets: Collection[int]) -> Folder:
        asked.append((number, list(targets)))
        return original(self, model, number, targets)

    monkeypatch.setattr(FileBlocks, "read", noted)
    tried = (PropertyChange(PROPERTIES[0]), PropertyChange(PROPERTIES[1]))
    fractions: list[float] = []
    found = run(context_of(images, *tried), keep=tmp_path, progress=fractions.append)
    # Each block is read once for all interventions.
    assert asked == [(1, [0, 1]), (2, [0, 1])]
    assert all(
        (one.effect.images, one.blocks_used, one.decided, one.early) == (IMAGES, 3, True, False) for one in made(found)
    )
    assert found.coverage.used == 1
    assert found.undecided == {}
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    # A finished audit reads no block again.
    asked.clear()
    assert run(context_of(images, *tried), keep=tmp_path).trials == found.trials
    assert asked == []
    # Killed after the first block, it goes on from there.
    kept = tmp_path / "pair-0-1.json"
    context = context_of(images, *tried)
    start = run(context, keep=tmp_path / "other", budget=0)
    assert start.tried
    # However short the time, each run tests at least one intervention on one block, so it ends: two on three blocks.
    for _ in range(4):
        unfinished = run(context_of(images, *tried), keep=tmp_path / "other", budget=0)
        assert unfinished.tried or unfinished.undecided
    assert run(context, keep=tmp_path / "other", budget=0).trials == found.trials
    assert (tmp_path / "other" / "pair-0-1.json").read_bytes() == kept.read_bytes()


def made(found: Audit) -> list[Trial]:
    return [one for some in found.trials.values() for one in some]


def test_where_the_time_runs_out_it_says_what_is_undecided(
    images: list[LabeledImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "is_clear", never)
    context = context_of(images)
    found = run(context, plan(context), budget=0)
    assert found.undecided == {(0, 1): ["brightness"]}
    assert "Time ran out: 1 test is undecided, because more images are needed." in found.sentence()
    assert "Not yet decided after 400 of 880 images." in found.verdict.findings[0].sentence(["no tank", "tank"])
    written = report.write(found, tmp_path / "out")
    assert written["undecided"] == [{"classes": ["no tank", "tank"], "interventions": ["brightness"]}]
    assert "before the images decided: brightness." in (tmp_path / "out" / "report.html").read_text()
    assert 'skipped="1"' in (tmp_path / "out" / "junit.xml").read_text()


def test_a_block_without_anything_to_change_counts_as_unchanged(
    images: list[LabeledImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "is_clear", never)
    always, once = (
        made(run(context_of(images, Sometimes(True, True, *later))))[0]
        for later in ((True,) * 4, (False, False, False, False))
    )
    assert always.effect.images == once.effect.images == IMAGES
    assert once.effect.fraction == pytest.approx(always.effect.fraction * BLOCK / IMAGES, rel=0.1)


def test_unreadable_images_of_a_later_block_are_left_out(
    images: list[LabeledImage], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stopping, "is_clear", never)
    context = context_of(images)
    blocks = context.folder.blocks
    assert isinstance(blocks, FileBlocks)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    files = {0: [*blocks.files[0][:2], [broken, *blocks.files[0][2][1:]]], 1: [*blocks.files[1][:2], [broken] * 9]}
    monkeypatch.setitem(blocks.files, 0, files[0])
    found = run(context)
    one, other = made(found)
    assert (one.effect.images, other.effect.images) == (IMAGES - 1, IMAGES)
    assert one.decided
    assert found.coverage.unreadable == 1
    assert "broken.png" in report.document(found)["unreadable"][0]
    # No image of the class is readable: the block is left out for the pair.
    monkeypatch.setitem(blocks.files, 1, files[1])
    one, other = made(run(context))
    assert (one.effect.images, other.effect.images) == (2 * BLOCK, 2 * BLOCK)
    assert one.decided


@pytest.mark.parametrize(
    ("images", "most"), [(201, 200), (207, 200), (208, 200), (400, 200), (401, 200), (17, 8), (4_000, 13)]
)
def test_all_blocks_but_the_last_are_full_and_none_is_too_small_for_a_test(images: int, most: int) -> None:
    blocks = blocks_of(images, most, np.random.default_rng(0))
    sizes = [len(one) for one in blocks]
    assert sorted(index for one in blocks for index in one) == list(range(images))
    assert set(sizes[:-1]) <= {most}
    assert MIN_PER_CLASS <= sizes[-1] < most + MIN_PER_CLASS


def test_where_the_first_block_is_unreadable_the_next_comes_first(images: list[LabeledImage], tmp_path: Path) -> None:
    blocks = context_of(images).folder.blocks
    assert isinstance(blocks, FileBlocks)
    broken = set(blocks.files[0][0])
    for file in broken:
        (tmp_path / file.name).write_bytes(b"no image")
    context = context_of([LabeledImage(tmp_path / one.file.name, 0) if one.file in broken else one for one in images])
    assert [len(context.folder.views[target]) for target in (0, 1)] == [BLOCK, BLOCK]
    assert len(context.folder.unreadable) == BLOCK
    assert context.blocks_of_pair((0, 1)) == 2
    one, _ = made(run(context))
    assert one.effect.images == one.pool == IMAGES - BLOCK


def test_unreadable_images_are_no_reason_for_stopping_early(images: list[LabeledImage], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    few = [one for one in images if one.target == 1][:40]
    found = run(context_of([*(one for one in images if one.target == 0), *few, LabeledImage(broken, 1)]))
    assert [(one.early, one.pool, one.effect.images) for one in made(found)] == [
        (False, BLOCK, BLOCK),
        (False, 40, 40),
    ]
    assert found.coverage.used == 1


def test_a_finished_block_is_not_kept_in_memory(images: list[LabeledImage], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "is_clear", never)
    context, held, most = context_of(images), WeakSet[TrialContext](), []
    original = TrialContext.block

    def noted(self: TrialContext, number: int, targets: Collection[int]) -> TrialContext | None:
        most.append(len(held))
        found = original(self, number, targets)
        if found is not None:
            # Its caches are used.
            found.attention(0)
            found.location(1)
            held.add(found)
        return found

    monkeypatch.setattr(TrialContext, "block", noted)
    gc.disable()
    try:
        run(context)
    finally:
        gc.enable()
    # When a block is read, the one before is gone, without the garbage collector.
    assert most == [0, 0]
    assert len(held) == 0


def test_masks_of_all_blocks_are_checked_at_the_start(images: list[LabeledImage], tmp_path: Path) -> None:
    masks = tmp_path / "masks" / images[0].file.parent.name
    masks.mkdir(parents=True)
    with Image.open(images[0].file) as image:
        size = image.size
    for one in images:
        Image.new("L", size, 255).save(masks / f"{one.file.stem}.png")
    model = context_of(images).model
    whole = read(model, images, silently, masks=masks.parent)
    assert set(whole.masks) == {0, 1}
    assert isinstance(whole.blocks, FileBlocks)
    assert set(whole.blocks.read(model, 2, [0, 1]).masks) == {0, 1}
    last = masks / f"{whole.blocks.files[1][2][0].stem}.png"
    # One that is missing in the last block leaves the class without masks in all blocks, and changes the identity.
    kept, identity = last.read_bytes(), whole.blocks.identity()
    last.unlink()
    lacking = read(model, images, silently, masks=masks.parent)
    assert set(lacking.masks) == {0}
    assert isinstance(lacking.blocks, FileBlocks)
    assert set(lacking.blocks.read(model, 1, [0, 1]).masks) == {0}
    assert lacking.blocks.identity() != identity
    last.write_bytes(kept)
    assert read(model, images, silently, masks=masks.parent).masks.keys() == {0, 1}
    Image.new("L", (3, 5), 255).save(last)
    with pytest.raises(BadRequest, match=f"{last.name} has 3 x 5 pixels"):
        read(model, images, silently, masks=masks.parent)
    last.write_bytes(b"no image")
    with pytest.raises(BadRequest, match=f"{last.name} can't be read"):
        read(model, images, silently, masks=masks.parent)


def test_stored_trials_are_those_of_the_same_level(images: list[LabeledImage], tmp_path: Path) -> None:
    context = context_of(images)
    key = record_of(tmp_path, context, Plan(((0, 1),), (), {}).level(1)).key
    assert record_of(tmp_path, context, Plan(((0, 1), (0, 2)), (), {}).level(1)).key != key
    # A pair that is tested alone has the level of the whole audit.
    alone = Plan(((0, 1), (0, 2)), (), {}).only((0, 1))
    assert alone.level(1) == Plan(((0, 1), (0, 2)), (), {}).level(1)


def test_what_is_known_about_unreadable_images_is_stored(
    images: list[LabeledImage], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = context_of(images)
    assert isinstance(context.folder.blocks, FileBlocks)
    last = context.folder.blocks.files[0][1][0]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    some = [LabeledImage(broken, 0) if one.file == last else one for one in images]
    found = run(context_of(some), keep=tmp_path / "trials")
    assert found.coverage.unreadable == 1
    # Again with the same images, and then with those of the stopped audit.
    run(found.context)
    assert len(found.context.unreadable) == 1
    monkeypatch.setattr(FileBlocks, "read", never)
    again = run(context_of(some), keep=tmp_path / "trials")
    assert (again.trials, again.context.unreadable) == (found.trials, found.context.unreadable)


def test_where_all_is_clear_after_the_first_block_the_progress_ends(images: list[LabeledImage]) -> None:
    fractions: list[float] = []
    run(context_of(images, Sometimes(False, False)), progress=fractions.append)
    assert fractions[-1] == 1
    assert fractions == sorted(fractions)


def test_the_effect_without_the_object_is_compared_with_that_of_the_same_block(images: list[LabeledImage]) -> None:
    intervention = PropertyChange(PROPERTIES[0])
    context = context_of(images, intervention)
    measured = context.measured_both(intervention, (0, 1))[0]
    own = context.around(intervention, measured)
    large = replace(measured.trial, effect=replace(measured.trial.effect, fraction=100.0))
    assert context.around(intervention, measured._replace(trial=large)) == own
