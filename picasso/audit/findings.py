"""A finding: something that the model appears to rely on, in which tier, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from picasso.audit.trial import Trial

#: What a finding says. Only "relies on" is an alarm.
Tier = Literal["relies on", "one direction", "informative"]
#: Why a finding is no alarm: it may be about the object itself, hardly any answer changes beyond the control, or the
#: effect exists in one direction only; "" for an alarm.
Reason = Literal["", "object", "few answers", "one direction"]

CAVEATS = {
    "": "",
    "object": "This may be the object itself, so it raises no alarm.",
    "few answers": "Hardly any image changes class beyond the control, so it raises no alarm.",
    "one direction": "In reverse there is no such effect, so it raises no alarm: the edit may damage images of one "
    "class only. To settle it, collect images of {a} that are like those of {b} in this respect, and see whether the "
    "model classifies them correctly.",
}


@dataclass(frozen=True)
class Finding:
    """Something that the model appears to rely on.

    Attributes:
        there, back: the trials in both directions, the larger effect first.
        p: the larger of the two p-values, corrected; that of the first direction if the other has no effect.
        reason: why it is no alarm, or "".
    """

    there: Trial
    back: Trial
    p: float
    reason: Reason = ""

    @property
    def alarm(self) -> bool:
        """Whether the finding raises an alarm."""
        return not self.reason

    @property
    def tier(self) -> Tier:
        """What the finding says."""
        if self.alarm:
            return "relies on"
        return "one direction" if self.reason == "one direction" else "informative"

    @property
    def size(self) -> float:
        """The smaller of the two effects; the larger one if there is an effect in one direction only."""
        effects = (self.there.effect.fraction, self.back.effect.fraction)
        return max(effects) if self.reason == "one direction" else min(effects)

    @property
    def pair(self) -> frozenset[int]:
        """The indices of the two classes."""
        return frozenset((self.there.ours, self.there.theirs))

    def sentence(self, names: Sequence[str]) -> str:
        """Describe the finding, with the names of the classes."""
        one, two = self.there, self.back
        a, b = self._quoted(names)
        what = one.words.format(a=a, b=b)
        flips = max(one.effect.flips, two.effect.flips)
        control = max(one.effect.control_flips, two.effect.control_flips)
        return (
            f"{one.intervention[0].upper()}{one.intervention[1:]}: {what} moves the logit margin "
            f"{one.effect.fraction:.0%} of the way to {b} ({two.effect.fraction:.0%} in reverse). "
            f"Up to {flips:.0%} of the images change class ({control:.0%} in the control). "
            f"{self.sizes()}{self.images()}"
        )

    def images(self) -> str:
        """Describe how many images were used, if there are more."""
        both = (self.there, self.back)
        used, pool = sum(one.effect.images for one in both), sum(one.pool for one in both)
        if used >= pool:
            return ""
        return f" {'Decided' if self.there.decided else 'Not yet decided'} after {used:,} of {pool:,} images."

    def sizes(self) -> str:
        """Describe how much the changes and their controls alter an image."""
        changes = [f"{trial.effect.size:.1%} ({trial.effect.control_size:.1%})" for trial in (self.there, self.back)]
        return f"Values change by {changes[0]} of their range (control), in reverse by {changes[1]}."

    def caveat(self, names: Sequence[str]) -> str:
        """Return why the finding raises no alarm, and what would settle it; "" for an alarm."""
        a, b = self._quoted(names)
        return CAVEATS[self.reason].format(a=a, b=b)

    def _quoted(self, names: Sequence[str]) -> tuple[str, str]:
        a, b = (f"“{names[target]}”" for target in (self.there.ours, self.there.theirs))
        return a, b
