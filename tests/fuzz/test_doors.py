"""A few seconds of spoilt files at each door; ``make fuzz`` sends many more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fuzz.doors import DOORS
from tests.fuzz.mutations import SIGNATURE, Mutator, chunks, joined
from tests.fuzz.structured import StructuredMutator, message, parsed
from tests.hostile import FOLDER

ROOT = FOLDER.parents[1]


@pytest.mark.parametrize("door", DOORS)
def test_spoilt_files(door: str) -> None:
    # Another seed than that of the long run; the same each time, so that nothing fails by chance.
    words = ["--door", door, "--inputs", "100000", "--seconds", "2", "--processes", "1", "--seed", "77"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "taken" in done.stdout


def test_the_same_seed_gives_the_same_files() -> None:
    body = (FOLDER / "files" / "text_chunks.png").read_bytes()
    one, two, other = (Mutator([body], seed) for seed in (1, 1, 2))
    first = [one.next() for _ in range(100)]
    assert first == [two.next() for _ in range(100)]
    assert first != [other.next() for _ in range(100)]


def test_structures_are_whole_again() -> None:
    meta = ROOT / "picasso" / "examples" / "tensorflow" / "data" / "mnist.ckpt.meta"
    fields = parsed(meta.read_bytes())
    assert fields is not None
    assert message(fields) == meta.read_bytes()
    good = (ROOT / "tests" / "zoo" / "logits.onnx").read_bytes()
    one, two = (StructuredMutator(".onnx", [good], 3, 100_000) for _ in range(2))
    made = [one.next() for _ in range(50)]
    assert made == [two.next() for _ in range(50)]
    assert len(set(made)) > 40
    assert sum(parsed(body) is not None for body in made) > 35


def test_chunks_are_taken_apart_and_put_together() -> None:
    body = (FOLDER / "files" / "text_chunks.png").read_bytes()
    assert [kind for kind, _ in chunks(body)] == [b"IHDR", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"IDAT", b"IEND"]
    assert joined(chunks(body)) == body
    assert body.startswith(SIGNATURE)
