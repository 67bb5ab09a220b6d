"""The result of one visualization of one image, with its arrays and images; all interfaces share this class."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from picasso import fileio
from picasso.explanation import render
from picasso.imaging import decode
from picasso.models.info import ModelInfo
from picasso.targets import Prediction, phrase
from picasso.visualizations.panel import Panel

DOCUMENT = "result.json"
ARRAYS = "arrays.npz"
VIEW = "view.png"
MASK = "mask.png"


@dataclass(frozen=True)
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

    def _repr_html_(self) -> str:
        """Show the result in a notebook: the image, then each panel under its title."""

        def figure(image: Any, caption: str) -> str:
            address = decode.data_address(decode.encode(image))
            style = "display:inline-block;margin:4px;text-align:center"
            drawn = f'<img width="180" src="{address}">'
            return f'<figure style="{style}">{drawn}<figcaption>{escape(caption)}</figcaption></figure>'

        best = ", ".join(phrase(one) for one in self.predictions)
        figures = [figure(render.enlarge(self.view), self.image)]
        if "mask" in self.output:
            figures.append(figure(render.masked(self.view, self.output["mask"]), "prediction"))
        for panel in self.panels:
            shown = panel.probability if panel.value is None else panel.value
            value = "" if shown is None else f" {shown:.3f}"
            figures.append(figure(render.draw(panel, self.view), panel.title + value))
        return f"<p><b>{escape(self.visualization)}</b> {escape(best)}</p>{''.join(figures)}"
