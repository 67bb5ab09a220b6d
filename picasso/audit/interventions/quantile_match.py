"""Properties of whole images, given the values that images of the other class have."""

from __future__ import annotations

import numpy as np

from picasso.audit.interventions.base import (
    Generator,
    ImagePair,
    Intervention,
    InterventionResult,
    quantile_match,
    quantile_match_within,
)
from picasso.audit.properties import Images, Property


class PropertyChange(Intervention):
    """Give each image the value that has the same rank among the images of the other class."""

    kind = "property"

    def __init__(self, of: Property) -> None:
        self.property, self.name = of, of.name

    def fits(self, images: Images) -> bool:
        """Tell whether there are colours, if it is about colours."""
        return not self.property.coloured or bool(np.ptp(images, axis=-1).max() > 0)

    def change(self, case: ImagePair, generator: Generator) -> InterventionResult:
        """Match ranks with the other class; for the control, with the other half of their own."""
        own = self.property.measure(case.ours)
        control = quantile_match_within(own, generator)
        wanted = quantile_match(own, self.property.measure(case.theirs))
        return InterventionResult(self.property.edit(case.ours, wanted), self.property.edit(case.ours, control))

    def words(self, case: ImagePair) -> str:
        """Say in which direction the property is changed on average."""
        more = float(self.property.measure(case.theirs).mean()) > float(self.property.measure(case.ours).mean())
        return f"making {{a}} images {self.property.more if more else self.property.less}, like {{b}} images,"
