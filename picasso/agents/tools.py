"""What an agent can ask of a model: the tools of ``picasso mcp`` as plain functions."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from picasso import fileio
from picasso.agents.allowed_files import AllowedFiles
from picasso.agents.answer import Answer, answer_of, require_few
from picasso.agents.audits import run_audit
from picasso.agents.background_model import BackgroundModel
from picasso.agents.kept_results import kept_results
from picasso.audit.selection import PAIRS
from picasso.config import Settings
from picasso.errors import StorageFull
from picasso.evaluation import model_check
from picasso.explanation import pipeline, questions, render
from picasso.explanation.inputs import Other
from picasso.explanation.registry import Registry
from picasso.imaging import decode
from picasso.models.arrays import Array
from picasso.models.base import Model

# The largest number of images of a check, as in a question of the REST API.
MAX_IMAGES = 16
Progress = Callable[[float], None]


class Tools:
    """Checks and explains one model. It is loaded in the background, from :meth:`start` or from its first use on.

    Args:
        settings: limit the sizes, and name the plugins.
        load: loads the model.
        folders: the folders whose files may be read.
        out: the folder for results; it is created when there is one.

    Raises:
        BadRequest: a folder does not exist.

    Examples:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from picasso.agents.tools import Tools
        >>> from picasso.config import Settings
        >>> from picasso.examples.brightness import BrightnessModel
        >>> def load():
        ...     model = BrightnessModel()
        ...     model.load()
        ...     return model
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("L", (8, 8), 200).save(folder / "light.png")
        >>> tools = Tools(Settings(), load, [folder], folder / "results")
        >>> answer = tools.what_if("light.png", [[0, 0, 1, 0.5]], fill="black")
        >>> [round(one["before"], 3) for one in json.loads(answer.text)["classes"]]
        [0.907, 0.093]
    """

    def __init__(self, settings: Settings, load: Callable[[], Model], folders: Sequence[Path], out: Path) -> None:
        self.settings, self.files, self.out = settings, AllowedFiles(folders, settings), out
        self.registry = Registry(settings.plugin_dirs())
        self._model = BackgroundModel(load)

    def start(self) -> None:
        """Begin to load the model."""
        self._model.start()

    def model(self, progress: Progress = lambda fraction: None) -> Model:
        """Return the model; see :meth:`picasso.agents.background_model.BackgroundModel.get`."""
        return self._model.get(progress)

    def check(self, images: Sequence[str] = (), progress: Progress = lambda fraction: None) -> Answer:
        """Return the summary of the model with its predictions and warnings, and the first image as the model sees it.

        Args:
            images: images to predict, at most :data:`MAX_IMAGES`.
            progress: called with the progress, 0..1.
        """
        require_few(images, MAX_IMAGES, "images")
        model = self.model(progress)
        views: list[bytes] = []

        def show(name: str, view: Image.Image) -> None:
            progress((len(views) + 1) / (len(images) + 1))
            views.append(decode.encode(render.enlarge(np.asarray(view))))

        report = model_check.check(model, (self.files.image(one, model) for one in images), show=show)
        lines = [*report.lines(), *(("warning", one) for one in report.warnings)]
        return Answer("\n".join(f"{name}: {value}" for name, value in lines), tuple(views[:1]))

    def explain(
        self,
        image: str,
        visualization: str = "PartialOcclusion",
        target: str = "",
        settings: Mapping[str, object] | None = None,
        progress: Progress = lambda fraction: None,
    ) -> Answer:
        """Explain an image, and keep the result in the output folder.

        Args:
            image: the image.
            visualization: the name of a visualization.
            target: what to explain, as in ``--target``; "" for the most important predictions.
            settings: settings of the visualization.
            progress: called with the progress, 0..1.
        """
        own = self.registry.with_settings((visualization,), settings or {})[visualization]
        cls, model = self.registry.get(visualization).require(), self.model(progress)
        wanted = pipeline.asked_for(model, target) if target else ()
        opened = self.files.image(image, model)
        (result,) = pipeline.run(model, cls, own, [opened], progress, targets=wanted, other=self._other(model))
        folder = self.free_folder(f"{decode.without_ending(result.image).replace('/', '-')}-{visualization}")
        result.save(folder)
        return answer_of(result, folder.name)

    def what_if(
        self,
        image: str,
        boxes: Sequence[Sequence[float]],
        fill: str = "blur",
        other: str = "",
        target: str = "",
        progress: Progress = lambda fraction: None,
    ) -> Answer:
        """Return the predictions before and after boxes of an image are hidden, and the image with them hidden.

        Args:
            image: the image.
            boxes: the left, top, right and bottom of each box, in fractions of the image as the model sees it.
            fill: what hides them, as in :data:`picasso.imaging.masking.FILLS`.
            other: the image for the fill "image".
            target: a target whose value to return too; "" for those that the predictions suggest.
            progress: called with the progress, 0..1.
        """
        model = self.model(progress)
        wanted = pipeline.asked_for(model, target) if target else []
        named = model.spec.other_images(wanted)
        progress(0.0)
        with self._stored([image, *([other] if other else []), *named], model) as paths:
            question = {
                "kind": "what if",
                "paths": paths[:1],
                "shapes": [{"box": list(box)} for box in boxes],
                "fill": fill,
                "other": paths[1] if other else None,
                "targets": wanted,
                "references": dict(zip(named, paths[len(paths) - len(named) :], strict=True)),
                "show": True,
            }
            (answer,) = questions.answer(model, self.registry, question)["answers"]
        view = Image.open(io.BytesIO(base64.b64decode(answer["view"].partition(",")[2])))
        shown = {name: value for name, value in answer.items() if name not in ("view", "mask", "colours")}
        return Answer.of(shown, [decode.encode(render.enlarge(np.asarray(view)))])

    def visualizations(self, progress: Progress = lambda fraction: None) -> Answer:
        """Return the visualizations, with their settings and why some can't explain the model."""
        progress(0.0)
        unsuitable = self.registry.unsuitable(self.model(progress))
        entries = (entry.as_dict() for entry in self.registry.entries())
        return Answer.of([{**one, "error": one["error"] or unsuitable.get(one["name"], "")} for one in entries])

    def audit(self, folder: str, pairs: int = PAIRS, progress: Progress = lambda fraction: None) -> Answer:
        """Audit the model; see :func:`picasso.agents.audits.run_audit`.

        Args:
            folder: contains a folder of images for each class.
            pairs: the number of pairs of classes to compare; 0 for all.
            progress: called with the progress, 0..1.
        """
        images, model = self.files.folder(folder), self.model(progress)
        out = self.free_folder(f"audit-{images.name}")
        return run_audit(model, self.settings, self.files, images, out, pairs, progress)

    def results(self, name: str = "", progress: Progress = lambda fraction: None) -> Answer:
        """Return the list of earlier results, or one of them; see :func:`picasso.agents.kept_results.kept_results`."""
        progress(0.0)
        return kept_results(self.out, name)

    def free_folder(self, name: str) -> Path:
        """Return a path in the output folder at which there is nothing yet.

        Raises:
            StorageFull: the output folder is as large as the files of a session may be.
        """
        most = self.settings.SESSION_MB
        if self.out.is_dir() and fileio.size(self.out) > most * 10**6:
            raise StorageFull(f"The output folder {self.out} has more than {most} MB (SESSION_MB). Delete old results.")
        return fileio.free_path(self.out, name)

    def _other(self, model: Model) -> Other:
        """Return a function from the path of another image to the output of the model for it."""

        def other(path: str) -> Array:
            return np.asarray(model.predict(model.inputs_of([self.files.image(path, model).image]))[0])

        return other

    @contextmanager
    def _stored(self, texts: Sequence[str], model: Model) -> Iterator[list[str]]:
        """Yield paths of images in the form that a question takes: decoded and checked, as PNG."""
        with tempfile.TemporaryDirectory(prefix="picasso-mcp-") as folder:
            paths = []
            for index, text in enumerate(texts):
                image, path = self.files.image(text, model), Path(folder) / f"{index}.png"
                if model.opens_images():
                    path = self.files.file(text)
                else:
                    decode.store(image.image, path)
                paths.append(str(path))
            yield paths
