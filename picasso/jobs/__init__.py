"""Runs and audits as folders, the queue they wait in, and the process that computes them."""
