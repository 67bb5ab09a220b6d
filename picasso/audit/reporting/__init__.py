"""What an audit leaves behind: the views of a folder, the evidence, and the report."""

__all__ = ["page_policy", "performance", "recommendations", "report"]
