"""The steps of a network, as far as it matters which part of an image changed; no framework is needed to plan them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    """What a step does with feature maps of which a rectangle changed."""

    #: Slides a window over them: a convolution or a pooling. A rectangle grows by the window's reach.
    WINDOW = auto()
    #: Works on each place by itself. The rectangle stays.
    POINTWISE = auto()
    #: Joins several maps place by place. The rectangle becomes the one around those of all inputs.
    JOIN = auto()
    #: Adds rows and columns around them. The rectangle moves.
    PAD = auto()
    #: Averages over all places. What changed is added to the average of the clean map.
    MEAN = auto()
    #: Asks for the shape of its input, of which only the number of images is not known.
    COUNT = auto()
    #: Anything else needs whole inputs and gives a whole output.
    WHOLE = auto()


@dataclass(frozen=True)
class Slide:
    """How a window slides along one axis.

    Attributes:
        reach: how many values it spans, the gaps of dilated ones included.
        stride: the step from one position to the next.
        before: how many values of padding lie before the first one.
    """

    reach: int
    stride: int
    before: int


#: A window of one value, which changes nothing about places.
BY_PLACE = (Slide(1, 1, 0), Slide(1, 1, 0))


@dataclass
class Step:
    """One operation of the network, or a convolution with the affine operations behind it.

    Attributes:
        kind: what it does with rectangles.
        output: the name of the tensor that it gives.
        inputs: the names of those of its inputs that depend on the image.
        shape: of one output, without the batch.
        run: called with the inputs as tensors, and with ``valid=True`` where a window must not be padded.
        slides: along rows and columns, for windows.
        shift: by how many rows and columns padding moves a rectangle.
        macs: multiply-adds for one place of the output of a convolution.
        count: counts the multiply-adds of any other operation, from the shapes of its inputs and its output.
        thin: whether a convolution sums over few channels, which takes longer for each multiply-add.
        behind: how many affine operations a convolution took in.
        outside: the value of padding: 0, or the smallest there is for a maximum.
        partial: whether an average leaves padding out of its count.
        kernel: the filter and the bias of a convolution that is computed by tiles.
        tile: the side of these tiles, or 0.
        keeps: whether a mean keeps its two axes.
    """

    kind: Kind
    output: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    run: Callable[..., Any]
    slides: tuple[Slide, Slide] | None = None
    shift: tuple[int, int] = (0, 0)
    macs: int = 0
    count: Callable[..., int] | None = None
    thin: bool = False
    behind: int = 0
    outside: float = 0.0
    partial: bool = False
    kernel: tuple[Any, Any] = (None, None)
    tile: int = 0
    keeps: bool = False


class Network:
    """A network as a row of steps, each behind those it depends on.

    Args:
        steps: first to last.
        source: the name of the input.
        target: the name of the output.
        shapes: of all tensors, without the batch.
        types: the names of all tensors' number types, as NumPy calls them.

    Attributes:
        places: the tensors that are held as rectangles, each with the one whose rectangles are the same: the first
            of them. What lies behind a step of kind WHOLE is held whole.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        source: str,
        target: str,
        shapes: Mapping[str, tuple[int, ...]],
        types: Mapping[str, str],
    ) -> None:
        self.steps, self.source, self.target, self.shapes, self.types = steps, source, target, shapes, types
        self.places = {source: source}
        for step in steps:
            inputs = [self.places.get(name) for name in step.inputs]
            if None in inputs or step.kind in (Kind.WHOLE, Kind.MEAN, Kind.COUNT):
                continue
            stays = len(set(inputs)) == 1 and (step.slides == BY_PLACE or step.kind in (Kind.POINTWISE, Kind.JOIN))
            self.places[step.output] = str(inputs[0]) if stays else step.output

    @property
    def neck(self) -> int:
        """Return how many steps come before the head: before it, all that leads on is one vector for each window."""
        index = {step.output: index for index, step in enumerate(self.steps)}
        found = earliest = len(self.steps)
        # From the end, with the first step whose output one of those behind takes.
        for step in reversed(self.steps):
            if len(step.shape) == 1 and step.shape[0] and earliest >= index[step.output]:
                found = index[step.output] + 1
            earliest = min([earliest, *(index.get(name, -1) for name in step.inputs)])
        return found

    def aligned(self, step: Step, name: str) -> bool:
        """Tell whether a step can take an input as it is held: whole, or at the rectangles of the output."""
        return self.places.get(name) == self.places.get(step.output)


class Unsupported(Exception):
    """The network has something that can't be taken apart; the message says what."""
