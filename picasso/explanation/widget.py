"""The public function that makes the widget; the widget itself needs a package that is imported only for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from picasso.errors import ConfigurationError
from picasso.explanation.exploration import Exploration
from picasso.explanation.inputs import Source
from picasso.models.base import Model

if TYPE_CHECKING:
    from picasso.explanation.notebook_widget import ImageWidget


def widget(
    model: Model,
    images: Source | Iterable[Source],
    *,
    targets: int | str | Sequence[int | str] = (),
    plugin_dirs: Sequence[str | Path] = (),
    **settings: object,
) -> ImageWidget:
    """Return a widget for notebooks: the images, a large map of one of them, its targets, and all methods.

    The last line of a cell shows it in Jupyter, marimo, VS Code and Colab. Maps are computed in the kernel when they
    are chosen, and kept. The first 60 images are shown. The widget's ``result`` is the :class:`picasso.Result` that
    is shown. It needs ``pip install 'picasso-viz[notebook]'``.

    Args:
        model: from :func:`picasso.models.load_model`.
        images: as :func:`picasso.explain` takes them.
        targets: what to explain, as :func:`picasso.explain` takes it; none for the most important predictions.
        plugin_dirs: folders with custom visualizations.
        settings: settings of visualizations, such as ``Window=0.1``; each applies to those that have it.

    Raises:
        BadRequest: no image can be read, or a target or a setting is invalid.
        ConfigurationError: the package anywidget is missing, or a folder of ``plugin_dirs``.

    Examples:
        >>> import numpy as np
        >>> import picasso
        >>> from picasso.examples.brightness import BrightnessModel
        >>> model = BrightnessModel()  # a model of your own comes from picasso.load_model
        >>> model.load()
        >>> shown = picasso.widget(model, [np.eye(8), np.ones((8, 8))])
        >>> shown.result
        <Result: GradCAM of image 0, dark 0.953, 2 panels>
        >>> shown.choice = {"image": 1, "method": "PartialOcclusion"}
        >>> shown.result.predictions[0]["name"]
        'bright'
    """
    try:
        import anywidget  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "picasso.widget needs the package anywidget: pip install 'picasso-viz[notebook]'. "
            "picasso.explain draws its results without it."
        ) from error
    from picasso.explanation.notebook_widget import ImageWidget

    return ImageWidget(Exploration.of(model, images, targets, plugin_dirs, settings))
