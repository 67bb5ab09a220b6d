"""A server's folder with a cache, in which tests ask questions as sessions do, without a server."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from picasso import config
from picasso.imaging import decode
from picasso.jobs import worker
from picasso.jobs.result_cache import ResultCache, Totals
from picasso.jobs.run import Run, Spec, StoredImage
from tests.conftest import PLUGINS, fake_settings, noise_image


class Asking:
    """The folder of a server whose model is read from a file."""

    def __init__(self, folder: Path, megabytes: int = 100) -> None:
        self.folder, self.cache = folder, folder / "cache"
        folder.mkdir(exist_ok=True)
        if megabytes:
            ResultCache.create(self.cache, megabytes)
        self.file = folder / "model.bin"
        self.file.write_bytes(b"\1")
        self._runs = 0

    def image(self, session: str, seed: int, name: str = "", notes: Sequence[str] = ()) -> StoredImage:
        """Store an image of a session."""
        uid = self._runs = self._runs + 1
        folder = self.folder / "sessions" / session / "images"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{uid:04d}-{session}.png"
        file.write_bytes(decode.encode(noise_image(seed)))
        stored = StoredImage(uid=uid, name=name or f"{session}-{seed}.png", filename=file.name, path=str(file))
        if notes:
            stored["notes"] = list(notes)
        return stored

    def settings(self, arguments: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Return the settings of the server."""
        load = {"file": str(self.file), **(arguments or {})}
        other = {"MODEL_LOAD_ARGS": {"file": str(self.file), "shape": [6, 9, 3]}}
        model = {"MODEL_CLS_NAME": "FileModel", "MODEL_LOAD_ARGS": load, "COMPARE": {"other": other, "third": other}}
        return fake_settings(**{**model, "PLUGIN_DIRS": [str(PLUGINS)], **more})

    def run(
        self,
        session: str = "anna",
        images: Sequence[int | StoredImage] = (0,),
        visualization: str = "SaliencyMaps",
        chosen: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Run:
        """Ask a question and return the finished run."""
        (self.folder / "sessions" / session / "runs").mkdir(parents=True, exist_ok=True)
        stored = [self.image(session, one) if isinstance(one, int) else one for one in images]
        where = worker.reference(config.build({}, None, overrides or self.settings()))
        cls = worker.visualizations(json.dumps(where, sort_keys=True)).get(visualization).require()
        checked = cls.ALLOWED_SETTINGS.parse(chosen or {}).as_dict()
        asked = Spec(visualization, checked, stored, 4, where, time.time(), **spec)
        run = Run.create(self.folder / "sessions" / session / "runs", asked)
        for shard in range(asked.shards):
            worker.run_shard(str(run.folder), shard)
        assert run.state()["state"] == "finished", run.state()
        return run

    def totals(self) -> Totals:
        """Return how often results were found."""
        return ResultCache(self.cache, 1).totals()

    def hit(self, *arguments: Any, **asked: Any) -> bool:
        """Ask a question; tell whether it was answered from the cache."""
        before = self.totals()
        self.run(*arguments, **asked)
        after = self.totals()
        assert (after.hits > before.hits) != (after.misses > before.misses)
        return after.hits > before.hits

    def entries(self) -> list[Path]:
        """Return the folders of all entries."""
        return [folder for folder in self.cache.iterdir() if len(folder.name) == 64]


def files(run: Run, position: int = 0) -> dict[str, bytes]:
    """Return the contents of the files of a result, but for its document."""
    folder = run.result_folder(position)
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "result.json"}


def document(run: Run, position: int = 0) -> dict[str, Any]:
    """Return the document of a result without the time, which is that of whoever computed or found it."""
    found: dict[str, Any] = json.loads((run.result_folder(position) / "result.json").read_bytes())
    assert found.pop("seconds") >= 0
    return found
