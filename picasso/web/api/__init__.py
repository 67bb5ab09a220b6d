"""The REST API: one module per resource, and the description of it as OpenAPI."""

__all__ = [
    "application",
    "audit_downloads",
    "audits",
    "concepts",
    "documents",
    "gallery",
    "grades",
    "images",
    "inside",
    "openapi",
    "operations",
    "questions",
    "rankings",
    "runs",
]
