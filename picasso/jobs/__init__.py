"""Runs and audits, stored as folders, the job queue, and the worker process."""

__all__ = ["audit_documents", "audit_job", "base", "engine", "job_queue", "run", "turns", "worker"]
