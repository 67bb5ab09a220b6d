"""What an audit leaves behind: the views of a folder, the evidence, and the report."""

__all__ = [
    "alerts",
    "annotations",
    "baseline",
    "failures",
    "model_card",
    "numbers",
    "page_policy",
    "performance",
    "recommendations",
    "reliance",
    "report",
    "summary",
]
