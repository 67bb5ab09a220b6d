"""Views of the whole folder that illustrate an audit: where the model looks, in which ways, and at which images.

They raise no alarm: a map shows where a model looks, not what it sees there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from picasso.audit.audit import Audit
from picasso.audit.reporting.clustering import clusters
from picasso.audit.reporting.evidence import Evidence, Flip, exhibit, flips
from picasso.audit.reporting.mean_attention import MeanAttention, mean_attention
from picasso.audit.reporting.near_duplicates import NearDuplicate, twins


@dataclass(frozen=True)
class Cluster:
    """Images of one class in which a model looks in about the same way.

    Attributes:
        members: their numbers, the most typical first, ``(n,)``.
        attention: where it looks in them.
    """

    members: NDArray[np.intp]
    attention: MeanAttention


@dataclass(frozen=True)
class Views:
    """What is seen of a folder.

    Attributes:
        exhibits: the evidence for each finding, in the order of the verdict.
        attention: by class, where the model looks for it.
        clusters: by class, the ways in which it looks, the most common first.
        flips: the images that findings with an alarm flip, those that are flipped by most of them first.
        twins: the images that look the same and are in two classes.
    """

    exhibits: tuple[Evidence, ...]
    attention: dict[int, MeanAttention]
    clusters: dict[int, list[Cluster]]
    flips: tuple[Flip, ...]
    twins: tuple[NearDuplicate, ...]


def look(audit: Audit) -> Views:
    """Return the views of an audit; the same whenever it is asked for.

    Maps are made of the classes of the pairs that were looked at only.
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
    # What is only told may well be the thing, which an image should change its class with.
    easily = flips([one for one in exhibits if one.finding.alarm])
    return Views(exhibits, attention, groups, tuple(easily), tuple(twins(audit.folder.views)))


def looked_at(audit: Audit) -> Sequence[int]:
    """Return the numbers of the classes of all pairs that were looked at."""
    return sorted({target for pair in audit.trials for target in pair})
