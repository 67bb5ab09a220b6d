"""The result of one visualization of one image, with its arrays and images; all interfaces share this class."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from picasso import fileio
from picasso.errors import BadRequest
from picasso.explanation import figure, notebook, render
from picasso.explanation.display_options import DisplayOptions
from picasso.imaging import decode
from picasso.models.info import ModelInfo
from picasso.targets import Prediction, phrase
from picasso.visualizations.panel import Panel

DOCUMENT = "result.json"
ARRAYS = "arrays.npz"
VIEW = "view.png"
MASK = "mask.png"
AS_COMPUTED = DisplayOptions()
# Descriptions of panels.
Kin = Sequence[Mapping[str, Any]]
# The number of results that a list prints.
PRINTED = 8


@dataclass(frozen=True, repr=False)
class Result:
    """The result of one visualization for one image.

    Attributes:
        visualization: the name of its class.
        settings: its settings by public name.
        image: the display name of the image.
        view: the image as the model sees it, ``(H, W)`` or ``(H, W, 3)`` uint8.
        predictions: what the model predicts, the most important first: of a classifier, the most probable classes.
        panels: the maps and images.
        model: the model and its checkpoint.
        seconds: the computing time of this image.
        reference: a link to a description of the method, or "".
        notes: notes on this image; ``model.notes`` has those that concern all images.
        agreement: in a comparison of models, the agreement of their maps: Spearman's rank correlation, -1..1, the mean
            over all pairs of a map and the first model's map of that class; None without a comparison.
        compared: the predictions of the other models, by the names of these models.
        output: the output of the model by the names of its arrays: ``mask (h, w)`` uint16 of a segmentation (the most
            probable class of each pixel), ``boxes (n, 4)``, ``scores (n,)`` and ``classes (n,)`` of a detection,
            ``values (M,)`` of a regression, ``embedding (D,)`` of an embedding; empty for a classification.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> (result,) = picasso.explain(model, np.eye(8), "SaliencyMaps")
        >>> folder = Path(tempfile.mkdtemp()) / "result"
        >>> result.save(folder)
        >>> picasso.Result.load(folder).predictions[0]["name"]
        'dark'
    """

    visualization: str
    settings: dict[str, Any]
    image: str
    view: NDArray[np.uint8]
    predictions: tuple[Prediction, ...]
    panels: tuple[Panel, ...]
    model: ModelInfo
    seconds: float
    reference: str = ""
    notes: tuple[str, ...] = field(default=())
    compared: dict[str, tuple[Prediction, ...]] = field(default_factory=dict)
    agreement: float | None = None
    output: dict[str, NDArray[Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything except the arrays as JSON-ready values, with the names of the files that contain them."""
        panels = [{**panel.describe(), "file": f"panel-{index}.png"} for index, panel in enumerate(self.panels)]
        for index, (panel, document) in enumerate(zip(self.panels, panels, strict=True)):
            if panel.kind == "map":
                document |= {"array": f"panel_{index}", "legend": f"legend-{index}.png"}
        return {
            "visualization": self.visualization,
            "settings": self.settings,
            "image": self.image,
            "view": VIEW,
            "arrays": ARRAYS,
            "predictions": list(self.predictions),
            "compared": {name: list(best) for name, best in self.compared.items()},
            "agreement": self.agreement,
            "panels": panels,
            "model": self.model.as_dict(),
            "seconds": round(self.seconds, 4),
            "reference": self.reference,
            "notes": list(self.notes),
            **({"mask": MASK} if "mask" in self.output else {}),
        }

    def save(self, folder: str | Path) -> None:
        """Write ``result.json``, ``arrays.npz`` and one PNG per panel into ``folder``, which must not exist.

        Its parent must exist, so that a run deleted during its computation does not reappear. The folder is written
        under another name and then renamed, so it is always complete.
        """
        document = self.as_dict()
        with fileio.whole_folder(Path(folder)) as draft:
            self._write(draft, document)

    def _write(self, draft: Path, document: dict[str, Any]) -> None:
        """Write the files for :meth:`save`."""
        for index, (panel, described) in enumerate(zip(self.panels, document["panels"], strict=True)):
            render.draw(panel, self.view).save(draft / described["file"])
            if panel.kind == "map":
                render.colour_bar(panel).save(draft / f"legend-{index}.png")
        drawn = render.enlarge(self.view)
        drawn.save(draft / VIEW)
        if "mask" in self.output:
            render.draw_mask(self.output["mask"], drawn.size).save(draft / MASK)
        arrays = {f"panel_{index}": panel.array for index, panel in enumerate(self.panels)}
        np.savez_compressed(draft / ARRAYS, allow_pickle=False, view=self.view, **self.output, **arrays)
        (draft / DOCUMENT).write_bytes(fileio.readable_json(document, indent=1))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the files of :meth:`save`."""
        document = json.loads((Path(folder) / DOCUMENT).read_text(encoding="utf-8"))
        with np.load(Path(folder) / ARRAYS) as arrays:
            stored = {key: arrays[key] for key in arrays.files}
        panels = tuple(
            Panel.from_description(panel, stored[f"panel_{index}"]) for index, panel in enumerate(document["panels"])
        )
        output = {key: array for key, array in stored.items() if key != "view" and not key.startswith("panel_")}
        names = ("visualization", "settings", "image", "seconds", "reference", "agreement")
        same = {key: document[key] for key in names if key in document}
        return cls(
            **same,
            view=stored["view"],
            predictions=tuple(document["predictions"]),
            panels=panels,
            model=ModelInfo.from_dict(document["model"]),
            notes=tuple(document["notes"]),
            compared={name: tuple(best) for name, best in document.get("compared", {}).items()},
            output=output,
        )

    def figure(
        self, panel: int | None = None, look: DisplayOptions = AS_COMPUTED, kin: Kin | None = None
    ) -> Image.Image:
        """Return one panel as an image to take away: with its title, its value, its legend and where it comes from.

        Args:
            panel: the number of the panel; None for the first map.
            look: the display options.
            kin: the descriptions of the panels that share a common scale; None for those of this result.

        Raises:
            BadRequest: there is no such panel.
        """
        one, colours = self._looked_at(panel, look, kin)
        return figure.figure(one, self.view, (f"{self.visualization} of {self.image}", self.provenance), colours)

    def legend_svg(self, panel: int | None = None, look: DisplayOptions = AS_COMPUTED, kin: Kin | None = None) -> str:
        """Return the legend of a map as SVG; arguments and errors as in :meth:`figure`."""
        one, colours = self._looked_at(panel, look, kin)
        if one.kind != "map":
            raise BadRequest(f"Panel {panel} of {self.image} is an image, which has no legend.")
        return figure.legend_svg(one, colours)

    def drawn(self, look: DisplayOptions, kin: Kin) -> Iterator[dict[str, Any]]:
        """Yield the description of each panel with display options, and its ``url`` and ``legend_url`` as data URLs."""
        for number, panel in enumerate(self.panels):
            one, colours = self._looked_at(number, look, kin)
            described = {
                **one.describe(),
                "url": decode.data_address(decode.encode(render.draw(one, self.view, colours))),
            }
            if panel.kind == "map":
                bar = render.colour_bar(one, name=colours)
                described["legend_url"] = decode.data_address(decode.encode(bar))
            yield described

    @property
    def provenance(self) -> str:
        """The model, its checkpoint and the settings, as one text."""
        when = f" of {self.model.checkpoint_time}" if self.model.checkpoint_time else ""
        chosen = ", ".join(f"{name} {value}" for name, value in self.settings.items() if value != "")
        model = ", ".join(filter(None, [self.model.name, self.model.checkpoint]))
        return ". ".join(filter(None, [f"{model}{when}", chosen]))

    def _looked_at(self, number: int | None, look: DisplayOptions, kin: Kin | None) -> tuple[Panel, str]:
        """Return a panel with the display options applied, and the name of its colour map."""
        if number is None:
            number = next((index for index, one in enumerate(self.panels) if one.kind == "map"), None)
        if number is None:
            raise BadRequest(f"The result of {self.image} has no map.")
        if not 0 <= number < len(self.panels):
            raise BadRequest(f"The result of {self.image} has no panel {number}; it has {len(self.panels)}, from 0.")
        alike = [one.describe() for one in self.panels] if kin is None else kin
        one = look.applied(self.panels[number], alike)
        return one, look.colours_of(one)

    def __repr__(self) -> str:
        """Return the method, the image, the best prediction and the number of panels."""
        best = phrase(self.predictions[0]) if self.predictions else "nothing"
        count = f"{len(self.panels)} panel{'' if len(self.panels) == 1 else 's'}"
        return f"<Result: {self.visualization} of {self.image}, {best}, {count}>"

    def _repr_html_(self) -> str:
        """Show the result in a notebook: the image, then each panel under its title, with its legend."""
        return notebook.of_results([self])


class Results(list[Result]):
    """The results of :func:`picasso.explain`: a list that a notebook draws, and that prints in a few lines.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()
        >>> model.load()
        >>> picasso.explain(model, [np.eye(8), np.ones((8, 8))], "SaliencyMaps")
        [<Result: SaliencyMaps of image 0, dark 0.953, 2 panels>,
         <Result: SaliencyMaps of image 1, bright 0.982, 2 panels>]
    """

    @overload
    def __getitem__(self, index: SupportsIndex) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Result | Results:
        """Return one result, or some of them as a list that draws itself too."""
        return Results(super().__getitem__(index)) if isinstance(index, slice) else super().__getitem__(index)

    def __repr__(self) -> str:
        """Return a line for each of the first results."""
        lines = [repr(one) for one in self[:PRINTED]]
        if len(self) > PRINTED:
            lines.append(f"and {len(self) - PRINTED} more")
        return f"[{(',' + chr(10) + ' ').join(lines)}]"

    def _repr_html_(self) -> str:
        """Show the first results in a notebook."""
        return notebook.of_results(self)
