"""The whole benchmark of the audit: ``make bench-audit``. About three hours of one processor.

    python -m benchmarks.audit [FOLDER] [--half test]

trains the models into FOLDER (``build/audit`` if none is named), audits them with 20, 50 and 200 images of a class,
asks the rivals, and prints the tables. What is there already is not done again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys


def main() -> None:
    """Run all steps, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="build/audit")
    parser.add_argument("--half", choices=("tuning", "test"), default="test")
    options = parser.parse_args()
    half = ["--half", options.half]
    audits = [["audits", *half, "--images", each] for each in ("50", "20", "200")]
    for step, *words in (["models"], *audits, ["rivals", *half], ["table", *half]):
        subprocess.run([sys.executable, "-m", f"benchmarks.audit.{step}", options.folder, *words], check=True)


if __name__ == "__main__":
    main()
