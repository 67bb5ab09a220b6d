"""Run every benchmark and print its tables: ``make bench``; with ``--write``, put them into docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from pathlib import Path

import tensorflow as tf

from benchmarks import boxes, catalogue, costs, growth, methods, occlusion, original, saliency, scale
from benchmarks.measuring import elsewhere, markdown, put_into_page


def machine() -> str:
    """Describe the machine and the settings in a sentence."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    name = model[1] if model else platform.processor()
    peak = occlusion.product_peak()
    return (
        f"{name}, {os.cpu_count()} cores, TensorFlow {tf.__version__} with oneDNN; a product of large matrices reaches "
        f"{peak:.0f} billion operations in a CPU second."
    )


def gradients() -> list[str]:
    """Measure saliency and return a Markdown table."""
    head = ("network", "images", "CPU s per image", "one class after the other", "ratio", "error, relative")
    rows = []
    for count in (1, 16):
        one = elsewhere("saliency", json.dumps(["VGG16", count, 5 if count == 1 else 2]))
        seconds = f"{one['ours']:.2f}", f"{one['baseline']:.2f}"
        rows.append(("VGG16", str(count), *seconds, one["ratio"], f"{one['error']:.1e}"))
        print(*rows[-1], sep=" | ", flush=True)
    return markdown(head, rows)


def many_boxes() -> str:
    """Measure the maps of many boxes of a detector and return a sentence."""
    one = elsewhere("boxes", json.dumps([5]))
    sentence = (
        f"RISE maps of {boxes.BOXES} boxes of the bundled detector take {one['ratio']} times the CPU time of the map "
        f"of one box ({one['baseline']:.1f} and {one['ours']:.1f} s, {boxes.MASKS} masks)."
    )
    print(sentence, flush=True)
    return sentence


def main() -> None:
    """Run everything, or one measurement in this process for another one that asks for it."""
    words = [word for word in sys.argv[1:] if word != "--write"]
    if words[:1] == ["occlusion"]:
        print(json.dumps(occlusion.measure(*json.loads(words[1]))))
        return
    if words[:1] == ["saliency"]:
        print(json.dumps(saliency.measure(*json.loads(words[1]))))
        return
    if words[:1] == ["boxes"]:
        print(json.dumps(boxes.measure(*json.loads(words[1]))))
        return
    if words[:1] == ["methods"]:
        print(json.dumps(methods.measure(*json.loads(words[1]))))
        return
    if words[:1] in (["growth"], ["scale"]):
        module = growth if words[0] == "growth" else scale
        print(json.dumps(module.measure(*json.loads(words[1]))))
        return
    if words[:1] == ["costs"]:
        costs.measure(*(json.loads(word) for word in words[1:]))
        return
    if words[:1] == ["catalogue"]:
        print(json.dumps(catalogue.measure(words[1])))
        return
    if words[:1] == ["original"]:
        print(json.dumps(original.measure()))
        return
    text = [machine(), "", *occlusion.table(), "", elsewhere("original"), "", *gradients(), "", many_boxes()]
    print("\n".join(text))
    if "--write" in sys.argv:
        put_into_page("measured", text)


if __name__ == "__main__":
    main()
