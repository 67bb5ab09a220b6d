"""The storage of visitors: sessions, their folders, and quotas."""
