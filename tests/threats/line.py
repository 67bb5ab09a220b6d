"""The entries of the list of threats, and constants for the files of the tests that they name."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """A threat, what has to come of it, and the tests that see to it, by their path below ``tests`` and their name."""

    threat: str
    outcome: str
    tests: tuple[str, ...]


DOORS = "hostile/test_doors.py::test_every_door_answers_alike"
BOMBS = "hostile/test_files.py::test_bombs_take_no_memory"
ABUSE, BORDER, CONNECTIONS = "threats/test_abuse.py", "threats/test_border.py", "threats/test_connections.py"
FAULTS, PATHS = "threats/test_faults.py", "threats/test_paths.py"
AUDITS, NGINX = "web/test_audits.py", "web/test_nginx.py"
API, GUARD, PAGES = "web/test_api.py", "web/test_security.py", "web/test_pages.py"
LOGIN = "web/test_auth.py"
DECODING = "imaging/test_decoders.py"
IMAGES, STORAGE, ENGINE, RUNS = (
    "imaging/test_decode.py",
    "storage/test_store.py",
    "jobs/test_engine.py",
    "jobs/test_run.py",
)
