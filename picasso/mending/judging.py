"""Judge a mended copy of a model: what it achieves, what it costs, and whether it is accepted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from picasso.audit.audit import Audit
from picasso.audit.dataset import Folder
from picasso.audit.reporting import performance
from picasso.evaluation import labeled_folder
from picasso.evaluation.labeled_folder import LabeledImage
from picasso.mending import advice, deep
from picasso.mending.candidate import Candidate, answered
from picasso.mending.counterfactuals import Alarm
from picasso.mending.measuring import changes, quality, rises
from picasso.mending.outcome import BeforeAfter, ClassAnswers, EffectChange, Mending, Quality, WorstGroup, price
from picasso.models.base import Model

# A model is mended if each effect is at most this share of what it was and not the whole way in reverse, new alarms are
# at most this share of the largest effect, the accuracy on held-out images with the shortcut of another class did not
# fall, and this accuracy and that on unchanged held-out images exceed chance by a margin.
REMAINDER, REVERSED, ABOVE_CHANCE = 0.5, -1.0, 0.10
CANNOT = "The model can't be mended by its last layer"


def judged(
    first: Audit,
    best: Candidate,
    known: Sequence[Alarm],
    fair: Sequence[LabeledImage],
    rounds: int,
    *,
    offer_all: bool = True,
) -> Mending:
    """Return what a candidate achieves, and whether it is accepted."""
    names = tuple(str(name) for name in first.model.class_names())
    same, held = best.same_effects(first.context, known), best.held_effects(first.context, known)
    effects, new = changes(first, best.audit, known, same, held), rises(first, best.audit, known)
    own = compared(first.model, best.audit.model, first.folder)
    kept = {target: np.flatnonzero(chosen) for target, chosen in best.held.items()}
    link = first.model.head().probabilities
    before = {target: answered(first.model, views[kept[target]]) for target, views in first.folder.views.items()}
    after = {target: some[kept[target]] for target, some in best.held_logits.items()}
    held_out = BeforeAfter(
        *(
            quality(first.folder, names, some, {one: link(part) for one, part in some.items()})
            for some in (before, after)
        )
    )
    why = failure(effects, [one.after for one in new if one.alarm], best.worst, held_out.after, best.deep)
    sentence = price(effects, new, own, held_out, names)
    left = [one for one in effects if not one.is_gone]
    rest = f"Less, but not gone: {named(left)}." if left and not why else ""
    return Mending(
        mended=not why,
        gone=not left,
        sentence=f"{sentence} {why or rest}".rstrip(),
        effects=effects,
        rises=new,
        own=own,
        held_out=held_out,
        worst=best.worst,
        fair=on_fair(first.model, best.audit.model, fair) if fair else None,
        rounds=rounds,
        deep=best.deep,
        advice=what_helps(first, known, mended=not why, offer_all=offer_all and bool(why or left)),
        class_names=names,
    )


def what_helps(first: Audit, known: Sequence[Alarm], *, mended: bool, offer_all: bool) -> str:
    """Return what else helps: to train all layers if this is to be offered, and what to do if nothing is mended."""
    found = [advice.all_layers(deep.seconds(first.model, first.folder))] if offer_all else []
    return "\n".join([*found, *([] if mended else [advice.text(first, known)])])


def named(effects: Sequence[EffectChange]) -> str:
    """Return the names of effects, each once."""
    return ", ".join(dict.fromkeys(one.intervention for one in effects))


def failure(
    effects: Sequence[EffectChange], new: Sequence[float], worst: WorstGroup, held_out: Quality, deep: bool
) -> str:
    """Return why a candidate is no mended model, or "".

    Args:
        effects: the effects that raised alarms.
        new: the sizes of effects that raise new alarms.
        worst: the accuracy of the groups of held-out images.
        held_out: the quality on unchanged held-out images.
        deep: whether the whole network was trained.
    """
    what = "The model can't be mended by training the whole network" if deep else CANNOT
    stays = [one for one in effects if one.remainder > REMAINDER * one.size_before]
    largest = max(one.size_before for one in effects)
    before, after = worst.changed_before, worst.changed_after
    right = f"of the held-out images with the shortcut of another class, {after:.0%} are right ({before:.0%} before)"
    # What a constant answer achieves.
    if after < 1 / len({target for one in effects for target in one.pair}) + ABOVE_CHANCE:
        return f"{what}: {right}, so the features hardly carry the object."
    balanced = float(np.mean([one.right / one.images for one in held_out.classes]))
    if balanced < 1 / len(held_out.classes) + ABOVE_CHANCE:
        return f"{what}: of the unchanged held-out images, only {balanced:.0%} are right."
    if after < before:
        return f"{what}: {right}."
    if stays:
        return f"{what}: more than half of the effect of {named(stays)} remains."
    if reversed_ := [one for one in effects if one.size_after <= REVERSED]:
        return f"{what}: the effect of {named(reversed_)} is reversed, so it is relied on still."
    if new and max(new) > REMAINDER * largest:
        return f"{what}: it relies on something else instead."
    return ""


def compared(old: Model, new: Model, folder: Folder) -> BeforeAfter:
    """Return the quality of two models on the same images."""
    return BeforeAfter(*(on_folder(model, folder) for model in (old, new)))


def on_folder(model: Model, folder: Folder) -> Quality:
    """Return the quality of a model on labelled images."""
    found = performance.probabilities(model, folder)
    probabilities = {target: np.asarray(some, np.float64) for target, some in found.items()}
    logits = {target: answered(model, views) for target, views in folder.views.items()}
    return quality(folder, [str(name) for name in model.class_names()], logits, probabilities)


def on_fair(old: Model, new: Model, images: Sequence[LabeledImage]) -> BeforeAfter:
    """Return the accuracy of two models on images that need not be suitable for an audit, and may be more."""
    both = []
    for model in (old, new):
        rows = labeled_folder.measure(model, images).classes
        both.append(Quality(tuple(ClassAnswers(row.name, row.images, row.right) for row in rows), None))
    return BeforeAfter(*both)
