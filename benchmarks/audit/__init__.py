"""Planted proxies: how many of them the audit finds, how often it names the right one, and whom it accuses wrongly."""
