"""The REST API: one module per resource, and the description of it as OpenAPI."""
