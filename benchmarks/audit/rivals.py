"""Other methods that detect a proxy, on the same models and folders as the audit. None of them changes an image.

    python -m benchmarks.audit.rivals FOLDER --half test

writes the result of each method for each model: properties of the data alone, as in data-centric tools; attention on
the border; and clusters of attribution maps, as in SpRAy.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.audit.audits import opened
from benchmarks.audit.models import entries
from picasso.audit.confounders import confounded
from picasso.audit.reporting.clustering import clusters
from picasso.audit.reporting.mean_attention import mean_attention
from picasso.audit.trial import TrialContext

IMAGES = 50
# The threshold of the attention on the outermost eighths of each side.
BORDER = 0.35


def main() -> None:
    """Run all methods on all models of a half."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tuning", "test"), default="test")
    options = parser.parse_args()
    said = {}
    for entry in entries():
        if entry.half != options.half or not (options.folder / f"{entry.name}.json").exists():
            continue
        model, images = opened(entry, options.folder, IMAGES)
        bench = TrialContext(model, images)
        maps = [bench.attention(target) for target in images.views]
        said[entry.name] = {
            "data: a property separates the classes": bool(confounded(images.views)),
            f"maps: over {BORDER:.0%} on the border": any(mean_attention(some).border > BORDER for some in maps),
            "maps: more than one cluster in a class": any(len(clusters(some)) > 1 for some in maps),
        }
        print(entry.name, said[entry.name], flush=True)
    (options.folder / f"rivals-{options.half}.json").write_text(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
