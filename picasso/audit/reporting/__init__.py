"""What an audit leaves behind: the views of a folder, the evidence, and the report."""

__all__ = ["failures", "page_policy", "performance", "recommendations", "report"]
