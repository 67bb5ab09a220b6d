"""Runs, audits, predictions, searches and rankings, stored as folders, the job queue, and the worker process."""

__all__ = [
    "audit_documents",
    "audit_job",
    "base",
    "batch",
    "concept_search",
    "engine",
    "engines",
    "folder_worker",
    "job_queue",
    "prediction_job",
    "ranking_job",
    "reporting_job",
    "request_checks",
    "result_cache",
    "reuse",
    "run",
    "served_model",
    "turns",
    "worker",
]
