"""Recommendations for each finding, and how to verify it manually."""

from __future__ import annotations

# Of a part of the images.
CROP = "Crop or cover this part of the images in training, or collect images without the content found there."
HIDE = (
    "Upload some images of both classes, open “What if I hide this?”, drag over {name} and fill it with "
    "“the same place of another image”, of the other class. “Hide it everywhere” counts how many predictions change."
)
# By kind of intervention; the entries by name, below, take precedence.
RECOMMENDATIONS = {
    "property": "Collect images in which this property has the same distribution in all classes, or randomise it in "
    "training.",
    "mark": "Cover the mark or crop it out before training, or paste it into images of all classes. Collect images "
    "without it from the same source.",
    "object": "Randomise it in training by shifting, scaling or recolouring images, or collect more varied images.",
    "region": CROP,
    "edge": CROP,
    "broad": "Check what the images of one class above share besides the object. Collect images of each class in the "
    "surroundings of the other.",
}
IN_PARTICULAR = {
    "brightness": "Collect images of each class in bright and in dim light. Until then, multiply the brightness by a "
    "random factor in training, or give more weight to images with the brightness of the other class.",
    "contrast": "Randomise the contrast in training, or normalise the contrast of all images in training and in use.",
    "horizontal lighting": "Flip images horizontally and add random horizontal brightness gradients in training. Check "
    "whether the classes were lit or scanned differently.",
    "vertical lighting": "Add random vertical brightness gradients in training. Check whether the classes were lit "
    "differently.",
    "warmth": "Randomise the white balance in training. Check whether the classes come from different cameras or times "
    "of day.",
    "greenness": "Shift the hue at random in training, and collect each class in green and in other surroundings.",
    "saturation": "Randomise the saturation in training, down to greyscale. If colour should not matter at all, train "
    "on greyscale images.",
    "sharpness": "Blur and sharpen at random in training. Check whether the classes come from different cameras, "
    "lenses or image sizes, and resize all images in the same way.",
    "noise": "Add random noise in training. Check whether the classes come from different sensors or exposures.",
    "texture": "Randomise textures in training, with blur or noise of several scales, and collect each class on rough "
    "and on smooth surfaces.",
    "blockiness": "Save all images with the same JPEG quality, or a random one, before training.",
    "row and column profile": "Remove lines from all images in the same way before training, or add lines of random "
    "strength and phase. Check whether the classes come from different sensors, screens or scanners.",
    "slant": "Shear images at random in training, and collect objects of all classes that lean to both sides.",
    "tilt": "Rotate images at random in training, and level the camera or the scanner in the same way for all classes.",
    "aspect ratio": "Resize all images without changing their proportions, or stretch them at random in training. "
    "Check whether the classes come from different cameras or screens.",
    "barrel distortion": "Correct the distortion of the lens, or bend images at random in training. Check whether the "
    "classes come from different cameras.",
    "mirror direction": "Flip images horizontally at random in training, unless the direction is part of the class. "
    "Collect objects of all classes that look to both sides.",
    "colour channel shift": "Shift the colour channels against each other at random in training, by a pixel or two, or "
    "train on greyscale images. Check whether the classes come from different lenses or scanners.",
    "frequency band": "Resize all images in the same way, from similar sizes. Blur, sharpen and add periodic patterns "
    "at random in training. Check whether one class was photographed from screens or from print.",
    "a recurring segment": "Cover it or crop it out before training, or paste it into images of all classes, at random "
    "places and sizes. Collect images of this class without it, and images of other classes with it.",
    "horizontal position": "Shift and flip images horizontally at random in training, and collect images with the "
    "object in other positions.",
    "vertical position": "Shift images vertically at random in training, and collect images with the object in other "
    "positions.",
    "object colour": "Shift the hue at random in training, and collect each class in the colours of the other.",
    "large-scale light and colour": "Collect images of each class in the light and weather of the other. Until then, "
    "randomise light and colour in training, both locally and for whole images.",
    "the background": "Collect images of each class on the backgrounds of the other, or cut the objects out and paste "
    "them on random backgrounds in training.",
    "the frame": "Crop the borders of all images by the same amount before training: scanners, letterboxing and "
    "resampling leave traces there.",
}
MANUAL_CHECKS = {
    "property": "Open one of these images in an image editor, change nothing but its {name}, and upload it together "
    "with the original. The predictions should differ as they do above.",
    "mark": "Upload an image that has the mark, open “What if I hide this?”, and paint over the mark alone with “the "
    "image itself, blurred”. The prediction should change, but not if you paint over a similar area elsewhere.",
    "object": "Upload the image before and after the change, and compare the two predictions. Then shift or recolour "
    "another image in an image editor.",
    "region": HIDE,
    "edge": HIDE,
    "broad": "Upload some images of both classes, open “What if I hide this?”, paint over everything but the object "
    "and fill it with “the same place of another image”. If the prediction follows the surroundings, the model relies "
    "on them.",
}


def recommendation(kind: str, name: str) -> str:
    """Return the recommendation for a finding, in a sentence or two.

    Args:
        kind: of the intervention, one of :data:`picasso.audit.interventions.KINDS`.
        name: of the intervention.
    """
    return IN_PARTICULAR.get(name, RECOMMENDATIONS[kind])


def manual_check(kind: str, name: str) -> str:
    """Return how to verify a finding in the browser; the arguments are those of :func:`recommendation`."""
    return MANUAL_CHECKS[kind].format(name=name)
