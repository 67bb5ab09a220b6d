"""Runs and audits, stored as folders, the job queue, and the worker process."""
