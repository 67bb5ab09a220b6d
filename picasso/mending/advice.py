"""What helps if a model can't be mended: augmentation in training, and images to collect."""

from __future__ import annotations

import math
from collections.abc import Sequence

from picasso.audit.audit import Audit
from picasso.audit.reporting import recommendations
from picasso.mending.counterfactuals import Alarm

# The number of images of each class that a sentence asks for.
IMAGES = 20
# The layers of Keras 3 that randomise a property; values of pixels are 0 to 255.
VALUES = "value_range=(0, 255)"
LAYERS = {
    "brightness": f"keras.layers.RandomBrightness(0.4, {VALUES})",
    "contrast": f"keras.layers.RandomContrast(0.5, {VALUES})",
    "horizontal lighting": f"keras.layers.RandomBrightness(0.3, {VALUES})",
    "vertical lighting": f"keras.layers.RandomBrightness(0.3, {VALUES})",
    "warmth": "keras.layers.RandomColorJitter((0, 255), 0.0, 0.0, (0.3, 0.7), 0.1)",
    "greenness": f"keras.layers.RandomHue(0.2, {VALUES})",
    "saturation": f"keras.layers.RandomSaturation((0.0, 0.8), {VALUES})",
    "sharpness": f"keras.layers.RandomGaussianBlur(0.8, 5, (0.5, 2.0), {VALUES})",
    # The layer takes images from 0 to 1.
    "noise": "keras.layers.Rescaling(1 / 255), keras.layers.GaussianNoise(0.04), keras.layers.Rescaling(255)",
    "texture": f"keras.layers.RandomGaussianBlur(0.8, 5, (0.5, 2.0), {VALUES})",
    "blockiness": f"keras.layers.RandomGaussianBlur(0.8, 3, (0.5, 1.5), {VALUES})",
    "horizontal position": 'keras.layers.RandomTranslation(0.0, 0.3, "reflect")',
    "vertical position": 'keras.layers.RandomTranslation(0.3, 0.0, "reflect")',
    "object size": 'keras.layers.RandomZoom((-0.25, 0.25), fill_mode="reflect")',
    "object colour": f"keras.layers.RandomHue(0.5, {VALUES})",
    "aspect ratio": 'keras.layers.RandomZoom((-0.25, 0.25), (-0.25, 0.25), fill_mode="reflect")',
    "large-scale light and colour": "keras.layers.RandomColorJitter((0, 255), 0.4, 0.4)",
}
OF_KIND = {
    "mark": "keras.layers.RandomErasing(0.8, value_range=(0, 255))",
    "region": "keras.layers.RandomErasing(0.8, value_range=(0, 255))",
    "edge": "keras.layers.RandomErasing(0.8, value_range=(0, 255))",
    "broad": "keras.layers.RandomErasing(0.8, value_range=(0, 255))",
    "object": 'keras.layers.RandomTranslation(0.2, 0.2, "reflect")',
    "property": "keras.layers.RandomColorJitter((0, 255), 0.3, 0.3)",
}


def layer(kind: str, name: str) -> str:
    """Return the code of the Keras layer that randomises what an intervention changes.

    Args:
        kind: of the intervention.
        name: of the intervention.

    Examples:
        >>> from picasso.mending.advice import layer
        >>> layer("property", "brightness")
        'keras.layers.RandomBrightness(0.4, value_range=(0, 255))'
    """
    return LAYERS.get(name, OF_KIND[kind])


def augmentation(interventions: Sequence[tuple[str, str]]) -> str:
    """Return Python code that randomises images of 0 to 255 in training, for interventions by kind and name.

    Examples:
        >>> from picasso.mending.advice import augmentation
        >>> print(augmentation([("property", "noise")]))
        import keras
        <BLANKLINE>
        # Images from 0 to 255, (N, H, W, C). In training: model.fit(images.map(lambda x, y: (augment(x), y)))
        augmentation = keras.Sequential(
            [
                keras.layers.Rescaling(1 / 255), keras.layers.GaussianNoise(0.04), keras.layers.Rescaling(255),
            ]
        )
        <BLANKLINE>
        <BLANKLINE>
        def augment(images):
            return keras.ops.clip(augmentation(images, training=True), 0, 255)
    """
    lines = list(dict.fromkeys(layer(kind, name) for kind, name in interventions))
    return "\n".join(
        [
            "import keras",
            "",
            "# Images from 0 to 255, (N, H, W, C). In training: model.fit(images.map(lambda x, y: (augment(x), y)))",
            "augmentation = keras.Sequential(",
            "    [",
            *(f"        {line}," for line in lines),
            "    ]",
            ")",
            "",
            "",
            "def augment(images):",
            "    return keras.ops.clip(augmentation(images, training=True), 0, 255)",
        ]
    )


def images_to_collect(alarm: Alarm, kind: str, names: Sequence[str]) -> str:
    """Return which images to collect, in a sentence or two.

    Args:
        alarm: the alarm.
        kind: the kind of its intervention.
        names: the names of all classes.

    Examples:
        >>> from picasso.mending.advice import images_to_collect
        >>> from picasso.mending.counterfactuals import Alarm
        >>> images_to_collect(Alarm("brightness", (0, 1)), "property", ["no tank", "tank"])
        'Collect 20 images of “no tank” with the brightness of “tank”, and 20 of “tank” with that of “no tank”.'
    """
    one, other = (f"“{names[target]}”" for target in alarm.pair)
    if kind in ("property", "object") or alarm.intervention == "large-scale light and colour":
        what = alarm.intervention
        return (
            f"Collect {IMAGES} images of {one} with the {what} of {other}, and {IMAGES} of {other} with that of {one}."
        )
    return f"Between {one} and {other}: {recommendations.recommendation(kind, alarm.intervention)}"


def all_layers(seconds: float) -> str:
    """Return the sentence that offers to train all layers.

    Args:
        seconds: the time that it takes, roughly.

    Examples:
        >>> from picasso.mending.advice import all_layers
        >>> all_layers(200)
        'Training all layers mostly leaves less: repeat with --deep (deep=True), about 4 minutes.'
    """
    minutes = max(1, math.ceil(seconds / 60))
    time = "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"Training all layers mostly leaves less: repeat with --deep (deep=True), about {time}."


def text(first: Audit, alarms: Sequence[Alarm]) -> str:
    """Return the images to collect, and code for the training."""
    kinds = {one.name: one.kind for one in first.context.interventions}
    names = [str(name) for name in first.model.class_names()]
    sentences = [images_to_collect(one, kinds[one.intervention], names) for one in alarms]
    code = augmentation([(kinds[one.intervention], one.intervention) for one in alarms])
    return "\n".join([*sentences, "Or randomise these properties in training:", "", code])
