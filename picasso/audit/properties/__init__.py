"""Properties of pictures that a model may take for the thing: each is measured, and edited to a wanted value."""

from picasso.audit.properties import colours, details, tones
from picasso.audit.properties.base import Maps, Pictures, Property, Values, blurred, light

__all__ = ["PROPERTIES", "Maps", "Pictures", "Property", "Values", "blurred", "light"]

PROPERTIES = (
    Property("brightness", "brighter", "darker", tones.brightness, tones.brighten),
    Property("contrast", "of more contrast", "of less contrast", tones.contrast, tones.spread),
    Property("light from the side", "lit from the right", "lit from the left", tones.from_side(2), tones.lit_from(2)),
    Property("light from above", "lit from below", "lit from above", tones.from_side(1), tones.lit_from(1)),
    Property("warmth", "redder", "bluer", colours.warmth, colours.warm, coloured=True),
    Property("greenness", "greener", "more purple", colours.greenness, colours.make_green, coloured=True),
    Property("saturation", "more colourful", "greyer", colours.saturation, colours.saturate, coloured=True),
    Property("sharpness", "sharper", "more blurred", details.sharpness, details.sharpen),
    Property("noise", "noisier", "smoother", details.noise, details.roughen),
    Property("texture", "rougher", "of smoother surfaces", details.texture, details.structure),
    Property("blockiness", "more compressed", "less compressed", details.blockiness, details.compress),
)
