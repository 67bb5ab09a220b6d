"""Properties of images that a model may rely on: each can be measured, and edited to a target value."""

from picasso.audit.properties import color, luminance, texture
from picasso.audit.properties.base import Images, Maps, Property, Values, blurred, light
from picasso.audit.properties.texture import as_jpeg

__all__ = ["PROPERTIES", "Images", "Maps", "Property", "Values", "as_jpeg", "blurred", "light"]

PROPERTIES = (
    Property("brightness", "brighter", "darker", luminance.brightness, luminance.brighten),
    Property("contrast", "of more contrast", "of less contrast", luminance.contrast, luminance.spread),
    Property(
        "horizontal lighting", "lit from the right", "lit from the left", luminance.from_side(2), luminance.lit_from(2)
    ),
    Property("vertical lighting", "lit from below", "lit from above", luminance.from_side(1), luminance.lit_from(1)),
    Property("warmth", "redder", "bluer", color.warmth, color.warm, coloured=True),
    Property("greenness", "greener", "more purple", color.greenness, color.make_green, coloured=True),
    Property("saturation", "more colourful", "greyer", color.saturation, color.saturate, coloured=True),
    Property("sharpness", "sharper", "more blurred", texture.sharpness, texture.sharpen, detail=True),
    Property("noise", "noisier", "smoother", texture.noise, texture.roughen, detail=True),
    Property("texture", "rougher", "of smoother surfaces", texture.texture, texture.structure, detail=True),
    Property("blockiness", "more compressed", "less compressed", texture.blockiness, texture.compress),
)
