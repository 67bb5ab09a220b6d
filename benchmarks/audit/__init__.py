"""A benchmark of the audit with planted proxies: detection rate, correct first alarms, and false alarms."""
