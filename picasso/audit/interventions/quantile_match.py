"""Match a property of whole images to the distribution in the other class."""

from __future__ import annotations

import numpy as np

from picasso.audit.interventions.base import ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.matching import Generator, opposite, quantile_match
from picasso.audit.interventions.separation import separation
from picasso.audit.properties import Images, Property


class PropertyChange(Intervention):
    """Give each image the value of the same rank among the images of the other class.

    Examples:
        >>> import numpy as np
        >>> from picasso.audit.interventions import ImagePair
        >>> from picasso.audit.interventions.quantile_match import PropertyChange
        >>> from picasso.audit.properties import PROPERTIES
        >>> dark, bright = (np.full((4, 8, 8, 1), light, np.float32) for light in (0.2, 0.6))
        >>> even = np.full((4, 8, 8), 1 / 64, np.float32)
        >>> brightness = PropertyChange(PROPERTIES[0])
        >>> result = brightness.change(ImagePair(dark, bright, lambda: (even, even)), np.random.default_rng(0))
        >>> round(float(result.towards.mean()), 2), round(float(result.control.mean()), 2)
        (0.6, 0.01)
    """

    kind = "property"

    def __init__(self, of: Property) -> None:
        self.property, self.name, self.detail = of, of.name, of.detail
        self.appearance = not of.detail

    def fits(self, images: Images) -> bool:
        """Tell whether the images have colours, if the property needs them."""
        return not self.property.coloured or bool(np.ptp(images, axis=-1).max() > 0)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Match ranks with the other class; for the control, take the same step the other way."""
        own = self.property.measure(case.ours)
        theirs = self.property.measure(case.theirs)
        wanted = quantile_match(own, theirs)
        towards, control = self.property.edits(case.ours, [wanted, opposite(own, wanted)])
        return InterventionResult(towards, control, separation=separation(own, theirs))

    def words(self, case: ImagePair) -> str:
        """Describe the change, with its average direction."""
        more = float(self.property.measure(case.theirs).mean()) > float(self.property.measure(case.ours).mean())
        how = self.property.more if more else self.property.less
        return f"giving {{a}} images the {self.name} of {{b}} images ({how})"
