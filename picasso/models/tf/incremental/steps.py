"""The steps of a network, with their effect on changed rectangles; independent of the framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picasso.models.tf.incremental.resampling import Samples


class Kind(Enum):
    """The effect of a step on feature maps of which a rectangle changed."""

    #: A convolution or a pooling. The rectangle grows by the reach of the window.
    WINDOW = auto()
    #: An operation on each place separately. The rectangle is unchanged.
    POINTWISE = auto()
    #: An operation on several maps, place by place. The rectangle contains those of all inputs.
    JOIN = auto()
    #: Padding with rows and columns. The rectangle is shifted.
    PAD = auto()
    #: A resize: each place reads a few places at another scale.
    RESAMPLE = auto()
    #: The mean over all places. The mean of the changes is added to that of the clean map.
    MEAN = auto()
    #: The shape of its input, of which only the batch size is unknown.
    COUNT = auto()
    #: Any other operation, with whole inputs and a whole output.
    WHOLE = auto()


@dataclass(frozen=True)
class Slide:
    """The sliding of a window along one axis.

    Attributes:
        reach: the number of values that the window spans, including the gaps of a dilation.
        stride: the distance between neighbouring positions.
        before: the number of padding values before the first value.
    """

    reach: int
    stride: int
    before: int


#: A window of one value, which leaves rectangles unchanged.
BY_PLACE = (Slide(1, 1, 0), Slide(1, 1, 0))


@dataclass
class Step:
    """One operation of the network, or a convolution with the affine operations after it.

    Attributes:
        kind: its effect on rectangles.
        output: the name of its output tensor.
        inputs: the names of its inputs that depend on the image.
        shape: the shape of the output for one image, without the batch axis.
        run: computes the output from a list of input tensors; ``valid=True`` disables padding.
        slides: the sliding along rows and columns, for windows.
        shift: the number of rows and columns by which padding shifts a rectangle.
        macs: the multiply-adds for one place of the output of a convolution.
        count: computes the multiply-adds of any other operation from the shapes of its inputs and its output.
        thin: True if a convolution sums over few channels, which takes longer per multiply-add.
        behind: the number of affine operations folded into a convolution.
        outside: the padding value: 0, or the lowest value for a maximum.
        partial: True if an average excludes the padding.
        kernel: the filter and the bias of a convolution that is computed by Winograd's tiles.
        tile: the side of these tiles, or 0.
        keeps: True if a mean keeps its two axes with length 1.
        samples: what the rows and columns of a resize read.
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
    samples: tuple[Samples, Samples] | None = None


class Network:
    """A network as a list of steps in topological order.

    Args:
        steps: the steps, first to last.
        source: the name of the input.
        target: the name of the output.
        shapes: the shapes of all tensors, without the batch axis.
        types: the NumPy names of all tensors' data types.

    Attributes:
        places: the tensors that are stored as rectangles, each with the first tensor that has the same rectangles. The
            tensors after a step of kind WHOLE are stored completely.
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
    def ends_in_map(self) -> bool:
        """Whether the output is stored as rectangles: it is a map, and only a part of it changes."""
        return self.target in self.places

    @property
    def neck(self) -> int:
        """The number of steps before the head. Only one tensor, a vector per window, connects the two parts."""
        index = {step.output: index for index, step in enumerate(self.steps)}
        found = earliest = len(self.steps)
        # Backwards, with the earliest step whose output a later step uses.
        for step in reversed(self.steps):
            if len(step.shape) == 1 and step.shape[0] and earliest >= index[step.output]:
                found = index[step.output] + 1
            earliest = min([earliest, *(index.get(name, -1) for name in step.inputs)])
        return found

    def aligned(self, step: Step, name: str) -> bool:
        """Tell whether a step can use an input as stored: completely, or in the rectangles of the output."""
        return self.places.get(name) == self.places.get(step.output)


class Unsupported(Exception):
    """Incremental occlusion does not support the network; the message states the reason."""
