"""The complete benchmark of the audit: ``make bench-audit``. It takes many hours on one processor.

    python -m benchmarks.audit [FOLDER] [--half test]

trains the models into FOLDER (by default ``build/audit``), audits them with 20, 50 and 200 images of a class, mends
those that were found, runs the rivals, and prints the tables. Existing results are kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys


def main() -> None:
    """Run each step in its own process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="build/audit")
    parser.add_argument("--half", choices=("tuning", "test"), default="test")
    options = parser.parse_args()
    half = ["--half", options.half]
    audits = [["audits", *half, "--images", each] for each in ("50", "20", "200")]
    mends = [["mends", *half], ["mends", *half, "--deep"]]
    for step, *words in (["models", *half], *audits, *mends, ["rivals", *half], ["table", *half]):
        subprocess.run([sys.executable, "-m", f"benchmarks.audit.{step}", options.folder, *words], check=True)


if __name__ == "__main__":
    main()
