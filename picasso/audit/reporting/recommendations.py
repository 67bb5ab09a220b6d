"""What to do about a finding, and how to see with one's own eyes that it is one."""

from __future__ import annotations

# For each kind of intervention; what is known of a single one says more, below.
TO_DO = {
    "property": "Collect images in which it is spread alike over the classes, or vary it at random in training.",
    "mark": "Cover the mark or crop it away before training, or paste it into images of all classes alike; collect "
    "images without it from the same source.",
    "thing": "Vary it at random in training, by moving, enlarging or colouring images, or collect others.",
    "region": "Crop or cover this part in training, or collect images without what lies there.",
    "broad": "Look at the images above: what do those of one class share besides the thing? Collect images of each "
    "class in the surroundings of the other.",
}
IN_PARTICULAR = {
    "brightness": "Collect images of each class in bright and in dull light; until then multiply the light by a "
    "random factor in training, or give more weight to the images whose light is that of the other class.",
    "contrast": "Stretch or press together the contrast at random in training, or bring all images to the same "
    "contrast before training and in use.",
    "light from the side": "Mirror images at random in training, and vary a gradient of light across them; look "
    "whether each class was lit, or scanned, in its own way.",
    "light from above": "Vary a gradient of light down the images at random in training, and look whether each class "
    "was lit in its own way.",
    "warmth": "Vary the white balance at random in training, and look whether each class comes from its own camera or "
    "time of day.",
    "greenness": "Shift the hue at random in training, and collect each class in green and in other surroundings.",
    "saturation": "Vary the saturation at random in training, down to grey; if colour should not matter at all, train "
    "on grey images.",
    "sharpness": "Blur and sharpen at random in training, and look whether each class comes from its own camera, lens "
    "or size of file: bring all to the same size in the same way.",
    "noise": "Add noise at random in training, and look whether each class comes from its own sensor or exposure.",
    "texture": "Vary textures in training, by random blur or noise of several sizes, and collect each class on rough "
    "and on smooth ground.",
    "blockiness": "Save all images anew with the same JPEG quality, or one drawn at random, before training.",
    "the place across": "Shift and mirror images at random in training, and collect others in which the thing lies "
    "elsewhere.",
    "the place down": "Shift images up and down at random in training, and collect others in which the thing lies "
    "elsewhere.",
    "the colour of the thing": "Shift the hue of images at random in training, and collect each class in the colours "
    "of the other.",
    "the large-scale light and colour": "Collect images of each class in the light and weather of the other; until "
    "then vary light and colour at random in training, in parts of the image and as a whole.",
    "the background": "Collect images of each class before the backgrounds of the other, or cut the things out and "
    "paste them before backgrounds drawn at random in training.",
    "the frame": "Crop the borders of all images by the same amount before training: scanners, letterboxes and "
    "resampling leave their marks there.",
}
BY_HAND = {
    "property": "Open one of these images in an image editor, change nothing but its {name}, and upload it beside "
    "the original: the answers should differ as they do above.",
    "mark": "Upload an image that has the mark, open “What if I hide this?”, and paint over the mark alone with “the "
    "image itself, blurred”: the answer should change, and should not when you paint a like piece elsewhere.",
    "thing": "Upload the image before and after the change, and compare the two answers; then shift or recolour "
    "another one in an image editor.",
    "region": "Upload some images of both classes, open “What if I hide this?”, drag over {name} and have it show "
    "“the same place of another image”, of the other class; “Hide it everywhere” counts how many answers change.",
    "broad": "Upload some images of both classes, open “What if I hide this?”, paint over everything but the thing "
    "and have it show “the same place of another image”: if the answer follows the surroundings, it is these.",
}


def recommendation(kind: str, name: str) -> str:
    """Return what to do about a finding, in a sentence or two.

    Args:
        kind: of the intervention, one of :data:`picasso.audit.interventions.KINDS`.
        name: of the intervention.
    """
    return IN_PARTICULAR.get(name, TO_DO[kind])


def manual_check(kind: str, name: str) -> str:
    """Return how to check a finding on the page, in a sentence or two; arguments as for :func:`recommendation`."""
    return BY_HAND[kind].format(name=name)
