"""Whether a further finding is the first one, seen otherwise: brighter backgrounds are other backgrounds, too."""

from __future__ import annotations

from dataclasses import dataclass

from picasso.audit.findings import Finding
from picasso.audit.interventions import InterventionResult
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.trial import TrialContext


@dataclass(frozen=True)
class ResidualEffect:
    """What is left of a finding once a property has been put back.

    Attributes:
        of: the name of the property.
        there, back: the fractions of the way that are left, in the directions of the finding.
    """

    of: str
    there: float
    back: float


def remainder(context: TrialContext, first: Finding, other: Finding) -> ResidualEffect | None:
    """Return what is left of a finding when each changed image gets back the property that the first is about.

    The images changed towards the other class and those of the control both get the value that they had before, so
    that everything but this property stays as the change has made it.

    Returns:
        None where the first is not about a property, or is about other classes, or is the other.
    """
    intervention = context.named(first.there.intervention)
    pair, others = {first.there.ours, first.there.theirs}, {other.there.ours, other.there.theirs}
    if not isinstance(intervention, PropertyChange) or first is other or pair != others:
        return None
    of, left = intervention.property, []
    for trial in (other.there, other.back):
        changed = context.change(context.named(trial.intervention), trial.ours, trial.theirs)
        if changed is None:
            return None
        own = of.measure(context.folder.views[trial.ours])
        restored = InterventionResult(of.edit(changed.towards, own), of.edit(changed.control, own))
        left.append(context.effect(restored, trial.ours, trial.theirs).fraction)
    return ResidualEffect(intervention.name, left[0], left[1])
