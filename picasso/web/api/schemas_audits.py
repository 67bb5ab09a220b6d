"""The JSON documents of audits as types; see :mod:`picasso.web.api.schemas`.

What is found is of the types that the rest of Picasso computes with.
"""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from msgspec import Meta

from picasso.audit.selection import MAX_IMAGES, MAX_PER_CLASS
from picasso.jobs.audit_documents import FindingDocument, StateName
from picasso.web.api.schemas import Done, ErrorDetail, Fraction, Number
from picasso.web.api.schemas_runs import Address

Taken = Annotated[int, Meta(ge=0, le=MAX_PER_CLASS)]


class Folders(TypedDict):
    """What an audit is to compare.

    Attributes:
        classes: folders, such as "images/tank", with how many images each has; the innermost one that is named
            after a class, or its index, counts.
        pairs: how many pairs of classes are looked at, the most finding first; 0 takes all, left out 10.
    """

    classes: dict[str, Number]
    pairs: NotRequired[Number]


class ClassOfFolders(TypedDict):
    """The images of one class.

    Attributes:
        folders: that are named after it.
        images: how many there are.
        taken: how many an audit takes of them; 0 where they are too few.
    """

    name: str
    folders: list[str]
    images: int
    taken: Taken


class AuditEstimate(TypedDict):
    """What an audit will cost.

    Attributes:
        sentence: how many pairs of classes it compares, and how often it asks the model.
        seconds: about how long that takes, or null while it is not known.
    """

    classes: list[ClassOfFolders]
    sentence: str
    seconds: float | None


class Begun(Done):
    """An audit that is there.

    Attributes:
        url: where to ask how it stands.
    """

    id: str
    url: Address


class StoredImages(TypedDict):
    """What became of images that were sent.

    Attributes:
        stored: how many were stored.
        refused: a sentence for each that was not.
    """

    stored: Annotated[int, Meta(ge=0)]
    refused: list[str]


class AuditRequest(TypedDict, total=False):
    """How an audit is to be done.

    Attributes:
        pairs: how many pairs of classes are looked at, the most finding first; 0 takes all, left out 10.
        seed: for whatever is drawn at random; left out, 0.
        budget: seconds after which no further pair is begun.
    """

    pairs: Number
    seed: Number
    budget: Annotated[float, Meta(gt=0, le=999_999_999)] | None


class AuditedClass(TypedDict):
    """A class and how many images there are of it."""

    name: str
    images: Annotated[int, Meta(ge=1, le=MAX_IMAGES)]


class AuditDocument(TypedDict):
    """An audit, how it stands, and what it found so far.

    Attributes:
        cost: what it costs, or null until the images were read.
        fraction: how much is done of what is being done, reading or trying.
        seconds: how long it has computed.
        remaining: about how many seconds of computing are left, or null where that can't be said.
        position: how many runs and audits are before this one.
        done: how many pairs of classes were looked at.
        total: how many will be.
        pair: the two classes that are being looked at, or none.
        trying: what is being changed.
        findings: so far; all are judged together, so one may still go.
        verdict: null until all was tried.
        left_out: sentences on images that could not be taken, and on classes with too few of them.
        error: why it failed, or null.
        page: the page that shows the audit.
        report_url: the report, or null until it is finished.
        json_url: everything as JSON.
        junit_url: the outcome for a build.
    """

    id: str
    state: StateName
    classes: list[AuditedClass]
    cost: str | None
    fraction: Fraction
    seconds: Annotated[float, Meta(ge=0)]
    remaining: float | None
    position: Annotated[int, Meta(ge=0)]
    done: Annotated[int, Meta(ge=0)]
    total: Annotated[int, Meta(ge=0)]
    pair: Annotated[list[str], Meta(max_length=2)]
    trying: str
    findings: list[FindingDocument]
    verdict: str | None
    left_out: list[str]
    error: ErrorDetail | None
    url: Address
    page: Address
    report_url: Address | None
    json_url: Address | None
    junit_url: Address | None


class Audits(TypedDict):
    """The audits of the session, the newest first."""

    audits: list[AuditDocument]
