"""The tools that an agent can call through the Model Context Protocol, and the server that offers them."""

__all__ = ["server", "tools"]
