"""Words that Picasso does not use any more, in code, pages, documentation and messages: the field has others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What is retired, and what is said instead.
RETIRED = {
    r"(?i)\b(?:\w+_)?pictures?(?:_\w+)?\b|\w*Pictures?\b": "image",
    r"\b(?:Bench|Patient|Diary|Twins|Exhibit|Remainder|Labelled|ModelCard|Suspect)\b": "the names of picasso.audit",
    r"\b(?:tells_apart|both_ways|by_hand\(|load_and_tell|give_way|TO_DO|BY_HAND)\b": "the same",
    r"smallest_visible|told_apart": "minimal_detectable, separable",
    r"\b(?:doubts|smells|FEWEST|MOST|LARGEST|ENOUGH|AT_ONCE|STALE|PATIENCE)\b": "warnings, MAX_, MIN_, _TIMEOUT",
    r"\bdef (?:meanwhile|told|unwanted|conduct)\b": "what the function does",
    r"\bclass (?:Runner|Child|Work|Look|Seen|Attempts|Share|Record)\b": "what the object is",
    r"(?i)\bsuspects?\b": "finding",
    r"(?i)\bgoes by something\b|\bthe thing itself\b|\bthe tale of\b|\ba room\b": "plain sentences",
}
# Names of other packages, in files that are not text, and in models that were saved with them.
KEPT = re.compile(r'huggingface_hub\.ModelCard|pictures:0|"pictures"\)|This is no picture')
TEXT = {".py", ".md", ".html", ".js", ".css", ".toml", ".yml", ".yaml", ".svg", ""}
APART = ("tests/hostile/files/", "tests/hostile/found/", "picasso/static/vendor/", "tests/test_words.py", "LICENSE")


def texts() -> dict[str, str]:
    """Return the text of each file of the repository that people read."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    names = done.stdout.splitlines()
    if not names:
        pytest.skip("this is no checkout")
    read = [name for name in names if Path(name).suffix in TEXT and not name.startswith(APART)]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in read if (ROOT / name).is_file()}


@pytest.mark.parametrize("word", RETIRED)
def test_retired_words_are_gone(word: str) -> None:
    pattern = re.compile(word)
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(KEPT.sub("", line))
    ]
    assert found == [], f"say instead: {RETIRED[word]}"
