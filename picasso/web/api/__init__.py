"""The REST API: one module per resource, and the description of it as OpenAPI."""

__all__ = ["application", "audits", "documents", "images", "openapi", "operations", "questions", "runs"]
