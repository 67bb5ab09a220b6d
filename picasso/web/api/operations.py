"""The parameters and responses of the REST API's views: one entry per endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from picasso.web.api import schemas, schemas_audits, schemas_questions, schemas_runs

TAGS = {
    "The application": "The server and its model.",
    "Images": "The uploaded images and their order.",
    "Visualizations": "The available visualizations and their settings.",
    "Runs": "One visualization of some images: start it, query its state, download the results.",
    "Audits": "What the model relies on: create an audit, send labelled images, start it, query its state.",
    "Questions": "Answered immediately, even during a long run.",
    "The original's calls": "As version 0.2.0 of the original Picasso had them.",
}
APPLICATION, IMAGES, VISUALIZATIONS, RUNS, AUDITS, QUESTIONS, CLASSIC = TAGS

SETTINGS = {
    "name": "settings",
    "in": "query",
    "description": "The settings of the visualization, one parameter each; omitted ones have their defaults.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "style": "form",
    "explode": True,
    "example": {"Window": "0.30", "Strides": "10"},
}
NUMBER: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
# The parameters in URLs; operations define the meaning of ``name``, which differs between them.
IN_ADDRESSES: dict[str, dict[str, Any]] = {
    "uid": {"description": "The number of an image.", "schema": NUMBER},
    "run_id": {"description": "The id of a run.", "schema": {"type": "string"}},
    "audit_id": {"description": "The id of an audit.", "schema": {"type": "string"}},
    "ids": {"description": "The ids of one to six runs, separated by commas.", "schema": {"type": "string"}},
    "place": {"description": "The position of the result in its run.", "schema": {"type": "string"}},
    "panel": {"description": "The position of the panel in its result.", "schema": NUMBER},
    "name": {"schema": {"type": "string"}},
}


@dataclass(frozen=True)
class Operation:
    """The parameters and the response of one view.

    Attributes:
        tag: one of :data:`TAGS`.
        answer: the type of the JSON document in the response, or the media types of the file.
        says: a description of the response, if its type has none.
        status: the status code of the successful response.
        headers: the headers of the response, with descriptions.
        body: the type of the JSON document in the request.
        example: an example of such a document.
        uploads: the multipart field for files, or "".
        texts: the other multipart fields, with descriptions.
        query: the query parameters.
        name: the meaning of ``name`` in the URL.
        session: "needed" if a session is required, "used" if it is optional, "" if it is not used.
        errors: the status codes of further errors.
        partial: whether range requests and conditional requests are supported.
    """

    tag: str
    answer: type | tuple[str, ...]
    says: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: type | None = None
    example: Any = None
    uploads: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    query: tuple[dict[str, Any], ...] = ()
    name: str = ""
    session: str = ""
    errors: tuple[int, ...] = ()
    partial: bool = False


def parameter(name: str, schema: dict[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    """Return the description of a query parameter."""
    return {"name": name, "in": "query", "description": description, "schema": schema, "required": required}


VISUALIZATION = "The name of a visualization."
PNG = ("image/png",)
OPERATIONS = {
    "api.root": Operation(APPLICATION, schemas.Hello),
    "api.app_state": Operation(APPLICATION, schemas.AppState),
    "api.show_model": Operation(APPLICATION, schemas.ModelReport, errors=(503,)),
    "openapi.show_description": Operation(APPLICATION, dict, "This description, an OpenAPI document."),
    "openapi.show_docs": Operation(APPLICATION, ("text/html",), "An HTML page."),
    "api_images.add_image": Operation(
        IMAGES,
        schemas.Uploaded,
        headers={"Set-Cookie": "The id of the session, if this upload started it."},
        uploads="file",
        session="used",
        errors=(429, 507),
    ),
    "api_images.list_images": Operation(IMAGES, schemas.Images, session="used"),
    "api_images.delete_image": Operation(IMAGES, schemas.DoneAsText, session="needed"),
    "api_images.arrange_images": Operation(
        IMAGES, schemas.Images, body=schemas.Order, example={"images": [2, 0, 1]}, session="needed", errors=(507,)
    ),
    "files.api_image": Operation(
        IMAGES, PNG, "The image.", name="The file name of an image.", session="needed", partial=True
    ),
    "api.list_visualizers": Operation(VISUALIZATIONS, schemas.Visualizations),
    "api.show_visualizer": Operation(VISUALIZATIONS, schemas.VisualizationInFull, name=VISUALIZATION),
    "api_questions.estimate": Operation(
        VISUALIZATIONS, schemas_questions.Estimate, query=(SETTINGS,), name=VISUALIZATION, errors=(500, 503)
    ),
    "api_runs.start_run": Operation(
        RUNS,
        schemas_runs.Started,
        status=202,
        headers={"Location": "The address of the run."},
        body=schemas_runs.RunRequest,
        example={"visualization": "SaliencyMaps", "settings": {"Transparency": 0.5}, "images": [0], "classes": [1]},
        session="needed",
        errors=(413, 503, 507),
    ),
    "api_runs.list_runs": Operation(RUNS, schemas_runs.Runs, session="used"),
    "api_runs.show_run": Operation(
        RUNS,
        schemas_runs.RunDocument,
        query=(parameter("results", {"type": "boolean", "default": True}, "false omits them, for polling."),),
        session="needed",
    ),
    "api_runs.delete_run": Operation(RUNS, schemas.Done, session="needed"),
    "api_runs.cancel_run": Operation(RUNS, schemas.Done, session="needed"),
    "api_runs.show_values": Operation(
        RUNS, ("application/octet-stream",), "The values, four bytes each.", session="needed"
    ),
    "files.api_output": Operation(
        RUNS,
        ("image/png", "application/octet-stream", "application/json"),
        "A panel or a legend as PNG, the arrays as a NumPy file, or the result as JSON.",
        name="The file name of an output.",
        session="needed",
        partial=True,
    ),
    "keeping.results_zip": Operation(
        RUNS, ("application/zip",), "The archive.", session="needed", errors=(507,), partial=True
    ),
    "keeping.results_csv": Operation(RUNS, ("text/csv",), "The table.", session="needed"),
    "keeping.report": Operation(RUNS, ("text/html",), "The report.", session="needed"),
    "api_audits.estimate_audit": Operation(
        AUDITS,
        schemas_audits.AuditEstimate,
        body=schemas_audits.Folders,
        example={"classes": {"images/tank": 60, "images/no tank": 60}, "pairs": 10},
        errors=(500, 503),
    ),
    "api_audits.create_audit": Operation(
        AUDITS,
        schemas_audits.Begun,
        headers={"Set-Cookie": "The id of the session, if this started it."},
        session="used",
        errors=(413, 429, 503, 507),
    ),
    "api_audits.list_audits": Operation(AUDITS, schemas_audits.Audits, session="used"),
    "api_audits.show_audit": Operation(AUDITS, schemas_audits.AuditDocument, session="needed"),
    "api_audits.delete_audit": Operation(AUDITS, schemas.Done, session="needed"),
    "api_audits.add_audit_images": Operation(
        AUDITS,
        schemas_audits.StoredImages,
        uploads="file",
        texts={"class": "The name or index of their class, or a folder named after it."},
        session="needed",
        errors=(507,),
    ),
    "api_audits.start_audit": Operation(
        AUDITS,
        schemas_audits.Begun,
        status=202,
        headers={"Location": "The address of the audit."},
        body=schemas_audits.AuditRequest,
        example={"pairs": 10, "seed": 0, "budget": 300},
        session="needed",
        errors=(503,),
    ),
    "api_audits.cancel_audit": Operation(AUDITS, schemas.Done, session="needed"),
    "api_audits.audit_report": Operation(AUDITS, ("text/html",), "The report.", session="needed", partial=True),
    "api_audits.audit_json": Operation(AUDITS, ("application/json",), "All findings.", session="needed", partial=True),
    "api_audits.audit_junit": Operation(
        AUDITS, ("application/xml",), "The outcome, as JUnit XML.", session="needed", partial=True
    ),
    "api_questions.what_if": Operation(
        QUESTIONS,
        schemas_questions.WhatIfAnswers,
        body=schemas_questions.WhatIfRequest,
        example={"shapes": [{"box": [0.4, 0.1, 0.9, 0.5]}], "fill": "blur", "images": [0]},
        session="needed",
        errors=(500, 503),
    ),
    "api.visualize": Operation(
        CLASSIC,
        schemas_runs.Visualized,
        query=(
            parameter("image", NUMBER, "The number of an image.", required=True),
            parameter("visualizer", {"type": "string"}, VISUALIZATION, required=True),
            SETTINGS,
        ),
        session="needed",
        errors=(413, 500, 503, 507),
    ),
    "api.reset": Operation(CLASSIC, schemas.DoneAsText, session="used"),
}
