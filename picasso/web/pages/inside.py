"""The page about the inside of the network: its layers, and the channels of one of them for an image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from picasso.errors import ConfigurationError, NotFound
from picasso.inside.concepts import COUNT, MAX_COUNT
from picasso.inside.contact_sheet import ORDERS
from picasso.inside.factors import require_package
from picasso.jobs.audit_job import Audit
from picasso.jobs.concept_search import ConceptSearch
from picasso.models.info import Capability
from picasso.targets.class_names import choices
from picasso.web.context import need_session, services
from picasso.web.pages.run_view import class_names
from picasso.web.predicted import model_identity

blueprint = Blueprint("inside", __name__)

# The maximum number of images that are searched for exemplars.
MAX_SEARCHED = 200


class Stage(NamedTuple):
    """Consecutive layers whose feature maps have the same size.

    Attributes:
        size: height and width of the feature maps.
        layers: the layers, as :func:`dataclasses.asdict` returns :class:`picasso.models.info.Layer`.
    """

    size: tuple[int, int]
    layers: list[dict[str, Any]]


def stages(layers: Sequence[dict[str, Any]]) -> list[Stage]:
    """Return the layers in their order, those with feature maps of the same size together."""
    return [Stage(size, list(same)) for size, same in groupby(layers, lambda one: tuple(one["shape"][:2]))]


def no_channels() -> str:
    """Return why the channels of the model can't be looked at, or "" if they can, or if that is not known yet."""
    report = services().model.status().get("report")
    if report is None or Capability.FEATURE_MAPS in report["model"]["capabilities"]:
        return ""
    return "It needs feature maps, which this model does not provide."


@blueprint.get("/images/<uid>/inside")
def show(uid: str) -> str:
    """Show the layers of the model, and the channels of one of them for an image."""
    session = need_session()
    status = services().model.status()
    layers = status["report"]["layers"] if status.get("report") else []
    names = services().model.layers()
    layer = request.args.get("layer") or (names[0] if names else "")
    order = request.args.get("order", "")
    if names and layer not in names:
        raise NotFound(f"The model has no layer {layer[:60]!r} with feature maps. Choose one from the list.")
    return render_template(
        "inside.html",
        image=session.image(uid),
        images=session.images()[:MAX_SEARCHED],
        stages=stages(layers),
        input_shape=status["report"]["model"]["input_shape"] if layers else [],
        layer=layer,
        named=session.channel_names(model_identity()) if layers else {},
        orders=ORDERS,
        # A region is not in the address.
        order=order if order in ORDERS and order != "region" else "",
        target=request.args.get("target", ""),
        channel=request.args.get("channel", ""),
        choices=choices(list(class_names().values())),
        maximizes=not services().model.unusable(services().registry.get("ActivationMaximization")),
        reason=no_channels() or status.get("error", ""),
        count=len(session.images()),
        concepts=COUNT,
        max_concepts=MAX_COUNT,
        no_concepts=no_concepts(),
        audits={audit.id: found for audit in session.audits() if (found := finding_of(audit))},
    )


def no_concepts() -> str:
    """Return why this server can't search for concepts, or "" if it can."""
    try:
        require_package()
    except ConfigurationError as error:
        return error.message
    return ""


def finding_of(audit: Audit) -> str:
    """Return the verdict of a finished audit that has findings which a concept may be about, or ""."""
    found = audit.findings()
    told = any(one["tier"] != "informative" for one in found["findings"])
    return str(found["verdict"] or "") if told and audit.state() == "finished" else ""


@blueprint.post("/concepts/<search_id>/cancel")
def cancel_search(search_id: str) -> Response:
    """Stop a search for concepts."""
    search = need_session().search(search_id)
    search.cancel()
    return redirect(page_of(search), 303)


def page_of(search: ConceptSearch) -> str:
    """Return the address of the page on which a search for concepts was started."""
    order = search.order()
    return url_for("inside.show", uid=order.images[0]["uid"], layer=order.layer, _anchor="concepts")
