"""The base classes of the documents that the REST API receives and sends, and the parts that several resources share.

Each document is a type beside the view that receives or sends it. The same type validates requests, serializes
responses, and becomes a schema of the OpenAPI description. The lines below ``Attributes:`` describe its fields.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_NUMBER = 999_999_999
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
# The number of an image as text, as in URLs.
NumberText = Annotated[str, Meta(pattern=r"^[0-9]{1,9}$", examples=["7"])]
# The number of an image; also as text, because forms and the original's pages send it so.
Uid = Number | NumberText
Address = Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]
# Flask passes the parts of a URL as text.
ImageNumber = Annotated[NumberText, Meta(description="The number of an image.")]
VisualizationName = Annotated[str, Meta(description="The name of a visualization.")]


class Request(Struct, forbid_unknown_fields=True):
    """A document that a client sends; fields with defaults are optional, and no others are accepted."""


class Document(Struct):
    """A document that the server sends; only fields that can be unset are ever omitted."""


class Done(Document):
    """Success."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": True})] = True


class DoneAsText(Document):
    """Success, in the format of the original."""

    ok: Literal["true"] = "true"


class Started(Done, kw_only=True):
    """A new or a queued run or audit.

    Attributes:
        url: the URL of its state.
    """

    id: str
    url: Address


class ErrorDetail(Document):
    """An error.

    Attributes:
        code: a short, stable name for programs.
        message: one or two sentences for users.
        field: the invalid parameter, if there is one.
    """

    code: str
    message: str
    field: str | UnsetType = UNSET


class Error(Document, kw_only=True):
    """The format of all errors."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": False})] = False
    error: ErrorDetail
