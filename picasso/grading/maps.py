"""The maps that a grade compares: of one image for one target, by other models, with other fills, flipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from picasso.errors import BadRequest
from picasso.explanation import pipeline
from picasso.explanation.inputs import NamedImage, Other, prepare
from picasso.models.base import Model
from picasso.targets import ClassLogit, Target, Wanted
from picasso.visualizations.base import BaseVisualization, Input
from picasso.visualizations.panel import Panel
from picasso.visualizations.settings import Choice

# Fills that differ much: the first for all settings but the second, which is for settings that are the first.
OTHER_FILL, FALLBACK_FILL = "blur", "grey"


@dataclass(frozen=True, eq=False)
class Subject:
    """An image, and how its map is made.

    Attributes:
        model: the model.
        visualization: the visualization class.
        settings: its settings, not validated yet.
        named: the image.
        image: the same, as input of the model.
        target: what the map explains.
        wanted: the target as the pipeline takes it.
        other: returns the output of the model for another image by its name.
    """

    model: Model
    visualization: type[BaseVisualization[Any]]
    settings: Mapping[str, object]
    named: NamedImage
    image: Input
    target: Target
    wanted: Wanted
    other: Other | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        visualization: type[BaseVisualization[Any]],
        settings: Mapping[str, object],
        named: NamedImage,
        wanted: Wanted | None = None,
        other: Other | None = None,
    ) -> Subject:
        """Prepare an image; without ``wanted``, its target is the most important prediction.

        Raises:
            BadRequest: the visualization makes no maps, or the model predicts nothing for the image, or has no such
                target.
        """
        if not visualization.MAPS:
            raise BadRequest(f"{visualization.__name__} makes no map of an image, so there is nothing to grade.")
        (image,) = prepare(model, [named], [] if wanted is None else [wanted], other)
        if not image.targets:
            raise BadRequest(f"The model predicts nothing for {named.name} that a map could explain.")
        target = image.targets[0]
        if wanted is None:
            wanted = target.index if isinstance(target, ClassLogit) else target.text
        return cls(model, visualization, settings, named, image, target, wanted, other)

    def map(self, report: Callable[[float], None] = lambda fraction: None) -> Panel:
        """Return the map of the target.

        Raises:
            BadRequest: the visualization makes no map of it.
        """
        run = pipeline.run(
            self.model,
            self.visualization,
            self.settings,
            [self.named],
            report,
            targets=[self.wanted],
            other=self.other,
        )
        (result,) = run
        maps = [panel for panel in result.panels if panel.kind == "map"]
        own = [panel for panel in maps if panel.target == self.target.text or not panel.target]
        if not own:
            raise BadRequest(
                f"{self.visualization.__name__} makes no map of {self.target.name!r}, so there is nothing to grade."
            )
        return own[0]

    def comparable(self) -> Subject:
        """Return the subject with settings for maps that are compared with each other, and made quickly."""
        cls = self.visualization
        quick = cls.ALLOWED_SETTINGS.parse(cls.settings_to_grade(cls.ALLOWED_SETTINGS.parse(self.settings)))
        return replace(self, settings=cls.settings_to_compare(quick))

    def same_map(self, other: Subject) -> bool:
        """Tell whether another subject that differs only in its settings has the same map."""
        parse = self.visualization.ALLOWED_SETTINGS.parse
        return bool(parse(self.settings) == parse(other.settings))

    def by(self, model: Model) -> Subject:
        """Return the subject with another model for its map."""
        return replace(self, model=model)

    def flipped(self) -> Subject:
        """Return the subject with left and right exchanged.

        Raises:
            BadRequest: the image can't be flipped, or the target is at a place.
        """
        original = self.named.image
        if self.model.opens_images() or not isinstance(original, Image.Image):
            raise BadRequest("the model class opens images itself, so that they can't be flipped")
        text = self.target.text
        if "@" in text or text.startswith("box:") or self.target.region(self.image.view.size) is not None:
            raise BadRequest(f"the target {self.target.name!r} is about a place in the image")
        mirrored = original.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return replace(self, named=replace(self.named, image=mirrored))

    def refilled(self) -> tuple[str, str, Subject]:
        """Return the fill of the settings, another one, and the subject with the latter.

        Raises:
            BadRequest: no setting chooses a fill.
        """
        for name, control in self.visualization.ALLOWED_SETTINGS.controls().items():
            if isinstance(control, Choice) and {OTHER_FILL, FALLBACK_FILL} <= set(control.values):
                checked = self.visualization.ALLOWED_SETTINGS.parse(self.settings).as_dict()
                current = str(checked[name])
                fill = FALLBACK_FILL if current == OTHER_FILL else OTHER_FILL
                return current, fill, replace(self, settings={**checked, name: fill})
        raise BadRequest("no setting of the method chooses a fill")
