"""A callback that records what the model relies on after each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from picasso.audit import audit, object_masks
from picasso.audit.catalogue import checked
from picasso.audit.dataset import Folder, logits, require_classifier
from picasso.audit.interventions import INTERVENTIONS, Intervention
from picasso.audit.reading import read
from picasso.audit.reporting.reliance import Subject, described, reliance
from picasso.audit.rule import directions
from picasso.audit.selection import PAIRS
from picasso.audit.trial import TrialContext
from picasso.callbacks.base import EpochCallback
from picasso.callbacks.json_lines import EpochLines
from picasso.errors import BadRequest
from picasso.evaluation import labeled_folder
from picasso.models.base import Model
from picasso.summaries.records import RELIANCE

LINES = "audit.jsonl"


class Tested(NamedTuple):
    """What was tested on a pair of classes.

    Attributes:
        about: the intervention and the names of the classes.
        value: the reliance as the report of an audit states it; without a finding, the smaller effect.
        tier: the tier of the finding, or "" if there is none.
    """

    about: Subject
    value: float
    tier: str


class Audit(EpochCallback):
    """Audit the model after each epoch of ``fit``, so that it shows when the model learns a spurious feature.

    A folder of images that does not fit the model raises an error when ``fit`` begins. A later error is logged as a
    warning, once, and the training continues. The model is used as it is in memory; see
    :class:`picasso.callbacks.Explain`.

    Args:
        folder: contains one folder of images for each class, named after the class; see :func:`picasso.audit_model`.
        every: the number of epochs between two audits.
        to: the folder for ``audit.jsonl``, which gets one line for each audit; None writes none.
        tensorboard: the folder for an event file of TensorBoard; None writes none. It needs the package
            ``tensorboard``.
        interventions: the interventions to test; fewer take less time.
        masks: contains a mask of the object for each image; by default the folder ``masks`` beside that of the images.
        pairs: the number of pairs of classes to compare; 0 for all.
        budget: seconds for each audit, after which no further intervention is tested.
        seed: the seed of all random draws, the same in each epoch.
        before: True to audit the model before its first epoch, too, which is epoch 0, or the last epoch of the training
            that is continued. A subclassed model without shapes before its first batch is left out.
        model: the Keras model to audit; None for the one that is trained. It may be a part of that one.
        labels: the class names, as for :func:`picasso.load_model`.
        preprocess: keywords or a function that prepare the images, as for :func:`picasso.load_model`.

    Raises:
        BadRequest: an argument is invalid, or the folder does not exist; or, when ``fit`` begins, its images do not fit
            the model, or nothing can be written.
        ConfigurationError: the package ``tensorboard`` is needed and not installed.

    Examples:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from PIL import Image
        >>> from picasso.audit.interventions.quantile_match import PropertyChange
        >>> from picasso.audit.properties import PROPERTIES
        >>> from picasso.callbacks import Audit
        >>> from picasso.models.tf.runtime import keras
        >>> folder, pixels = Path(tempfile.mkdtemp()), []
        >>> for name, light in (("dark", 40), ("bright", 200)):
        ...     (folder / name).mkdir()
        ...     for seed in range(8):
        ...         drawn = np.random.default_rng([light, seed]).normal(light, 20, (8, 8)).clip(0, 255).astype(np.uint8)
        ...         Image.fromarray(drawn).save(folder / name / f"{seed}.png")
        ...         pixels.append(drawn[..., None] / np.float32(255))
        >>> keras.utils.set_random_seed(0)
        >>> layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
        >>> model = keras.Sequential(layers)
        >>> model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
        >>> audit = Audit(
        ...     folder, to=folder, interventions=[PropertyChange(PROPERTIES[0])], labels=["dark", "bright"], every=5
        ... )
        >>> history = model.fit(np.stack(pixels), np.repeat([0, 1], 8), epochs=5, verbose=0, callbacks=[audit])
        >>> line = json.loads((folder / "audit.jsonl").read_text())
        >>> line["epoch"], line["verdict"]
        (5, 'The model appears to rely on brightness rather than on the object.')
    """

    def __init__(
        self,
        folder: str | Path,
        every: int = 1,
        to: str | Path | None = None,
        *,
        tensorboard: str | Path | None = None,
        interventions: Sequence[Intervention] = INTERVENTIONS,
        masks: str | Path | None = None,
        pairs: int = PAIRS,
        budget: float = float("inf"),
        seed: int = 0,
        before: bool = False,
        model: Any = None,
        labels: str | Path | Sequence[str] | Mapping[Any, Any] = (),
        preprocess: Any = "",
    ) -> None:
        super().__init__(every, model, labels, preprocess, to, tensorboard, before=before)
        if not isinstance(pairs, int) or pairs < 0:
            raise BadRequest(f"pairs is a number of pairs of classes, or 0 for all, not {pairs!r}.", field="pairs")
        if not interventions:
            raise BadRequest("An audit needs at least one intervention.", field="interventions")
        if not Path(folder).is_dir():
            raise BadRequest(f"There is no folder {folder}, which would contain a folder of images for each class.")
        self._images, self._interventions = Path(folder), checked(interventions)
        self._masks = object_masks.folder_of(self._images, None if masks is None else Path(masks))
        self._pairs, self._budget, self._seed = pairs, budget, seed
        # The images as an input of a model.
        self._read: tuple[Model, Folder] | None = None
        # What was a finding in an epoch has a curve in TensorBoard, with the values of the epochs before.
        self._found = set[Subject]()
        self._unwritten = dict[Subject, list[tuple[int, float]]]()

    def check(self, model: Model) -> None:
        """Raise an error if the folder can't be audited with this model; the images are read."""
        audit.plan(TrialContext(model, self._images_of(model), self._seed, self._interventions), self._pairs)

    def record(self, model: Model, epoch: int, logs: Mapping[str, Any]) -> None:
        """Audit the model and write the line and the summaries of an epoch."""
        images = self._images_of(model)
        context = TrialContext(model, images, self._seed, self._interventions)
        done = audit.run(context, audit.plan(context, self._pairs), budget=self._budget)
        names = [str(name) for name in model.class_names()]
        every = sorted(tested(done, names), key=lambda one: -one.value)
        right, count = correct(images)
        alarms = sum(group.alarm for group in done.verdict.groups)
        line = {
            "epoch": epoch,
            "verdict": done.sentence(),
            "alarms": alarms,
            "accuracy": right / count,
            "not_separable": [[names[one] for one in pair] for pair in done.verdict.alike],
            "reliance": [
                {
                    "kind": kind,
                    "name": name,
                    "classes": sorted(classes),
                    "value": round(one.value, 6),
                    "tier": one.tier or None,
                }
                for one in every
                for kind, name, classes in [one.about]
            ],
        }
        if self._to:
            self._to.mkdir(parents=True, exist_ok=True)
            EpochLines(self._to / LINES).add(line)
        if self._logdir:
            events = self.events(self._logdir)
            self._found |= {one.about for one in every if one.tier}
            # As in the file of lines: what is not before this epoch is of an earlier training.
            self._unwritten = {
                about: [one for one in values if one[0] < epoch] for about, values in self._unwritten.items()
            }
            for one in every:
                self._unwritten.setdefault(one.about, []).append((epoch, one.value))
                if one.about in self._found:
                    for at, value in self._unwritten.pop(one.about):
                        events.scalar(f"reliance/{described(one.about)}", value, at, RELIANCE)
            events.scalar("audit/alarms", alarms, epoch)
            events.scalar("audit/accuracy", right / count, epoch)

    def _images_of(self, model: Model) -> Folder:
        """Return the images, which are read once, with the logits of the present weights."""
        if self._read and self._read[0] is model and not self._read[1].look:
            known = self._read[1]
            return replace(known, logits={target: logits(model, some) for target, some in known.views.items()})
        require_classifier(model)
        found = labeled_folder.find(model, self._images)
        images = read(model, found, audit.silently, masks=self._masks, seed=self._seed, pairs=self._pairs)
        self._read = model, images
        return images


def tested(done: audit.Audit, names: Sequence[str]) -> list[Tested]:
    """Return what an audit tested in both directions."""
    tiers = {(one.there.intervention, one.pair): one.tier for one in done.verdict.findings}
    found = []
    for made in done.trials.values():
        for both in directions(made):
            there, back = both.there, both.back
            classes = frozenset((there.ours, there.theirs))
            tier = tiers.get((there.intervention, classes), "")
            value = back.effect.fraction
            if tier:
                value = reliance({"floor": there.floor, "directions": [asdict(one.effect) for one in both]}).value
            about = there.kind, there.intervention, frozenset(names[one] for one in classes)
            found.append(Tested(about, value, tier))
    return found


def correct(images: Folder) -> tuple[int, int]:
    """Return how many images are predicted as their class, and how many there are."""
    right = sum(int((some.argmax(axis=1) == target).sum()) for target, some in images.logits.items())
    return right, sum(map(len, images.logits.values()))
