"""The side that computes: the only process that imports TensorFlow and holds the model.

:func:`run_shard` is all that an engine has to call. It takes a path and a number, may be called again after
any interruption, and leaves everything it has to say in the run's folder.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from picasso import checking, configuration, files, pipeline
from picasso.configuration import Settings
from picasso.errors import Cancelled, ModelCodeError, PicassoError, RunError, reason
from picasso.models.base import Model
from picasso.models.loading import load_configured
from picasso.registry import Registry
from picasso.results import Result
from picasso.runs import Run, StoredPicture

log = logging.getLogger(__name__)

# How long a picture must be at work before what is known of it is shown, and then again.
PREVIEW_SECONDS = 1.0


def reference(settings: Settings) -> dict[str, Any]:
    """Return where a worker, perhaps on another machine, finds the same settings again."""
    return {"file": str(settings.source) if settings.source else None, "overrides": settings.overrides}


def settings_of(where: dict[str, Any]) -> Settings:
    """Return the settings that a :func:`reference` stands for."""
    if where["file"]:
        return configuration.load(where["file"], where["overrides"])
    return configuration.build({}, None, where["overrides"])


@functools.lru_cache(maxsize=1)
def equipment(key: str) -> tuple[Model, Registry]:
    """Return the model and the visualizations of a :func:`reference`, as JSON; loaded once per process."""
    settings = settings_of(json.loads(key))
    model = load_configured(settings)
    return model, Registry(settings.plugin_dirs())


def run_shard(folder: str, shard: int) -> None:
    """Compute one shard of a run; skip what is already there.

    Errors are written into the run's folder rather than raised: whoever waits for the run looks there.
    """
    run = Run(Path(folder))
    if run.unwanted() or run.finished(shard):
        return
    started = time.perf_counter()
    try:
        compute(run, shard, started)
        run.finish(shard, time.perf_counter() - started)
    except Cancelled:
        log.info("run %s was cancelled", run.id)
    except PicassoError as error:
        log.exception("run %s failed", run.id)
        run.fail(error)
    except (Exception, SystemExit) as error:
        log.exception("run %s failed", run.id)
        run.fail(RunError(f"The run failed: {reason(error)}."))


def compute(run: Run, shard: int, started: float) -> None:
    """Save the results of a shard, each as soon as it is there."""
    spec = run.spec()
    run.report(shard, 0.0, 0.0)
    model, registry = equipment(json.dumps(spec.configuration, sort_keys=True))
    todo = [(position, picture) for position, picture in spec.shard(shard) if not run.result_folder(position).exists()]
    pictures = [pipeline.Picture(picture["name"], load_picture(picture)) for _, picture in todo]

    def report(fraction: float) -> None:
        if run.unwanted():
            raise Cancelled
        run.report(shard, fraction, time.perf_counter() - started)

    shown = time.monotonic()

    def preview(index: int, make: Callable[[], Result]) -> None:
        nonlocal shown
        if time.monotonic() - shown > PREVIEW_SECONDS:
            run.preview(todo[index][0], make())
            shown = time.monotonic()

    visualization = registry.get(spec.visualization).require()
    results = pipeline.run(model, visualization, spec.settings, pictures, report, preview)
    for (position, _), result in zip(todo, results, strict=True):
        result.save(run.result_folder(position))
        run.forget_previews(position)


def load_picture(picture: StoredPicture) -> Image.Image:
    """Read a stored picture; it was checked when it was uploaded."""
    try:
        with Image.open(picture["path"]) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise RunError(f"The picture {picture['name']} was removed before its turn came.") from None


def main(connection: Connection, configured: dict[str, Any], status: str, temporary: str) -> None:
    """Serve shards until the other end of ``connection`` closes: the body of the local engine's process.

    Args:
        connection: receives ``(folder, shard)`` and answers None when the shard is dealt with.
        configured: the :func:`reference` whose model is loaded at once.
        status: the file that tells the web server how the model stands.
        temporary: a folder for whatever libraries leave behind.
    """
    # Ctrl-C goes to the whole group; the server decides when its worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    tempfile.tempdir = temporary
    os.environ["TMPDIR"] = temporary
    load_and_tell(configured, Path(status))
    while True:
        try:
            folder, shard = connection.recv()
        except EOFError:
            return
        run_shard(folder, shard)
        connection.send(None)


def warm_up_occlusion(model: Model) -> None:
    """Compute one small window, so that the first map does not wait for compilation; nobody waits for this."""
    picture = np.zeros(model.input_shape, np.float32)
    try:
        for _ in model.occlude(picture, picture, [(0, 0, 1, 1)]).parts:
            pass
    except Exception:
        # Should it fail with a real picture too, that run will say so.
        log.warning("occlusion could not be warmed up", exc_info=True)


def load_and_tell(configured: dict[str, Any], status: Path) -> None:
    """Load the model and write into ``status`` that it is ready, or why it is not."""
    try:
        model, _ = equipment(json.dumps(configured, sort_keys=True))
        samples, problems = checking.read(settings_of(configured).sample_files(10))
        for problem in problems:
            log.warning("A sample is left out. %s", problem)
        report = checking.check(model, samples)
        files.write_json(status, {"state": "ready", "card": model.card().as_dict(), "report": report.as_dict()})
        threading.Thread(target=warm_up_occlusion, args=(model,), daemon=True).start()
    except PicassoError as error:
        # The server says the sentence; whoever wrote a model class needs the line that failed, too.
        if isinstance(error, ModelCodeError):
            log.error("%s", error.message, exc_info=error.__cause__)
        files.write_json(status, {"state": "failed", "error": error.message})
