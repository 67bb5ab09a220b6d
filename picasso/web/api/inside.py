"""The REST API: the channels of a layer, answered between two chunks of the current computation."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint
from msgspec import UNSET, Meta, UnsetType, convert

from picasso.errors import BadRequest, ModelError
from picasso.inside.contact_sheet import ORDERS
from picasso.web.api.documents import Document, Done, Fraction, Number, Request, Uid
from picasso.web.api.operations import CHANNELS, operation
from picasso.web.api.questions import MAX_IMAGES, MAX_TARGETS, ChangedPrediction, about_targets, answered
from picasso.web.context import need_session, services
from picasso.web.predicted import model_identity

blueprint = Blueprint("api_inside", __name__, url_prefix="/api")

# The maximum number of channels in one answer.
MAX_CHANNELS = 128
MAX_CHANNEL_NAME = 60
LayerName = Annotated[str, Meta(max_length=300)]
ChannelIndex = Annotated[int, Meta(ge=0, le=1_000_000)]
# What a float32 can hold.
ChannelNumber = Annotated[float, Meta(ge=-3.4e38, le=3.4e38)]


class ChannelsRequest(Request):
    """The image, the layer, and the channels of interest.

    Attributes:
        image: the number of the image.
        layer: the name of the layer; default: the last one before the head.
        target: what the relevances are about, as for a run; default: what the model predicts.
        order: which channels come first: those that speak most for the target, those that speak most against it, those
            with the largest mean, or those that respond to a region.
        region: left, top, right and bottom of the region, in fractions of the image's sides.
        only: the channels to return instead.
        start: the position of the first channel to return, from 0.
        count: the number of channels to return.
    """

    image: Uid
    layer: LayerName | None = None
    target: str | int | None = None
    order: Annotated[str, Meta(extra_json_schema={"enum": list(ORDERS)})] = "relevance"
    region: tuple[Fraction, Fraction, Fraction, Fraction] | None = None
    only: Annotated[list[ChannelIndex], Meta(max_length=MAX_CHANNELS)] | None = None
    start: Number = 0
    count: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] = 32


class TargetName(Document):
    """A target.

    Attributes:
        text: how to write it in a request.
        name: what it is called in results.
    """

    text: str
    name: str


class Channel(Document):
    """A channel for one image.

    Attributes:
        channel: its index.
        name: the name that it was given in this session, or "".
        activation: its mean value.
        relevance: the sum over all cells of its value times the gradient of the score of the target; null without a
            target.
        low: the value at the weak end of the colours.
        high: the value at the strong end.
        map: its colours over the whole image as the model sees it, as a data URL.
    """

    channel: int
    name: str
    activation: float
    relevance: float | None
    low: float
    high: float
    map: str


class Channels(Document):
    """The channels of a layer for one image.

    Attributes:
        layer: the name of the layer.
        shape: height, width and number of channels of its feature maps.
        receptive_field: height and width in pixels of the part of the image that one value depends on; null for the
            whole image or if it is not known.
        note: where the maps lie, if they do not cover the image; or "".
        target: what the relevances are about; null if the model predicts nothing.
        view: the image as the model sees it, as a data URL.
        grey: the same as it is drawn below maps.
        total: the number of channels.
        channels: the channels in the requested order.
    """

    layer: str
    shape: tuple[int, int, int]
    receptive_field: tuple[int, int] | None
    note: str
    target: TargetName | None
    view: str
    grey: str
    total: int
    channels: list[Channel]


class ChannelRequest(Request):
    """A channel, how it is changed, and the images.

    Attributes:
        channel: its index.
        layer: the name of its layer; default: the last one before the head.
        scale: what its values are multiplied by; 0 switches it off.
        value: the value that it is set to, instead.
        images: the numbers of the images; default: all of the session.
        targets: what else to ask about, as for a run.
        crops: true to return the exemplars as images.
    """

    channel: ChannelIndex
    layer: LayerName | None = None
    scale: ChannelNumber | None = None
    value: ChannelNumber | None = None
    images: Annotated[list[Uid], Meta(max_length=MAX_IMAGES)] | None = None
    targets: Annotated[list[str | int], Meta(max_length=MAX_TARGETS)] = []
    crops: bool = False


class Strongest(Document):
    """Where in an image a channel is largest.

    Attributes:
        value: the value there.
        box: left, top, right and bottom of its receptive field, in pixels of the image as the model sees it.
        crop: this part as a data URL, dimmed where the channel has less than half of this value, if requested.
    """

    value: float
    box: tuple[int, int, int, int]
    crop: str | UnsetType = UNSET


class ChannelAnswer(ChangedPrediction):
    """A channel in one image, and the predictions before and after its change.

    Attributes:
        uid: the number of the image.
        name: its name.
        mean: the mean value of the channel.
        shift: the change of the score of the predicted class; for other models, the mean absolute change of all scores.
        activation: where the channel is largest; null if it is 0 or less everywhere.
        relevance: where the channel times the gradient of the score of the predicted class is largest; null if it is
            0 or less everywhere, or if the model is no classifier.
        share: for a segmentation, the share of the pixels that change their class.
    """

    mean: float
    shift: float
    activation: Strongest | None
    relevance: Strongest | None
    share: float | UnsetType = UNSET


class ChannelAnswers(Document):
    """One answer for each image."""

    answers: list[ChannelAnswer]


class ChannelName(Request):
    """The name of a channel.

    Attributes:
        channel: its index.
        name: the name; "" removes it.
        layer: the name of its layer; default: the last one before the head.
    """

    channel: ChannelIndex
    name: Annotated[str, Meta(max_length=MAX_CHANNEL_NAME)]
    layer: LayerName | None = None


@blueprint.post("/channels")
@operation(CHANNELS, session="needed", errors=(500, 503), example='{"image": 0, "order": "activation", "count": 3}')
def list_channels(body: ChannelsRequest) -> Channels:
    """Return the channels of a layer for an image, in the requested order, with their feature maps."""
    if body.order not in ORDERS:
        raise BadRequest(f"The order must be one of {', '.join(ORDERS)}, not {body.order[:40]!r}.", field="order")
    session, runner = need_session(), services().runner
    check_layer(body.layer)
    image = session.image(body.image)
    asked = {"layer": body.layer, "order": body.order, "region": body.region, "only": body.only}
    about = {"path": image["path"], **about_targets(session, [] if body.target in (None, "") else [body.target])}
    found = runner.ask({"kind": "channels", "start": body.start, "count": body.count, **asked, **about})
    names = session.channel_names(model_identity()).get(found["layer"], {})
    for one in found["channels"]:
        one["name"] = names.get(one["channel"], "")
    return convert(found, Channels)


@blueprint.post("/channel")
@operation(CHANNELS, session="needed", errors=(500, 503), example='{"channel": 3, "scale": 0, "images": [0]}')
def show_channel(body: ChannelRequest) -> ChannelAnswers:
    """Return what a channel responds to in images, and the predictions before and after it is changed."""
    if (body.scale is None) == (body.value is None):
        raise BadRequest("Give either scale, which multiplies the channel, or value, which replaces it.", field="scale")
    check_layer(body.layer, body.channel)
    question = {"kind": "channel", "layer": body.layer, "channel": body.channel, "crops": body.crops}
    changed = {"scale": body.scale, "value": body.value}
    return convert(answered(need_session(), {**question, **changed}, body.images, body.targets), ChannelAnswers)


@blueprint.put("/channel/name")
@operation(CHANNELS, session="needed", example='{"channel": 3, "name": "stripes"}', errors=(500, 503, 507))
def name_channel(body: ChannelName) -> Done:
    """Name a channel in this session."""
    check_layer(body.layer, body.channel)
    model, layers = model_identity(), services().model.layers()
    if not layers:
        raise ModelError("The model has no feature maps, so it has no channels to name.")
    need_session().name_channel(model, body.layer or layers[0], body.channel, body.name)
    return Done()


def check_layer(name: str | None, channel: int = 0) -> None:
    """Raise BadRequest if the model has feature maps, but no such layer or channel; while it loads, nothing is known.

    Args:
        name: the name of the layer; None for the default.
        channel: the index of the channel.
    """
    model = services().model
    if name is not None:
        model.check_layer(name, "layer")
    known = (model.status().get("report") or {"layers": []})["layers"]
    layer = next((one for one in known if (one["default"] if name is None else one["name"] == name)), None)
    if layer and channel >= (count := layer["shape"][2]):
        raise BadRequest(
            f"Layer {layer['name']} has {count} channels, from 0 to {count - 1}, and none {channel}.", field="channel"
        )
