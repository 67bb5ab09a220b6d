"""The gallery: all images with their predictions, the accuracy, the confusion matrix, and filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from picasso.audit.selection import PAIRS, spread, taken
from picasso.errors import BadRequest, PicassoError
from picasso.explanation.guide import CLASSES
from picasso.explanation.registry import Entry
from picasso.jobs.run import StoredImage
from picasso.storage.session import Session
from picasso.targets import OutputTask
from picasso.targets.class_names import choices
from picasso.web.api.documents import MAX_NUMBER
from picasso.web.api.gallery import state_document
from picasso.web.context import find_session, in_time, need_session, services
from picasso.web.pages.run_view import task
from picasso.web.predicted import Labels, Row, labels, predictions
from picasso.web.selection import PAGE, SHOW, SORT, Selection, summary

blueprint = Blueprint("gallery", __name__)

# The number of images that "Where does it look in these?" explains, and that What if hides a region in.
MAX_EXPLAINED, MAX_HIDDEN = 24, 500
# The methods for it, the fastest first.
METHODS = ("GradCAM", "SaliencyMaps", "PartialOcclusion")
# The number of folders that are named as unknown.
MAX_UNKNOWN = 5


@dataclass(frozen=True)
class Gallery:
    """The images of a session, as a request asks for them.

    Attributes:
        selection: the state in the address or the form.
        images: all images.
        rows: their classes and predictions.
        shown: the images that are shown, in their order.
        known: the lookup of classes.
    """

    selection: Selection
    images: list[StoredImage]
    rows: Mapping[int, Row]
    shown: list[StoredImage]
    known: Labels

    @classmethod
    def of(cls, session: Session | None, fields: Mapping[str, str]) -> Gallery:
        """Return the gallery of a session.

        Raises:
            BadRequest: the state is invalid.
        """
        selection, images, known = Selection.of(fields), session.images() if session else [], labels()
        rows = predictions(session, images) if session else {}
        return cls(selection, images, rows, selection.chosen(images, rows, known.names), known)

    def unknown(self) -> list[tuple[str, int]]:
        """Return sentences on folders without a class, with their numbers of images, the most frequent first."""
        reasons = Counter(self.known.target(image.get("label", ""))[1] for image in self.images)
        del reasons[""]
        return reasons.most_common()


@blueprint.get("/gallery")
def show() -> str:
    """Show the images that the address selects; ``part=images`` returns one page of the list alone."""
    session = find_session()
    gallery = Gallery.of(session, request.args)
    pages = max(1, -(-len(gallery.shown) // PAGE))
    page = min(max(1, request.args.get("page", 1, type=int)), pages)
    context: dict[str, Any] = {
        "images": gallery.shown[PAGE * (page - 1) : PAGE * page],
        "rows": gallery.rows,
        "selection": gallery.selection,
        "page": page,
        "pages": pages,
        "first": PAGE * (page - 1) + 1,
        "shown": gallery.shown,
    }
    if request.args.get("part") == "images":
        return render_template("gallery_images.html", **context)
    found = summary(gallery.rows, gallery.known.names)
    return render_template(
        "gallery.html",
        **context,
        total=len(gallery.images),
        labelled=sum(row.target is not None for row in gallery.rows.values()),
        unknown=gallery.unknown()[:MAX_UNKNOWN],
        classified=bool(gallery.known.names),
        choices=choices(gallery.known.names),
        summary=found,
        job=state_document(session, found),
        missing=sum(not row.predicted and not row.error for row in gallery.rows.values()),
        method=method(),
        most=MAX_EXPLAINED,
        most_hidden=MAX_HIDDEN,
        SHOW=SHOW,
        orders=orders(bool(gallery.known.names), gallery.selection.sort),
    )


def orders(classified: bool, chosen: str) -> dict[str, str]:
    """Return the orders that the model's predictions have, with their words; and the one of the address.

    Only predictions of classes have one confidence that images can be ordered by.
    """
    fitting = {"upload": True, "least": OutputTask(task()) in CLASSES, "mistakes": classified}
    return {name: words for name, (words, _) in SORT.items() if fitting[name] or name == chosen}


@blueprint.post("/gallery")
def start() -> BaseResponse:
    """Predict the images that are not predicted yet, and show the gallery."""
    session = need_session()
    services().runner.start_predictions(session.need_predictions(), session.images)
    return redirect(back(), 303)


@blueprint.post("/gallery/cancel")
def cancel() -> BaseResponse:
    """Stop the predictions; those that were computed are kept."""
    if job := need_session().predictions():
        job.cancel()
    return redirect(back(), 303)


def back() -> str:
    """Return the address of the gallery in the state of the form."""
    return f"{url_for('gallery.show')}?{urlencode(Selection.of(request.form).query())}".rstrip("?")


@blueprint.post("/gallery/explain")
def explain() -> BaseResponse:
    """Start a run of the first images that are shown, and open it."""
    session, entry = need_session(), method()
    gallery = Gallery.of(session, request.form)
    if entry is None:
        raise BadRequest(f"None of {', '.join(METHODS)} can be used with this model.", field="visualization")
    if not gallery.shown:
        raise BadRequest("No images are shown, so there is nothing to explain. Change the filters.", field="images")
    session.check_room()
    # Of images of one class that are taken for another, both classes are explained.
    pair = dict.fromkeys((gallery.selection.predicted, gallery.selection.label))
    run = services().runner.start(
        session.runs_folder,
        entry.name,
        {},
        gallery.shown[:MAX_EXPLAINED],
        targets=[one for one in pair if one] if len(pair) == 2 and all(pair) else [],
        among=gallery.images,
    )
    return redirect(url_for("pages.show_runs", ids=run.id), 303)


@blueprint.post("/gallery/audit")
def audit() -> BaseResponse:
    """Start an audit of the labelled images, and open it."""
    session = need_session()
    gallery, model = Gallery.of(session, {}), services().model
    model.check_audits()
    by_target: dict[int, list[StoredImage]] = {}
    for image in gallery.images:
        target = gallery.rows[image["uid"]].target
        if target is not None:
            by_target.setdefault(target, []).append(image)
    chosen = taken({target: len(some) for target, some in by_target.items()}, gallery.known.names)
    made = session.new_audit(model.class_names())
    try:
        images = [(target, one) for target, some in by_target.items() for one in spread(some, chosen[target])]
        for target, image in in_time(images):
            session.copy_to_audit(made, target, image)
        services().runner.start_audit(made, pairs=PAIRS, seed=0, budget=MAX_NUMBER)
    except PicassoError:
        session.remove_audit(made)
        raise
    return redirect(url_for("audits.show_audit", audit_id=made.id), 303)


def selected_images(session: Session, fields: Mapping[str, str]) -> list[StoredImage]:
    """Return the images for What if: those that the state of the gallery in an address selects, at most 500."""
    return Gallery.of(session, fields).shown[:MAX_HIDDEN]


def method() -> Entry | None:
    """Return the fastest of the methods that can be used with the model, or None."""
    entries = {entry.name: entry for entry in services().registry.entries()}
    usable = (entries[name] for name in METHODS if name in entries)
    return next((entry for entry in usable if entry.cls and not services().model.unusable(entry)), None)
