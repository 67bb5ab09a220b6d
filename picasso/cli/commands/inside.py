"""The command ``picasso inside``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picasso import fileio
from picasso.cli.options import JSON, SEED, configured, loading_in_time, progress_bar
from picasso.errors import BadRequest

if TYPE_CHECKING:
    from picasso.config import Settings
    from picasso.inside.card import ChannelCard
    from picasso.inside.concept_card import Concepts
    from picasso.inside.effects import ChannelEffects

# The number of channels that are printed.
SHOWN = 10


@click.command()
@click.option("--layer", help="Layer with feature maps; default: the last one before the head.")
@click.option("--channel", type=click.IntRange(0), help="Index of the channel, from 0; without it, all are compared.")
@click.option(
    "--concepts", type=click.IntRange(1, 10), help="Number of concepts to find, instead of looking at channels."
)
@click.option("--class", "target", help="Name or index of a class whose concepts to find; default: all images.")
@click.option("--audit", type=Path, help="audit.json of an audit, to say which concept each finding is about.")
@click.option("--folder", type=Path, required=True, help="Folder of images to look at.")
@click.option("--scale", type=float, help="Factor of the channel; default: 0, which switches it off.")
@click.option("--value", type=float, help="Value of the channel everywhere, instead of a factor.")
@click.option(
    "--steps",
    type=click.IntRange(0),
    default=64,
    show_default=True,
    help="Number of steps of the search for the preferred input; 0 for none.",
)
@SEED
@click.option(
    "--out",
    type=Path,
    help="Output folder of --channel and --concepts; default: picasso-card or picasso-concepts.",
)
@JSON
@configured
def inside(
    settings: Settings,
    layer: str | None,
    channel: int | None,
    concepts: int | None,
    target: str | None,
    audit: Path | None,
    folder: Path,
    scale: float | None,
    value: float | None,
    steps: int,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show what the channels of a layer respond to, and what happens without them.

    Compares by how much the predictions for the images of FOLDER change without each channel. With --channel, finds
    the images in which it is largest, and counts the predictions that change. With --concepts, finds directions of
    the channels that explain the feature maps, and measures how much the predictions depend on each.
    """
    from picasso import models
    from picasso.inside.channel import channel_card
    from picasso.inside.concepts import concepts as find_concepts
    from picasso.inside.effects import channel_effects

    if concepts and not (channel is None and scale is None and value is None):
        raise BadRequest("--concepts can't be combined with --channel, --scale or --value.")
    if not concepts and (target is not None or audit is not None):
        raise BadRequest("--class and --audit are about concepts; add --concepts with their number, such as 5.")
    if channel is None and not concepts and out is not None:
        raise BadRequest(
            "The effects of all channels are only printed; leave --out out, or give --channel or --concepts."
        )
    out = out or Path("picasso-concepts" if concepts else "picasso-card")
    # Before the work, which would be lost if there were no place for its result.
    place = None if channel is None and not concepts else fileio.free_path(out.parent, out.name)
    with loading_in_time():
        model = models.load_configured(settings)
    found: ChannelCard | ChannelEffects | Concepts
    with progress_bar("looking") as progress:
        if place is None:
            found = channel_effects(model, layer, folder, scale=scale, value=value, progress=progress)
            lines = found.lines(SHOWN)
        elif channel is None:
            found = find_concepts(
                model, layer, folder, target=target, count=concepts or 0, audit=audit, seed=seed, progress=progress
            )
            found.save(place)
            lines = [*found.sentences(), f"-> {place}"]
        else:
            found = channel_card(
                model, layer, channel, folder, scale=scale, value=value, steps=steps, seed=seed, progress=progress
            )
            found.save(place)
            lines = [*found.sentences(), f"-> {place}"]
    click.echo(json.dumps(found.as_dict(), indent=1) if as_json else "\n".join(lines))
    for message in found.unreadable:
        click.secho(f"picasso: {message}", fg="red", err=True)
    if found.unreadable:
        sys.exit(2)
