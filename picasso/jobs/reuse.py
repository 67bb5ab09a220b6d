"""Which results of a run are those of an earlier one, so that they can be taken from the cache.

Looked up is a group of images that are computed together: predictions of several images at once differ in the last
digit from those of one image. The key is a SHA-256 of everything that the results depend on. What they do not depend
on, such as the names of images, is no part of an entry.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from picasso.explanation.result import Result
from picasso.jobs import repeatable
from picasso.jobs.result_cache import ResultCache, open_cache
from picasso.jobs.run import Run, Spec, StoredImage
from picasso.models.base import Model
from picasso.targets import Wanted
from picasso.visualizations.base import BaseVisualization

log = logging.getLogger(__name__)

# The folder beside that of all sessions.
FOLDER = "cache"


@dataclass(frozen=True)
class Unnamed:
    """Targets without the names of the other images that they refer to.

    Attributes:
        targets: the targets, with a placeholder for each name.
        references: the other images by their placeholders.
        names: the names by these placeholders.
    """

    targets: list[Wanted]
    references: dict[str, StoredImage]
    names: dict[str, str]

    @classmethod
    def of(cls, spec: Spec, model: Model) -> Unnamed:
        """Return the targets of a run.

        Args:
            spec: the specification of the run.
            model: the model that its targets are for.
        """
        # No text of a method or of a model contains such a character.
        stand_in = {name: f"\x1f{number}\x1f" for number, name in enumerate(spec.references)}
        targets: list[Wanted] = []
        for one in spec.targets:
            (name,) = model.spec.other_images([one]) or [""]
            targets.append(str(one).removesuffix(name) + stand_in[name] if name in stand_in else one)
        references = {stand_in[name]: image for name, image in spec.references.items()}
        return cls(targets, references, {known: name for name, known in stand_in.items()})

    def named(self, result: Result) -> Result:
        """Return a result with the names in its texts."""
        if not self.names:
            return result
        panels = (
            replace(panel, title=self.text(panel.title), target=self.text(panel.target), note=self.text(panel.note))
            for panel in result.panels
        )
        return replace(result, panels=tuple(panels), notes=tuple(map(self.text, result.notes)))

    def document(self, value: Any) -> Any:
        """Return a JSON value with the names in its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.document(one) for one in value]
        return {key: self.document(one) for key, one in value.items()} if isinstance(value, dict) else value

    def text(self, text: str) -> str:
        """Return a text with the names in it."""
        for stand_in, name in self.names.items():
            text = text.replace(stand_in, name)
        return text


@dataclass
class Lookup:
    """The results of one group of images of a run, in the cache or to be put into it.

    Attributes:
        cache: the cache of the server.
        key: the key of the results.
        run: the run.
        todo: the images, with their positions in the run.
        model: the model whose card is part of the results.
        unnamed: the targets.
        documents: the documents of the results so far.
    """

    cache: ResultCache
    key: str
    run: Run
    todo: Sequence[tuple[int, StoredImage]]
    model: Model
    unnamed: Unnamed
    documents: list[dict[str, Any]] = field(default_factory=list)

    @property
    def folders(self) -> list[Path]:
        """Where the result of each image belongs."""
        return [self.run.result_folder(position) for position, _ in self.todo]

    def restore(self) -> bool:
        """Save the results from the cache; tell whether it had them."""
        started, card = time.perf_counter(), self.model.card().as_dict()

        def complete(number: int, document: dict[str, Any]) -> dict[str, Any]:
            seconds = round((time.perf_counter() - started) / len(self.todo), 4)
            mine = {"image": self.todo[number][1]["name"], "seconds": seconds, "model": card}
            return {**self.unnamed.document(document), **mine}

        found = self.cache.restore(self.key, self.folders, complete)
        for position, _ in self.todo if found else ():
            # Those of a process that died.
            self.run.forget_previews(position)
        return found

    def computed(self, result: Result) -> None:
        """Take note of the next result, in which no names are; after the last one, put all of them into the cache."""
        self.documents.append({**result.as_dict(), "image": "", "seconds": 0.0, "model": {}})
        if len(self.documents) == len(self.todo):
            self.cache.store(self.key, self.folders, self.documents)


def lookup(
    run: Run,
    spec: Spec,
    todo: Sequence[tuple[int, StoredImage]],
    models: Mapping[str, Model],
    visualization: type[BaseVisualization[Any]],
    unnamed: Unnamed,
) -> Lookup | None:
    """Return where the results of some images of a run are in the cache, or None if they can't be reused.

    Args:
        run: the run.
        spec: its specification.
        todo: the images that are computed together, with their positions in the run.
        models: the models by name; of a run of another model than the main one, both.
        visualization: the class of the visualization.
        unnamed: the targets.
    """
    # The folder of a run is that of its server / sessions / session / runs / run.
    cache = open_cache(run.folder.parents[3] / FOLDER) if len(run.folder.parents) > 3 else None
    if cache is None or not todo:
        return None
    try:
        key = key_of(spec, [image for _, image in todo], models, visualization, unnamed)
    except Exception as error:
        # An image may be gone, and settings may be of any type.
        log.info("a result can't be looked up: %s: %s", type(error).__name__, error)
        return None
    shown = models[spec.model] if spec.model else models[""]
    return Lookup(cache, key, run, todo, shown, unnamed) if key else None


def key_of(
    spec: Spec,
    images: Sequence[StoredImage],
    models: Mapping[str, Model],
    visualization: type[BaseVisualization[Any]],
    unnamed: Unnamed,
) -> str:
    """Return a SHA-256 of all that the results depend on, or "" if they can't be reused.

    Raises:
        OSError: an image can't be read.
        TypeError: a setting is no plain value.
    """
    code, known = repeatable.code_of(visualization), {name: identity(model) for name, model in models.items()}
    if code is None or None in known.values():
        return ""
    asked = {
        "picasso": repeatable.own_code(),
        "environment": repeatable.environment(),
        # In this order, and whether the second is compared with the first or explained alone.
        "models": list(known.items()),
        "alone": spec.model,
        "visualization": [visualization.__name__, code],
        "settings": spec.settings,
        "targets": unnamed.targets,
        "references": [content(image) for image in unnamed.references.values()],
        "images": [[content(image), image.get("notes", [])] for image in images],
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def content(image: StoredImage) -> str:
    """Return the SHA-256 of a stored image."""
    return hashlib.sha256(Path(image["path"]).read_bytes()).hexdigest()


def identity(model: Model) -> dict[str, Any] | None:
    """Return what identifies a model and its use, or None if that is not known for sure.

    That is the case without the hash of its files, if its predictions vary at random, and with code that is not known:
    that of a trusted file, a function for preprocessing, and a class that does not declare itself repeatable.
    """
    chosen, code = model.configured, repeatable.code_of(type(model))
    foreign = chosen.get("TRUST_MODEL") or chosen.get("MODEL_LOAD_ARGS", {}).get("trust_model")
    foreign = foreign or ":" in chosen.get("PREPROCESS", "")
    if not model.fingerprint or not chosen or model.noise or model.logit_noise or code is None or foreign:
        return None
    return {
        "card": model.card().as_dict(),
        "classes": [str(name) for name in model.class_names()],
        "preprocessing": repr(model.preprocessing),
        "imprecision": model.imprecision,
        "configured": dict(chosen),
        "code": code,
    }
