"""Of findings with the same cause, name the most plausible first: put one back, and see what is left of the other.

A sticker makes images more colourful, so exchanging the saturation has an effect, too. If the pixels of the sticker are
put back after the exchange, the effect of the saturation disappears; if the saturation is put back after the sticker
was removed, the effect of the sticker remains. So the sticker is the cause. The kinds alone could not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from picasso.audit.dataset import logits, margins
from picasso.audit.findings import Finding
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.outcome import AuditOutcome
from picasso.audit.properties import Images
from picasso.audit.trial import TrialContext

# A part explains a property if at most this share of the effect of the property is left when the part is put back, and
# at least this share of the effect of the part is left when the property is put back.
EXPLAINED, INDEPENDENT = 0.25, 0.5
# The number of parts and of properties that are compared, to bound the cost.
COMPARED = 2


def ordered_by_cause(context: TrialContext, outcome: AuditOutcome) -> AuditOutcome:
    """Return the outcome with each mark or region before the properties whose effect it explains.

    It is measured for the first pair of classes with an alarm, at most :data:`COMPARED` parts and properties.
    """
    alarms = outcome.alarms
    same = [one for one in alarms if one.pair == alarms[0].pair]
    parts = [one for one in same if one.there.kind in ("mark", "region", "edge")][:COMPARED]
    properties = [one for one in same if isinstance(context.named(one.there.intervention), PropertyChange)][:COMPARED]
    findings = list(outcome.findings)
    for part in parts:
        for of in properties:
            if findings.index(part) > findings.index(of) and explains(context, part, of):
                findings.remove(part)
                findings.insert(findings.index(of), part)
    return replace(outcome, findings=tuple(findings))


def explains(context: TrialContext, part: Finding, of: Finding) -> bool:
    """Tell whether a part of the images is the cause of the effect of a property, in a direction of its finding."""
    for ours, theirs in ((part.there.ours, part.there.theirs), (part.there.theirs, part.there.ours)):
        left = left_of_both(context, part, of, ours, theirs)
        if left is not None and left[0] <= EXPLAINED and left[1] >= INDEPENDENT:
            return True
    return False


def left_of_both(
    context: TrialContext, part: Finding, of: Finding, ours: int, theirs: int
) -> tuple[float, float] | None:
    """Return what is left of the effects of a property and of a part when the other is put back, as fractions.

    Args:
        context: the model and the images.
        part: a finding about a mark or a region.
        of: a finding about a property.
        ours: the class whose images are changed.
        theirs: the class that they are changed towards.

    Returns:
        None if the part is in another place of each image before and after the change, or nothing is changed.
    """
    before, exchange = context.folder.views[ours], context.named(of.there.intervention)
    changed = context.change(context.named(part.there.intervention), ours, theirs)
    edited = context.change(exchange, ours, theirs)
    if changed is None or edited is None or changed.region is None or not isinstance(exchange, PropertyChange):
        return None
    region = np.broadcast_to(changed.region, before.shape[:3])[..., None]
    measured = exchange.property
    restored = measured.edit(changed.towards, measured.measure(before))
    return (
        _left(context, (ours, theirs), edited.towards, np.where(region, before, edited.towards)),
        _left(context, (ours, theirs), changed.towards, restored),
    )


def _left(context: TrialContext, pair: tuple[int, int], changed: Images, restored: Images) -> float:
    """Return the mean shift of the margin by the restored images, as a fraction of that by the changed ones."""
    was = margins(context.folder.logits[pair[0]], *pair)
    shifts: Sequence[float] = [
        float((margins(logits(context.model, some), *pair) - was).mean()) for some in (changed, restored)
    ]
    return shifts[1] / shifts[0] if shifts[0] > 0 else 1.0
