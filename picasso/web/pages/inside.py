"""The page about the inside of the network: its layers, and the channels of one of them for an image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from flask import Blueprint, render_template, request

from picasso.errors import NotFound
from picasso.inside.contact_sheet import ORDERS
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
    report = services().runner.model_status().get("report")
    if report is None or Capability.FEATURE_MAPS in report["model"]["capabilities"]:
        return ""
    return "It needs feature maps, which this model does not provide."


@blueprint.get("/images/<uid>/inside")
def show(uid: str) -> str:
    """Show the layers of the model, and the channels of one of them for an image."""
    session = need_session()
    status = services().runner.model_status()
    layers = status["report"]["layers"] if status.get("report") else []
    names = services().runner.layers()
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
        maximizes=not services().runner.unusable(services().registry.get("ActivationMaximization")),
        reason=no_channels() or status.get("error", ""),
    )
