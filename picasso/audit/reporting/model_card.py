"""A model card with what an audit knows of a model; the rest is left to its author, line by line.

The headings are those of Mitchell et al. 2019, "Model Cards for Model Reporting", section 4; the front matter is that
of Hugging Face's model cards.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from picasso.audit.reporting.reliance import Document, reliance
from picasso.audit.reporting.summary import escaped, not_judged
from picasso.errors import BadRequest

TO_FILL_IN = "*To be filled in by the author.*"
# The number of classes, and of findings, that are listed.
MAX_ROWS = 50
# Names of Hugging Face for what loads a model, by the framework.
LIBRARIES = {"keras": "keras", "tf_keras": "tf-keras", "onnx": "onnx", "tflite": "tflite"}


def write_model_card(file: Path, written: Document, folder: Path, out: Path) -> None:
    """Write the card; see :func:`model_card`.

    Raises:
        BadRequest: the file can't be written.
    """
    evidence = Path(os.path.relpath(out, file.parent)).as_posix()
    try:
        file.write_text(model_card(written, folder.resolve().name, evidence), encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadRequest(f"The model card {file} can't be written: {error.strerror}.", field="model-card") from error


def model_card(written: Document, data: str, out: str) -> str:
    """Return the card as Markdown with a front matter in YAML.

    Args:
        written: the content of ``audit.json``.
        data: the name of the folder of images.
        out: the path from the folder of the card to that of the report, for its figures.
    """
    name = written["model"]["checkpoint"] or written["model"]["name"]
    sections = {
        "Model Details": details(written),
        "Intended Use": [blank("Primary intended uses"), blank("Primary intended users"), blank("Out-of-scope uses")],
        "Factors": factors(written),
        "Metrics": metrics(written),
        "Evaluation Data": evaluation_data(written, data),
        "Training Data": [blank("Datasets, their size and how they were collected"), blank("Preprocessing")],
        "Quantitative Analyses": analyses(written, out),
        "Ethical Considerations": [TO_FILL_IN],
        "Caveats and Recommendations": caveats(written),
    }
    parts = [front_matter(written, name, data), f"# {escaped(name)}"]
    for title, lines in sections.items():
        parts += [f"## {title}", *lines]
    return "\n\n".join(parts) + "\n"


def front_matter(written: Document, name: str, data: str) -> str:
    """Return what the Hub reads: the task, the library and the accuracy."""
    share = written["accuracy"]
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"type": data, "name": data},
        "metrics": [{"type": "accuracy", "value": round(share["right"] / share["images"], 4)}],
    }
    values: dict[str, Any] = {
        "pipeline_tag": "image-classification",
        "tags": ["picasso"],
        "metrics": ["accuracy"],
        "model-index": [{"name": name, "results": [result]}],
    }
    if library := LIBRARIES.get(written["model"]["framework"]):
        values["library_name"] = library
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return f"---\n# license, language and datasets: to be filled in by the author\n{text}---"


def blank(title: str) -> str:
    """Return a line that the author has to complete."""
    return f"**{title}:** {TO_FILL_IN}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown; the cells are escaped already."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def details(written: Document) -> list[str]:
    """Return what is known of the model, and what its author has to add."""
    model = written["model"]
    height, width, channels = model["input_shape"]
    known = {
        "File": f"{model['checkpoint']} ({model['format']})",
        "Date of the file": model["checkpoint_time"],
        "SHA-256": model["fingerprint"],
        "Input": f"{height} x {width} pixels, {channels} channel{'s' if channels > 1 else ''}",
        "Preprocessing": model["preprocessing"],
        "Output": f"{model['classes']:,} classes{': ' + model['output'] if model['output'] else ''}",
        "Packages": ", ".join(f"{name} {version}" for name, version in sorted(model["versions"].items())),
    }
    wanted = (
        "Developed by", "Version", "Model type and architecture", "Training algorithm, parameters and constraints",
        "Paper or other resources", "Citation", "License", "Where to send questions",
    )  # fmt: skip
    rows = [[key, escaped(text)] for key, text in known.items() if text]
    return [table(["Property", "Value"], rows), *map(blank, wanted)]


def factors(written: Document) -> list[str]:
    """Return what was changed in images to see whether the model depends on it."""
    tested = sorted({one["intervention"] for one in written["trials"]})
    sentence = (
        f"An audit changed these in the images, and measured whether the predictions change: {', '.join(tested)}."
    )
    left = written["nothing_to_change"]
    lines = [blank("Relevant factors (groups, instruments, environments)")]
    lines.append(f"**Evaluation factors:** {escaped(sentence) if tested else 'The audit tested none.'}")
    return [*lines, *([escaped(f"Not tested, because nothing could be changed: {', '.join(left)}.")] if left else [])]


def metrics(written: Document) -> list[str]:
    """Return how performance and reliance are measured, and when a finding raises an alarm."""
    rule = written["rule"]
    return [
        "**Accuracy:** the share of the images whose most probable class is right, with its 95% confidence interval "
        "(Wilson, 1927).",
        "**Reliance:** how far a change that should not matter moves the predictions from one class towards another, "
        "as a fraction of the way between both. The smaller of both directions is stated, with its 95% confidence "
        "interval.",
        f"**Decision thresholds:** a finding raises an alarm at a reliance of at least {rule['floor']:.0%} if at least "
        f"{rule['flips']:.0%} more images change class than in a control, at a significance level of "
        f"{rule['level']:.0%} for all {rule['tests']:,} tests together.",
        blank("Why these metrics fit the intended use"),
    ]


def evaluation_data(written: Document, data: str) -> list[str]:
    """Return which images were used."""
    share = written["accuracy"]
    images = f"{share['images']:,} images of {len(share['classes']):,} classes, in the folder {data}."
    bad = len(written["unreadable"])
    return [
        f"**Datasets:** {escaped(images)}{f' {bad:,} files could not be read.' if bad else ''}",
        blank("Motivation, origin, and overlap with the training data"),
        f"**Preprocessing:** {escaped(written['model']['preprocessing']) or TO_FILL_IN}",
    ]


def analyses(written: Document, out: str) -> list[str]:
    """Return the accuracy by class, and what the model relies on, with the figures of the report."""
    share = written["accuracy"]
    rows = [[f"**all {len(share['classes']):,}**", *of_share(share)]]
    rows += [[escaped(one["name"]), *of_share(one)] for one in share["classes"][:MAX_ROWS]]
    lines = ["### Accuracy", table(["Class", "Images", "Right", "Accuracy (95% interval)"], rows)]
    if (more := len(share["classes"]) - MAX_ROWS) > 0:
        lines.append(f"{more:,} more classes are in `report.html`.")
    lines += ["### Reliance on other things than the object", escaped(written["verdict"])]
    if found := [one for one in written["findings"] if one["alarm"]]:
        alarms = [
            [escaped(one["name"]), " and ".join(escaped(way["of"]) for way in one["directions"]), str(reliance(one))]
            for one in found[:MAX_ROWS]
        ]
        lines.append(table(["Changed", "Classes", "Reliance"], alarms))
    if example := written["example"]:
        lines.append(" ".join(figure(example[when], when, out) for when in ("before", "after")))
        lines.append(escaped(example["sentence"]))
    return lines


def of_share(one: Document) -> list[str]:
    """Return the number of images, the number that is right, and the share with its interval."""
    return [
        f"{one['images']:,}",
        f"{one['right']:,}",
        f"{one['right'] / one['images']:.1%} ({one['low']:.1%} to {one['high']:.1%})",
    ]


def figure(shown: Document, when: str, out: str) -> str:
    """Return an image of the report with its text for those who don't see it."""
    text = escaped(f"{when} the change: predicted as {shown['predicted']} with {shown['probability']:.0%}")
    address = quote(f"{out}/{shown['file']}")
    return f"![{text}]({address})"


def caveats(written: Document) -> list[str]:
    """Return what the audit says nothing about, what is assumed, and what helps against what was found."""
    advice = dict.fromkeys(one["advice"] for one in written["findings"] if one["alarm"])
    found = [*not_judged(written), *written["model"]["notes"], *advice]
    tested = "An audit finds only what its interventions change, in the images of its folder."
    return ["\n".join(f"- {escaped(one)}" for one in (tested, *found)), blank("Further caveats and recommendations")]
