"""Hugging Face's own classes read the model card of an audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit.test_audit import audit

huggingface_hub = pytest.importorskip("huggingface_hub")


def test_the_card_is_one_of_the_hub(tmp_path: Path) -> None:
    file = tmp_path / "card.md"
    audit(tmp_path, 0.9, "--model-card", file)
    card = huggingface_hub.ModelCard.load(file)
    assert (card.data.pipeline_tag, card.data.model_name) == ("image-classification", "judge")
    (result,) = card.data.eval_results
    assert (result.task_type, result.dataset_name) == ("image-classification", "images")
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.8625)
    # The classes require what the Hub requires.
    with pytest.raises(ValueError, match="model_index"):
        huggingface_hub.ModelCard(file.read_text(encoding="utf-8").replace("value: 0.8625", "other: 1"))
