"""The result of one visualization of one picture: arrays first, pictures second, the same object for everybody."""

from __future__ import annotations

import base64
import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from picasso.models.card import ModelCard, Prediction

DOCUMENT = "result.json"
ARRAYS = "arrays.npz"
VIEW = "view.png"


@dataclass(frozen=True)
class Panel:
    """One map or one picture.

    Attributes:
        title: what the reader sees above it; the class's name for a map of a class.
        array: a map ``(h, w)`` of float32, or a picture ``(h, w)``/``(h, w, 3)`` of uint8. A map covers the
            whole picture as the model sees it, whatever its own resolution.
        quantity: what the values of a map are, with their unit, for its legend.
        value_range: the values at the two ends of the colour scale; None takes those of the array.
        signed: True if zero is the middle of the scale.
        transparency: how strongly the picture shows through the map, 0..1.
        class_index: the class that a map belongs to, or None.
        probability: the probability of that class on the whole picture, 0..1, or None.
    """

    title: str
    array: NDArray[Any]
    quantity: str = ""
    value_range: tuple[float, float] | None = None
    signed: bool = False
    transparency: float = 0.0
    class_index: int | None = None
    probability: float | None = None

    @classmethod
    def of_class(cls, prediction: Prediction, array: NDArray[Any], **attributes: Any) -> Self:
        """Return the map of a predicted class, titled with its name."""
        known = {"class_index": prediction["index"], "probability": prediction["prob"]}
        return cls(title=prediction["name"], array=array, **known, **attributes)

    @property
    def kind(self) -> str:
        """``"picture"`` for pixels, ``"map"`` for values."""
        return "picture" if self.array.dtype == np.uint8 else "map"

    def scale(self) -> tuple[float, float]:
        """Return the values at the ends of the colour scale; symmetric about zero if signed."""
        if self.value_range is not None:
            return self.value_range
        low, high = float(self.array.min()), float(self.array.max())
        if self.signed:
            high = max(abs(low), abs(high))
            return -high, high
        # Maps of magnitudes start at zero, so that "nothing" is always drawn as nothing.
        return min(0.0, low), high

    def describe(self) -> dict[str, Any]:
        """Return everything but the array as JSON-ready values; maps say if they are flat."""
        document: dict[str, Any] = {
            "title": self.title,
            "kind": self.kind,
            "shape": list(self.array.shape),
            "class_index": self.class_index,
            "probability": self.probability,
        }
        if self.kind == "map":
            low, high = self.scale()
            document |= {
                "quantity": self.quantity,
                "signed": self.signed,
                "transparency": self.transparency,
                "value_range": [low, high],
                "minimum": float(self.array.min()),
                "maximum": float(self.array.max()),
                "flat": bool(self.array.min() == self.array.max()),
            }
        return document


@dataclass(frozen=True)
class Result:
    """What one visualization says of one picture.

    Attributes:
        visualization: the name of its class.
        settings: its settings by public name.
        picture: what the user called the picture.
        view: the picture as the model sees it, ``(H, W)`` or ``(H, W, 3)`` uint8.
        predictions: the most probable classes, best first.
        panels: the maps and pictures made.
        model: which model and checkpoint answered.
        seconds: how long this picture took.
        reference: where the method is described, or "".
        notes: what the reader should know before trusting the maps.
    """

    visualization: str
    settings: dict[str, Any]
    picture: str
    view: NDArray[np.uint8]
    predictions: tuple[Prediction, ...]
    panels: tuple[Panel, ...]
    model: ModelCard
    seconds: float
    reference: str = ""
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the arrays as JSON-ready values, with the names of the files that hold those."""
        panels = [{**panel.describe(), "file": f"panel-{index}.png"} for index, panel in enumerate(self.panels)]
        for index, (panel, document) in enumerate(zip(self.panels, panels, strict=True)):
            if panel.kind == "map":
                document |= {"array": f"panel_{index}", "legend": f"legend-{index}.png"}
        return {
            "visualization": self.visualization,
            "settings": self.settings,
            "picture": self.picture,
            "view": VIEW,
            "arrays": ARRAYS,
            "predictions": list(self.predictions),
            "panels": panels,
            "model": self.model.as_dict(),
            "seconds": round(self.seconds, 4),
            "reference": self.reference,
            "notes": list(self.notes),
        }

    def save(self, folder: str | Path) -> None:
        """Write ``result.json``, ``arrays.npz`` and one PNG per panel into ``folder``, which must not exist.

        The folder appears whole or not at all: it is written under another name and then renamed.
        """
        from picasso import rendering

        target = Path(folder)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.mkdir(parents=True)
        document = self.as_dict()
        for index, (panel, described) in enumerate(zip(self.panels, document["panels"], strict=True)):
            rendering.draw(panel, self.view).save(draft / described["file"])
            if panel.kind == "map":
                rendering.colour_bar(panel).save(draft / f"legend-{index}.png")
        rendering.enlarge(self.view).save(draft / VIEW)
        arrays = {f"panel_{index}": panel.array for index, panel in enumerate(self.panels)}
        np.savez_compressed(draft / ARRAYS, view=self.view, **arrays)
        (draft / DOCUMENT).write_text(json.dumps(document, allow_nan=False, indent=1), encoding="utf-8")
        os.replace(draft, target)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read back what :meth:`save` wrote."""
        document = json.loads((Path(folder) / DOCUMENT).read_text(encoding="utf-8"))
        with np.load(Path(folder) / ARRAYS) as arrays:
            stored = {key: arrays[key] for key in arrays.files}
        panels = tuple(read_panel(panel, stored[f"panel_{index}"]) for index, panel in enumerate(document["panels"]))
        same = {key: document[key] for key in ("visualization", "settings", "picture", "seconds", "reference")}
        return cls(
            **same,
            view=stored["view"],
            predictions=tuple(document["predictions"]),
            panels=panels,
            model=ModelCard.from_dict(document["model"]),
            notes=tuple(document["notes"]),
        )

    def _repr_html_(self) -> str:
        """Draw the result in a notebook: the picture, then each panel under its title."""
        from html import escape

        from picasso import rendering

        def figure(image: Any, caption: str) -> str:
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            data = base64.b64encode(buffer.getvalue()).decode()
            style = "display:inline-block;margin:4px;text-align:center"
            picture = f'<img width="180" src="data:image/png;base64,{data}">'
            return f'<figure style="{style}">{picture}<figcaption>{escape(caption)}</figcaption></figure>'

        best = ", ".join(f"{p['name']} {p['prob']:.3f}" for p in self.predictions)
        figures = [figure(rendering.enlarge(self.view), self.picture)]
        for panel in self.panels:
            probability = "" if panel.probability is None else f" {panel.probability:.3f}"
            figures.append(figure(rendering.draw(panel, self.view), panel.title + probability))
        return f"<p><b>{escape(self.visualization)}</b> {escape(best)}</p>{''.join(figures)}"


def read_panel(document: dict[str, Any], array: NDArray[Any]) -> Panel:
    """Rebuild a panel from its description and its array."""
    names = ("title", "quantity", "signed", "transparency", "class_index", "probability")
    known = {key: document[key] for key in names if key in document}
    scale = document.get("value_range")
    return Panel(array=array, value_range=(scale[0], scale[1]) if scale else None, **known)
