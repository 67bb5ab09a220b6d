"""The command ``picasso work``."""

from __future__ import annotations

from pathlib import Path

import click

from picasso.cli.options import friendly, parse_time


@click.command()
@click.argument("folder", type=Path)
@click.option("--idle", default="", metavar="TIME", help="Time without a task after which to end, such as 10m.")
@friendly
def work(folder: Path, idle: str) -> None:
    """Compute what servers and commands with the engine folder:FOLDER have to compute.

    Start it as often as there are processors or machines to use, before or after the server; all must see FOLDER at the
    same path. It ends with Ctrl-C or a signal TERM, at which another worker continues its task, or after --idle.
    """
    import logging
    import signal

    from picasso.jobs.folder_worker import FolderWorker

    seconds = parse_time(idle, "--idle")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    worker = FolderWorker(folder.resolve(), seconds)
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: worker.stop())
    worker.run()
