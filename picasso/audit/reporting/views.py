"""Views of the whole folder that illustrate an audit: attention, clusters, flips and near-duplicates.

They raise no alarm: an attribution map shows where a model looks, not what it detects there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.audit.audit import Audit
from picasso.audit.reporting.clustering import clusters
from picasso.audit.reporting.evidence import Evidence, Flip, closest, exhibit, flips
from picasso.audit.reporting.mean_attention import MeanAttention, mean_attention
from picasso.audit.reporting.near_duplicates import NearDuplicate, near_duplicates


@dataclass(frozen=True)
class Cluster:
    """Images of one class with similar attribution maps.

    Attributes:
        members: their indices, the most typical first, ``(n,)``.
        attention: their average attention.
    """

    members: NDArray[np.intp]
    attention: MeanAttention


@dataclass(frozen=True)
class Views:
    """The views of a folder.

    Attributes:
        exhibits: the evidence for each finding, in the order of the verdict.
        attention: the average attention by class.
        clusters: the clusters of attribution maps by class, the largest first.
        flips: the images that findings with an alarm flip, sorted by the number of findings that flip them.
        near_duplicates: near-duplicates in different classes.
        closest: the evidence for the largest effect, if there is no alarm.
    """

    exhibits: tuple[Evidence, ...]
    attention: dict[int, MeanAttention]
    clusters: dict[int, list[Cluster]]
    flips: tuple[Flip, ...]
    near_duplicates: tuple[NearDuplicate, ...]
    closest: Evidence | None


def compute_views(audit: Audit) -> Views:
    """Return the views of an audit; the result is deterministic.

    Maps are computed only for classes in pairs that were compared.
    """
    context = audit.context
    attention: dict[int, MeanAttention] = {}
    groups: dict[int, list[Cluster]] = {}
    for target in looked_at(audit):
        maps = context.attention(target)
        attention[target] = mean_attention(maps)
        groups[target] = [Cluster(members, mean_attention(maps[members])) for members in clusters(maps)]
    findings = audit.verdict.findings
    exhibits = tuple(exhibit(context, one, findings[0]) for one in findings)
    # An informational finding may be the object itself, with which an image should change class.
    easily = flips([one for one in exhibits if one.finding.alarm])
    nearest = None if audit.verdict.alarms else closest(context, audit.trials)
    return Views(exhibits, attention, groups, tuple(easily), tuple(near_duplicates(audit.folder.views)), nearest)


def looked_at(audit: Audit) -> Sequence[int]:
    """Return the indices of the classes of all pairs that were compared."""
    return sorted({target for pair in audit.trials for target in pair})
