"""The model card of an audit: its headings, what it knows, and what it leaves to the author."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from picasso.audit.reporting.model_card import TO_FILL_IN, model_card
from tests.audit.test_audit import audit

# Mitchell et al. 2019, figure 1.
HEADINGS = [
    "Model Details", "Intended Use", "Factors", "Metrics", "Evaluation Data", "Training Data", "Quantitative Analyses",
    "Ethical Considerations", "Caveats and Recommendations",
]  # fmt: skip


def test_the_card_of_an_audit(tmp_path: Path) -> None:
    file = tmp_path / "cards" / "card.md"
    file.parent.mkdir()
    assert audit(tmp_path, 0.9, "--model-card", file).exit_code == 1
    text = file.read_text(encoding="utf-8")
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    _, front, body = text.split("---\n", 2)
    assert re.findall(r"^## (.*)$", body, re.MULTILINE) == HEADINGS
    values = yaml.safe_load(front)
    (result,) = values["model-index"][0]["results"]
    assert (values["pipeline_tag"], result["dataset"]["name"]) == ("image-classification", "images")
    assert result["metrics"] == [{"type": "accuracy", "value": 0.8625}]
    assert "| **all 2** | 80 | 69 | 86.2% (77.0% to 92.1%) |" in body
    assert written["verdict"] in body
    figures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", body)
    assert len(figures) == 2
    assert all((file.parent / one).is_file() for one in figures)
    # Every heading that only the author can fill has a line for it.
    sections = dict(re.findall(r"^## (.*)\n((?:(?!^## ).*\n?)*)", body, re.MULTILINE))
    assert {title for title, section in sections.items() if TO_FILL_IN in section} == set(HEADINGS) - {
        "Quantitative Analyses"
    }
    done = audit(tmp_path, 0.9, "--model-card", file)
    assert (done.exit_code, "exists, and its author may have filled it in" in done.stderr) == (2, True)
    assert file.read_text(encoding="utf-8") == text


def test_names_are_text(tmp_path: Path) -> None:
    audit(tmp_path, 0.9)
    text = (tmp_path / "out" / "audit.json").read_text(encoding="utf-8")
    odd = "<b>*x*|y</b>](z)"
    written = json.loads(text.replace("no tank", odd))
    written["model"]["checkpoint"] = odd
    card = model_card(written, odd, "a b/out")
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front)["model-index"][0]["name"] == odd
    html = MarkdownIt("commonmark").enable("table").render(body)
    assert "<b>" not in html
    assert "<h1>&lt;b&gt;*x*|y&lt;/b&gt;](z)</h1>" in html
    assert html.count("<img ") == 2
    assert 'src="a%20b/out/evidence/' in html
