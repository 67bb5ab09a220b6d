"""Regression: one number, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from picasso.errors import BadRequest
from picasso.targets.base import Array, Context, Floats, OutputSpec, OutputTask, Target, Wanted, limited, one_hot
from picasso.targets.class_names import by_name, number
from picasso.targets.predictions import Prediction

PREFIX = "value:"


@dataclass(frozen=True)
class Value(Target):
    """One number of a regression.

    Attributes:
        index: its index in the output.
        unit: its unit, or "".

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import Value
        >>> age = Value("value:age", "age", 0, "years")
        >>> age.quantity, age.value(np.array([[34.0], [29.0]], np.float32)).tolist()
        ('age (years)', [34.0, 29.0])
    """

    index: int
    unit: str = ""

    bounded: ClassVar[bool] = False
    scale: ClassVar[float] = 0.0

    @property
    def quantity(self) -> str:
        """The name and the unit of the number."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def score_quantity(self) -> str:
        """The number itself is differentiated."""
        return self.quantity

    def value(self, outputs: Array) -> Floats:
        """Return the number."""
        return outputs[:, self.index].astype(np.float64)

    def score(self, scores: Array) -> Floats:
        """Return the number."""
        return self.value(scores)

    def cotangent(self, scores: Array) -> Array:
        """Return 1 for this number and 0 for the others."""
        return one_hot(scores, self.index)


@dataclass(frozen=True)
class Regression(OutputSpec):
    """Numbers ``(M,)`` in some unit.

    Examples:
        >>> import numpy as np
        >>> from picasso.targets import Regression
        >>> Regression((1,), unit="years").decode(np.array([[34.5]], np.float32), ["age"], top=5)
        [({'index': 0, 'name': 'age', 'value': 34.5, 'unit': 'years'},)]
    """

    task = OutputTask.REGRESSION
    noun = "value"

    def wrong(self, outputs: Array) -> str:
        """Accept all numbers."""
        return ""

    def decode(self, outputs: Array, names: Sequence[str], top: int) -> list[tuple[Prediction, ...]]:
        """Return the numbers in the order of the output."""
        return [
            tuple(
                Prediction(index=index, name=str(name), value=float(row[index]), unit=self.unit)
                for index, name in enumerate(names)
            )
            for row in outputs
        ]

    def arrays(self, output: Array) -> dict[str, NDArray[Any]]:
        """Return the numbers as ``values (M,)``."""
        return {"values": output}

    def defaults(self, predictions: Sequence[Prediction], context: Context) -> tuple[Target, ...]:
        """Return the numbers in the order of the output."""
        return tuple(self._value(one["index"], one["name"]) for one in predictions[: context.top])

    def parse(self, wanted: Sequence[str | int], names: Sequence[str]) -> list[Wanted]:
        """Return "value:age" for the name or index of a value, with or without the prefix."""
        limited(wanted)
        known, found = by_name(names), dict[Wanted, None]()
        for one in wanted:
            name = one.strip().removeprefix(PREFIX) if isinstance(one, str) else one
            index = number(names, known, name, self.noun)
            found[f"{PREFIX}{names[index] if len(known[names[index]]) == 1 else index}"] = None
        return list(found)

    def target(self, wanted: Wanted, context: Context) -> Target:
        """Return a number by its name or index."""
        if not isinstance(wanted, str | int):
            raise BadRequest('A value is named by "value:NAME".', field="target")
        name = wanted.removeprefix(PREFIX) if isinstance(wanted, str) else wanted
        index = number(context.names, by_name(context.names), name, self.noun)
        return self._value(index, str(context.names[index]))

    def _value(self, index: int, name: str) -> Value:
        return Value(f"{PREFIX}{name}", name, index, self.unit)
