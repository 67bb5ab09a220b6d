"""Retrain the last layer of a model, audit the copy, and repeat with the counterfactuals of new alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picasso.audit.audit import Audit
from picasso.audit.properties import Images
from picasso.mending.candidate import Candidate, Wrap, audited, verify
from picasso.mending.counterfactuals import Alarm
from picasso.mending.fitting import Choice, Fit, Numbers, Rows, Values, accuracies, best_fit
from picasso.mending.measuring import alarms_of, features_of
from picasso.mending.outcome import Progress, WorstGroup, part
from picasso.mending.training_rows import TrainingRows
from picasso.models.base import Model
from picasso.models.head import Head

# The shares of the progress of a round at which the images are changed, and the layer is fitted.
CHANGED, FITTED = 0.3, 0.6
# A later round is not always needed, so each takes this share of the remaining progress.
FIRST = 0.6
# A round is discarded if the accuracy of the worst group falls by more than this, or the mean by half of it.
LOSS = 0.02


@dataclass(frozen=True, eq=False)
class HeldOutAnswers:
    """The logits of images by heads that were fitted without them.

    Attributes:
        head: the head of the old model, which gives the features.
        model: the old model.
        fit: the heads.
        folds: the part of the folder of each image, by class.
    """

    head: Head
    model: Model
    fit: Fit
    folds: dict[int, Numbers]

    def __call__(self, views: Images, target: int) -> Values:
        """Return the logits ``(n, K)`` of all images of a class, which may be changed."""
        return self.fit.held_out(features_of(self.head, self.model, views), self.folds[target])


def candidates(
    first: Audit, head: Head, known: Sequence[Alarm], drafts: Path, rounds: int, progress: Progress, wrap: Wrap
) -> list[Candidate]:
    """Return the mended copies of all rounds.

    Args:
        first: the audit of the model.
        head: its head.
        known: the alarms.
        drafts: the folder for the copies.
        rounds: the largest number of rounds; there are fewer if no new alarm appears.
        progress: called with the completed fraction and what is being done.
        wrap: applied to each copy.
    """
    rows, found = TrainingRows(first.context, head), list[Candidate]()
    seen, new, context, fits = list(known), list(known), first.context, list[Fit]()
    for number in range(rounds):
        report = part(progress, 1 - (1 - FIRST) ** number, 1 - (1 - FIRST) ** (number + 1))
        before = rows.count
        rows.add(context, new, part(report, 0, CHANGED))
        # The penalty is chosen once.
        only = fits[0].choice if fits else None
        fits.append(fit_of(rows, head, only, part(report, CHANGED, FITTED)))
        if len(fits) > 1 and is_worse(rows.rows(), before, fits[-1], fits[-2]):
            break
        file = drafts / f"round-{number}.keras"
        found.append(candidate(first, head, rows, fits[-1], file, part(report, FITTED, 1), wrap))
        new = [one for one in alarms_of(found[-1].audit) if one not in seen]
        if not new:
            break
        seen, context = seen + new, found[-1].audit.context
    return found


def is_worse(rows: Rows, count: int, fit: Fit, previous: Fit) -> bool:
    """Tell whether a fit to more counterfactuals is worse on the held-out images of the fit before.

    The images of new alarms may have lost the object: a region at the edge may show a part of it. Then fitting to them
    makes the model worse everywhere.

    Args:
        rows: all rows.
        count: the number of rows of the fit before, which are the first.
        fit: the new fit.
        previous: the fit before.
    """
    features, folds = rows.features[:count], rows.folds[:count]
    targets, groups = rows.targets[:count], rows.groups[:count]
    new, old = (accuracies(one.held_out(features, folds).argmax(axis=1) == targets, groups) for one in (fit, previous))
    return bool(new.min() < old.min() - LOSS or new.mean() < old.mean() - LOSS / 2)


def fit_of(rows: TrainingRows, head: Head, only: Choice | None, progress: Progress) -> Fit:
    """Return the best fit to all rows, or that with a given penalty."""
    return best_fit(
        rows.rows(),
        head.weights,
        head.link,
        has_bias=head.has_bias,
        only=only,
        between=lambda fraction: progress(fraction, "fitting the last layer"),
    )


def candidate(
    first: Audit, head: Head, rows: TrainingRows, fit: Fit, file: Path, progress: Progress, wrap: Wrap
) -> Candidate:
    """Return a copy of the model with a fitted last layer."""
    head.write(fit.weights, file)
    model = wrap(head.reload(file))
    verify(model, head, fit.weights, first)
    answer = HeldOutAnswers(head, first.model, fit, rows.folds)
    views, every = first.folder.views, rows.rows()
    after = rows.accuracy(fit.held_out(every.features, every.folds))
    return Candidate(
        file=file,
        audit=audited(model, first, progress, "auditing the mended model"),
        held={target: np.ones(len(some), bool) for target, some in rows.folds.items()},
        held_logits={target: answer(views[target], target) for target in views},
        held_answer=answer,
        worst=WorstGroup.of(rows.accuracy(), after),
    )
