"""The JSON documents of audits as types; see :mod:`picasso.web.api.schemas`.

The types of findings are defined elsewhere in Picasso.
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
    """The input of an estimate.

    Attributes:
        classes: folders, such as "images/tank", with their numbers of images; the innermost folder that is named
            after a class or its index determines the class.
        pairs: the maximum number of class pairs, the most suspicious first; 0 for all, default 10.
    """

    classes: dict[str, Number]
    pairs: NotRequired[Number]


class ClassOfFolders(TypedDict):
    """The images of one class.

    Attributes:
        folders: the folders named after it.
        images: the number of its images.
        taken: the number of images that an audit uses; 0 if there are too few.
    """

    name: str
    folders: list[str]
    images: int
    taken: Taken


class AuditEstimate(TypedDict):
    """The estimated cost of an audit.

    Attributes:
        sentence: the number of class pairs and of model predictions, as a sentence.
        seconds: the estimated time, or null if it is not known yet.
    """

    classes: list[ClassOfFolders]
    sentence: str
    seconds: float | None


class Begun(Done):
    """A new audit.

    Attributes:
        url: the URL of its state.
    """

    id: str
    url: Address


class StoredImages(TypedDict):
    """The outcome of an upload to an audit.

    Attributes:
        stored: the number of stored images.
        refused: one sentence for each image that was not stored.
    """

    stored: Annotated[int, Meta(ge=0)]
    refused: list[str]


class AuditRequest(TypedDict, total=False):
    """The options of an audit.

    Attributes:
        pairs: the maximum number of class pairs, the most suspicious first; 0 for all, default 10.
        seed: the random seed, default 0.
        budget: the time in seconds after which no new pair is started.
    """

    pairs: Number
    seed: Number
    budget: Annotated[float, Meta(gt=0, le=999_999_999)] | None


class AuditedClass(TypedDict):
    """A class and its number of images."""

    name: str
    images: Annotated[int, Meta(ge=1, le=MAX_IMAGES)]


class AuditDocument(TypedDict):
    """An audit, its state, and its findings so far.

    Attributes:
        cost: the estimated cost, or null until the images have been read.
        fraction: the progress of the current phase, reading or trying.
        seconds: the computing time so far.
        remaining: the estimated computing time left in seconds, or null if it is unknown.
        position: the number of runs and audits ahead of this one.
        done: the number of class pairs done.
        total: the total number of class pairs.
        pair: the two classes of the current pair, or none.
        trying: the current intervention.
        findings: the findings so far; all are judged together, so a finding may still disappear.
        verdict: null until the audit is complete.
        left_out: sentences on images that could not be used, and on classes with too few images.
        error: why it failed, or null.
        page: the page that shows the audit.
        report_url: the report, or null until the audit is finished.
        json_url: all findings as JSON.
        junit_url: the outcome as JUnit XML, for CI.
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
