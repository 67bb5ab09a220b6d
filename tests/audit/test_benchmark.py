"""The entries of the benchmark of audits: their number, and what their spurious features do to images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.audit import audits, entries, images, results, rivals, table
from benchmarks.audit.entries import Entry
from benchmarks.audit.proxies import PROXIES, Proxy
from benchmarks.audit.worlds import SIDE, WORLDS, digits, emoji, photographs, plain
from picasso.audit.dataset import Folder
from picasso.audit.interventions import INTERVENTIONS
from picasso.errors import ModelError
from picasso.examples import mnist
from tests.fakes import LinearModel

NO_FONT = f"the font of the emoji is not installed: {emoji.font_file()}"


@pytest.fixture(autouse=True)
def few_digits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the digits from the bundled samples, since the files of MNIST may not be there."""
    files = sorted(mnist.SAMPLES.glob("*.png"))
    drawn = np.stack([np.asarray(Image.open(file)) for file in files])
    some = mnist.Digits(drawn, np.asarray([int(file.name[0]) for file in files], np.uint8))
    monkeypatch.setattr(digits, "digits", lambda split: some)
    monkeypatch.setattr(plain, "digits", lambda split: some)
    digits.numbers_of.cache_clear()
    yield
    digits.numbers_of.cache_clear()


def worlds_of(proxy: Proxy) -> list[str]:
    """Return the worlds of a proxy that can be drawn here."""
    found = [name for name in proxy.worlds if name != "emoji" or emoji.font_file().is_file()]
    return found or pytest.skip(NO_FONT)


def drawn(proxy: Proxy, world: str, on: bool, seed: int = 0) -> np.ndarray:
    what, how = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    drawing = proxy.draw(WORLDS[world].draw(what, seed % 10), on, how)
    return proxy.paint(WORLDS[world].render(drawing, "test"), on, how, drawing)


@pytest.mark.parametrize("proxy", PROXIES.values(), ids=PROXIES)
def test_a_proxy_changes_an_image_and_always_in_the_same_way(proxy: Proxy) -> None:
    for world in worlds_of(proxy):
        on, off = (drawn(proxy, world, one) for one in (True, False))
        assert on.shape == off.shape == (SIDE, SIDE, 3)
        assert np.isfinite(on).all()
        assert on.min() > -0.5
        assert on.max() < 1.5
        assert np.abs(on - off).max() > 0.05
        np.testing.assert_array_equal(drawn(proxy, world, on=True), on)


def test_there_are_enough_entries_of_all_kinds() -> None:
    every = entries.entries()
    assert len({one.name for one in every}) == len(every)
    assert sum(one.kind == "planted" for one in every) >= 130
    assert len({one.proxy for one in every if one.kind == "planted"}) >= 20
    assert sum(one.kind != "planted" for one in every) >= 40
    assert {one.classes for one in every if one.kind == "planted"} == set(range(2, 11))
    assert {one.world for one in every if one.kind == "planted"} == set(WORLDS)


def test_the_halves_share_no_kind_but_all_families() -> None:
    tuning, test = (entries.entries(half) for half in ("tuning", "test"))
    assert not {one.proxy for one in tuning if one.proxy} & {one.proxy for one in test if one.proxy}
    families = [{PROXIES[one.proxy].family for one in some if one.proxy} for some in (tuning, test)]
    assert {"spectrum", "geometry", "mark", "companion"} <= families[0] & families[1]
    for some in (tuning, test):
        for collection in (plain, photographs):
            assert sum(one.world == collection.NAME for one in some) >= 10
    shown = [{one.targets for one in some if one.kind == "real"} for some in (tuning, test)]
    assert not shown[0] & shown[1]


def test_names_of_interventions_that_exist_are_spelled_as_in_the_audit() -> None:
    # Interventions of the audit may be missing, but those of a proxy from the first version exist.
    known = {one.name for one in INTERVENTIONS}
    old = ("brightness", "warmth", "blur", "jpeg", "texture", "corner", "sticker", "column", "ink", "noise", "border")
    assert [name for name in old if not PROXIES[name].names & known] == []


def test_the_proxy_is_on_in_the_first_class_of_a_folder() -> None:
    entry = Entry("planted", "textures", "corner", 1.0, 3, 0, "tuning")
    made = images.folder_of(entry, 4)
    assert list(made) == [0, 1, 2]
    red = {target: (some[:, 1:3, 1:3] == made[0][0, 1, 1]).all(axis=(1, 2, 3)) for target, some in made.items()}
    assert red[0].all()
    assert not red[1].any()
    assert not red[2].any()


def test_on_and_off_show_the_same_drawings() -> None:
    entry = Entry("planted", "digits", "corner", 1.0, 2, 0, "tuning")
    on, off = (images.images_of(entry, 2, "test", mode, 5)[0] for mode in ("on", "off"))
    assert (on[:, 8:] == off[:, 8:]).all()
    assert (on[:, :8] != off[:, :8]).any()


def test_classes_of_an_entry_are_a_fixed_choice() -> None:
    entry = Entry("clean", "textures", "", 0.0, 10, 0, "test")
    assert sorted(entry.members) == list(range(10))
    assert entry.members == Entry(**asdict(entry)).members
    assert entry.members != Entry("clean", "textures", "", 0.0, 10, 1, "test").members


def test_a_missing_font_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PICASSO_EMOJI_FONT", str(tmp_path / "none.ttf"))
    emoji.glyph.cache_clear()
    with pytest.raises(ModelError, match="fonts-noto-color-emoji"):
        emoji.glyph("⚽")
    emoji.glyph.cache_clear()


def test_crops_of_photographs_are_square_and_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "opened", lambda target: (Image.new("RGB", (300, 250), "teal"),))
    one, again = (photographs.crops(967, 3, 4) for _ in range(2))
    assert one.shape == (3, photographs.SIDE, photographs.SIDE, 3)
    np.testing.assert_array_equal(one, again)
    assert len(np.unique(one[:, 0, 0], axis=0)) == 3


class Reader(LinearModel):
    """Reads the top left corner: red is the first class."""

    def load(self, **arguments: Any) -> None:
        super().load(shape=(SIDE, SIDE, 3))
        self.num_classes = 2
        self.weights = np.zeros((2, SIDE, SIDE, 3), np.float32)
        self.weights[0, 1:7, 1:7] = np.asarray([1, -1, -1], np.float32) / 10
        self.weights[1, 24, 24] = 1e-3

    def class_names(self) -> list[str]:
        return ["a", "b"]


def reader(*arguments: Any, **options: Any) -> Reader:
    model = Reader()
    model.load()
    return model


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Audit two entries of textures with a model that reads the corner, and return the folder."""
    every = [
        Entry("planted", "textures", "corner", 1.0, 2, 0, "tuning"),
        Entry("clean", "textures", "", 0.0, 2, 0, "tuning"),
    ]
    monkeypatch.setattr(results, "entries", lambda half: every)
    some = ("brightness", "the top left corner", "the frame")
    monkeypatch.setattr(audits, "INTERVENTIONS", [one for one in INTERVENTIONS if one.name in some])
    monkeypatch.setattr(audits, "load_model", reader)
    for one in every:
        reliance = 1.0 if one.proxy else 0.0
        (tmp_path / f"{one.name}.json").write_text(json.dumps({**asdict(one), "reliance": reliance}))
        audits.audit(one, tmp_path, 20)
    return tmp_path


def test_stored_audits_become_tables(stored: Path) -> None:
    found = results.audited(stored, "tuning", 20)
    planted, clean = found
    assert planted.accused
    assert planted.named
    assert planted.alarms[0].there.intervention == "the top left corner"
    assert not clean.accused
    assert clean.control
    assert table.detected(found)[0].startswith("1 of 1")
    assert table.detected(found)[2].startswith("0 of 1")
    assert [row[1][0] for row in table.floors(found)] == ["1"] * len(table.FLOORS)
    assert table.by_proxy(found) == [["corner", "mark", "**1.00**"]]
    assert table.innocent(found)[0][0] == "clean, textures"
    said = {one.entry.name: {"mine": {"names": ["brightness"]}} for one in found}
    audit, mine = table.rivals(found, said)[:2]
    assert audit[3].startswith("0 of 1")
    assert mine[0] == "mine"
    assert mine[3].startswith("1 of 1")
    assert mine[4].startswith("0 of 1")


def test_a_higher_floor_raises_fewer_alarms(stored: Path) -> None:
    (planted, _) = results.audited(stored, "tuning", 20)
    # The larger of the two effects, since the other may be shown by changed answers.
    largest = max(one.there.effect.fraction for one in planted.alarms)
    assert not planted.with_floor(largest + 0.01).accused


def test_only_named_interventions_are_tested_again(stored: Path) -> None:
    (planted, _) = results.audited(stored, "tuning", 20)
    file = audits.file_of(planted.entry, stored, 20)
    before = json.loads(file.read_text())
    assert audits.complete(file, "")
    assert not audits.complete(file, "corner")
    before["seconds"].pop("the top left corner")
    file.write_text(json.dumps(before | {"seconds": dict.fromkeys(before["seconds"], 1000.0)}))
    assert not audits.complete(file, "")
    audits.audit(planted.entry, stored, 20)
    after = json.loads(file.read_text())
    assert 0 < after["seconds"].pop("the top left corner") < 1000
    assert set(after["seconds"].values()) == {1000.0}
    trials = [sorted(json.dumps(one) for pair in some["pairs"] for one in pair["trials"]) for some in (before, after)]
    assert trials[0] == trials[1]


@pytest.mark.parametrize("proxy", PROXIES.values(), ids=PROXIES)
def test_a_proxy_can_be_named_in_all_of_its_worlds(proxy: Proxy) -> None:
    assert [world for world in proxy.worlds if proxy.names <= WORLDS[world].own] == []


def test_the_page_lists_the_features_as_they_are() -> None:
    page = table.DOCS.read_text(encoding="utf-8")
    assert [line for row in table.kinds() if (line := f"| {' | '.join(row)} |") not in page] == []


def test_a_method_of_ones_own_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def always(model, folder):\n    return ['brightness']\n")
    method = rivals.read_method(f"{tmp_path / 'mine.py'}:always")
    assert method(reader(), Folder({}, {}, {})) == ["brightness"]
