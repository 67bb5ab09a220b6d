"""The interventions of an audit. To add one, write a class with ``change`` and ``words`` and append an instance."""

from picasso.audit.interventions.background import Background, ColourLayout
from picasso.audit.interventions.base import KINDS, ImagePair, Intervention, InterventionResult
from picasso.audit.interventions.channel_shift import ChannelShift
from picasso.audit.interventions.foreground import ObjectColour, Position, Size
from picasso.audit.interventions.frequency_band import FrequencyBand
from picasso.audit.interventions.geometry import AspectRatio, Barrel, Slant, Tilt
from picasso.audit.interventions.line_profile import LineProfile
from picasso.audit.interventions.mirror import Mirror
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.interventions.region_swap import regions
from picasso.audit.interventions.segment import RecurringSegment
from picasso.audit.interventions.watermark import MovingMark
from picasso.audit.properties import PROPERTIES

__all__ = [
    "INTERVENTIONS",
    "KINDS",
    "ImagePair",
    "Intervention",
    "InterventionResult",
    "base",
    "quantile_match",
    "separation",
]

#: All built-in interventions, in the order of reports.
INTERVENTIONS: tuple[Intervention, ...] = (
    *map(PropertyChange, PROPERTIES),
    LineProfile(),
    ChannelShift(),
    MovingMark(),
    RecurringSegment(),
    ObjectColour(),
    Position(1),
    Position(0),
    Size(),
    Slant(),
    Tilt(),
    AspectRatio(),
    Barrel(),
    Mirror(),
    *regions(),
    FrequencyBand(),
    ColourLayout(),
    Background(),
)
