"""The storage of visitors: sessions, their folders, and quotas."""

__all__ = ["session", "store"]
