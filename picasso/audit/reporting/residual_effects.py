"""Test whether a further finding has the same cause as the first; for instance, other backgrounds may be brighter."""

from __future__ import annotations

from dataclasses import dataclass

from picasso.audit.findings import Finding
from picasso.audit.interventions import InterventionResult
from picasso.audit.interventions.quantile_match import PropertyChange
from picasso.audit.trial import TrialContext


@dataclass(frozen=True)
class ResidualEffect:
    """The effect of a finding that remains when a property is restored.

    Attributes:
        of: the name of the property.
        there, back: the remaining effects in the two directions of the finding.
    """

    of: str
    there: float
    back: float


def remainder(context: TrialContext, first: Finding, other: Finding) -> ResidualEffect | None:
    """Return the effect of a finding that remains when the property of the first finding is restored.

    Both the changed images and the controls get the original value of the property; everything else stays changed.

    Returns:
        The remaining effect; None if the first finding is not about a property, is about other classes, or is the
        finding itself.
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
