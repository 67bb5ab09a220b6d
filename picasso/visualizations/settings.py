"""Typed settings of visualizations: each field defines its form control, its validation and its description."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from picasso.errors import BadRequest
from picasso.models.info import Capability

Value = str | int | float | bool
# The length at which an invalid value is compared with the allowed ones, and the number of values that are offered.
MAX_COMPARED, MAX_OFFERED = 100, 8
# The maximum length of a text.
MAX_TEXT = 1000


@dataclass(frozen=True)
class Control:
    """Base class of the controls: how one setting is displayed and validated."""

    help: str
    default: Any
    kind: ClassVar[str] = ""

    def parse(self, raw: object) -> Value:
        """Return ``raw`` (a string from a form, or a value) as the setting's type, or raise ValueError."""
        raise NotImplementedError

    def allowed(self) -> str:
        """Return the valid values as the end of a sentence."""
        raise NotImplementedError

    def show(self, value: Value) -> str:
        """Format a value as in forms and in the API."""
        return str(value)

    def options(self) -> list[str]:
        """Return the allowed values if they can be listed."""
        return []

    def similar(self, raw: object) -> list[str]:
        """Return allowed values that may have been meant by one that is not allowed, the most likely first."""
        options = self.options()
        text = str(raw)[:MAX_COMPARED].strip().lower()
        by_lower = {option.lower(): option for option in options}
        near = [by_lower[one] for one in difflib.get_close_matches(text, by_lower, n=3, cutoff=0.5)]
        return near or options[:MAX_OFFERED]

    def offered(self, capabilities: Collection[str]) -> Self:
        """Return the control with those values that a model with these capabilities allows."""
        return self

    def describe(self) -> dict[str, Any]:
        """Return the control as JSON-ready values."""
        values = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        listed = {"values": self.options()} if "values" in values else {}
        return {"kind": self.kind, **values, **listed, "default": self.show(self.default)}


@dataclass(frozen=True)
class Choice(Control):
    """One of a fixed set of values.

    Attributes:
        values: the values.
        digits: the number of decimals with which numbers are shown.
        needs: the capability that the model must have for a value, for values that not all models allow.
    """

    values: tuple[Any, ...]
    digits: int | None = None
    needs: Mapping[str, Capability] | None = None
    kind: ClassVar[str] = "choice"

    def offered(self, capabilities: Collection[str]) -> Self:
        """Return the control with those values that a model with these capabilities allows."""
        needs = self.needs or {}
        kept = tuple(one for one in self.values if one not in needs or needs[one] in capabilities)
        return dataclasses.replace(self, values=kept)

    def parse(self, raw: object) -> Value:
        """Compare strings literally and numbers by value, so that 0.5 and 0.50 are the same."""
        for value in self.values:
            if raw == value or str(raw) == self.show(value):
                return value  # type: ignore[no-any-return]
            if isinstance(value, int | float) and not isinstance(raw, bool) and number_or_none(raw) == value:
                return value
        raise ValueError

    def allowed(self) -> str:
        """List the values."""
        return f"one of {', '.join(self.options())}"

    def show(self, value: Value) -> str:
        """Format numbers with the declared number of decimals, if any."""
        return str(value) if self.digits is None else f"{value:.{self.digits}f}"

    def options(self) -> list[str]:
        """Return the formatted values."""
        return [self.show(value) for value in self.values]


@dataclass(frozen=True)
class Number(Control):
    """A number within bounds; an integer if its default is one."""

    minimum: float | None = None
    maximum: float | None = None
    kind: ClassVar[str] = "number"

    def parse(self, raw: object) -> Value:
        """Accept finite numbers within the bounds."""
        value = number_or_none(raw)
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        if value is None or not low <= value <= high or isinstance(raw, bool):
            raise ValueError
        if isinstance(self.default, int):
            if value != int(value):
                raise ValueError
            return int(value)
        return value

    def similar(self, raw: object) -> list[str]:
        """Return the nearest number within the bounds; without a number, the default."""
        value = number_or_none(raw)
        if value is None or isinstance(raw, bool):
            return [self.show(self.default)]
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        nearest = min(max(value, low), high)
        return [self.show(round(nearest) if isinstance(self.default, int) else nearest)]

    def allowed(self) -> str:
        """Return the bounds in words."""
        what = "a whole number" if isinstance(self.default, int) else "a number"
        if self.minimum is not None and self.maximum is not None:
            return f"{what} from {self.minimum} to {self.maximum}"
        if self.minimum is not None:
            return f"{what} of at least {self.minimum}"
        return f"{what} of at most {self.maximum}" if self.maximum is not None else what


@dataclass(frozen=True)
class Slider(Number):
    """A number within bounds, displayed as a slider."""

    step: float | None = None
    kind: ClassVar[str] = "slider"


@dataclass(frozen=True)
class Toggle(Control):
    """Yes or no."""

    kind: ClassVar[str] = "toggle"
    WORDS: ClassVar[dict[str, bool]] = {
        "true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False,
    }  # fmt: skip

    def parse(self, raw: object) -> Value:
        """Accept booleans and common words for them."""
        try:
            return self.WORDS[str(raw).lower()]
        except KeyError as error:
            raise ValueError from error

    def allowed(self) -> str:
        """Return the two words."""
        return "true or false"

    def show(self, value: Value) -> str:
        """Write true or false."""
        return "true" if value else "false"

    def options(self) -> list[str]:
        """Return the two words, the default first."""
        return [self.show(self.default), self.show(not self.default)]


@dataclass(frozen=True)
class LayerChoice(Control):
    """The name of a layer with feature maps; the choices depend on the model."""

    kind: ClassVar[str] = "layer"
    DEFAULT_LAYER: ClassVar[str] = "default"

    def parse(self, raw: object) -> Value:
        """Accept any name; whether the model has such a layer is checked before a run."""
        if not isinstance(raw, str):
            raise ValueError
        return "" if raw.strip() == self.DEFAULT_LAYER else raw.strip()

    def show(self, value: Value) -> str:
        """Format an empty name as "default"."""
        return str(value) or self.DEFAULT_LAYER

    def allowed(self) -> str:
        """Return a description of the valid names."""
        return f"the name of a layer with feature maps, or {self.DEFAULT_LAYER}"


@dataclass(frozen=True)
class Text(Control):
    """A text of a given form, or none.

    Attributes:
        pattern: the regular expression that the whole text matches.
        form: what such a text is, as the end of a sentence.
    """

    pattern: str
    form: str
    kind: ClassVar[str] = "text"
    NOTHING: ClassVar[str] = "none"

    def parse(self, raw: object) -> Value:
        """Accept texts that match the pattern, numbers written as such, and nothing."""
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            raise ValueError
        text = str(raw).strip()
        if text in ("", self.NOTHING):
            return ""
        if len(text) > MAX_TEXT or not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValueError
        return text

    def show(self, value: Value) -> str:
        """Format an empty text as "none"."""
        return str(value) or self.NOTHING

    def allowed(self) -> str:
        """Return the form in words."""
        return f"{self.form}, or {self.NOTHING}"


def number_or_none(raw: object) -> float | None:
    """Return ``raw`` as a finite number, or None if it isn't one."""
    try:
        value = float(raw)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def choice(
    *values: Any,
    help: str,  # noqa: A002
    digits: int | None = None,
    default: Any = None,
    needs: Mapping[str, Capability] | None = None,
) -> Any:
    """Declare a setting with one of ``values``; the first is the default unless ``default`` is given.

    Args:
        values: the values.
        help: a description.
        digits: the number of decimals with which numbers are shown.
        default: the default.
        needs: the capability that the model must have for a value, for values that not all models allow.

    Examples:
        >>> from dataclasses import dataclass
        >>> from picasso.visualizations import VisualizationSettings, choice
        >>> @dataclass(frozen=True)
        ... class Settings(VisualizationSettings):
        ...     fill: str = choice("grey", "black", help="What hides a part of the image.")
        >>> Settings.parse({"Fill": "black"})
        Settings(fill='black')
    """
    return declare(Choice(help, values[0] if default is None else default, values, digits, needs))


def see_through() -> Any:
    """Declare the setting that all maps share: how strongly the image shows through."""
    return choice(0.25, 0.0, 0.5, 0.75, help="How strongly the image shows through the strongest values.", digits=2)


def stops_at(default: float = 0.1, what: str = "Standard error") -> Any:
    """Declare the setting that methods with random samples share: the standard error that ends the sampling."""
    help_text = (
        f"{what} at which to stop, as a fraction of the range of the map, on average over the map; 0 to use the "
        "maximum number."
    )
    return choice(0.2, 0.1, 0.05, 0.02, 0.01, 0, default=default, help=help_text)


def number(default: float, help: str, minimum: float | None = None, maximum: float | None = None) -> Any:  # noqa: A002
    """Declare a number; an integer if ``default`` is an int.

    Examples:
        >>> from dataclasses import dataclass
        >>> from picasso.visualizations import VisualizationSettings, number
        >>> @dataclass(frozen=True)
        ... class Settings(VisualizationSettings):
        ...     steps: int = number(64, minimum=8, maximum=512, help="Number of gradients.")
        >>> Settings.parse({"Steps": "32"})
        Settings(steps=32)
    """
    return declare(Number(help, default, minimum, maximum))


def slider(default: float, help: str, minimum: float, maximum: float, step: float) -> Any:  # noqa: A002
    """Declare a number that is displayed as a slider.

    Examples:
        >>> from dataclasses import dataclass
        >>> from picasso.visualizations import VisualizationSettings, slider
        >>> @dataclass(frozen=True)
        ... class Settings(VisualizationSettings):
        ...     share: float = slider(0.5, minimum=0, maximum=1, step=0.1, help="Share of the image that is shown.")
        >>> Settings.parse({"Share": "0.7"})
        Settings(share=0.7)
    """
    return declare(Slider(help, default, minimum, maximum, step))


def toggle(default: bool, help: str) -> Any:  # noqa: A002
    """Declare a yes-or-no setting.

    Examples:
        >>> from dataclasses import dataclass
        >>> from picasso.visualizations import VisualizationSettings, toggle
        >>> @dataclass(frozen=True)
        ... class Settings(VisualizationSettings):
        ...     signed: bool = toggle(True, help="Whether evidence against the class is shown.")
        >>> Settings.parse({"Signed": "no"})
        Settings(signed=False)
    """
    return declare(Toggle(help, default))


def layer(help: str) -> Any:  # noqa: A002
    """Declare the name of a layer with feature maps; "" is the model's default layer.

    Examples:
        >>> from dataclasses import dataclass
        >>> from picasso.visualizations import VisualizationSettings, layer
        >>> @dataclass(frozen=True)
        ... class Settings(VisualizationSettings):
        ...     layer: str = layer(help="The layer whose feature maps are shown.")
        >>> Settings.parse({"Layer": "conv_2"})
        Settings(layer='conv_2')
    """
    return declare(LayerChoice(help, ""))


def text(pattern: str, form: str, help: str) -> Any:  # noqa: A002
    r"""Declare a text of a given form; "" if there is none.

    Args:
        pattern: the regular expression that the whole text matches.
        form: what such a text is, as the end of a sentence.
        help: a description.

    Examples:
        >>> from dataclasses import dataclass
        >>> from picasso.visualizations import VisualizationSettings, text
        >>> @dataclass(frozen=True)
        ... class Settings(VisualizationSettings):
        ...     blocks: str = text(r"\d+(, *\d+)*", "numbers such as 1, 3", help="The blocks that are shown.")
        >>> Settings.parse({"Blocks": "1, 3"})
        Settings(blocks='1, 3')
        >>> Settings.parse({"Blocks": "one"})
        Traceback (most recent call last):
        picasso.errors.BadRequest: Blocks must be numbers such as 1, 3, or none, not 'one'.
    """
    return declare(Text(help, "", pattern, form))


def declare(control: Control) -> Any:
    """Return a dataclass field with its control."""
    return field(default=control.default, metadata={"control": control})


@dataclass(frozen=True)
class VisualizationSettings:
    """Base class of a visualization's settings: a frozen dataclass of :func:`choice`, :func:`number`, ... fields.

    A field ``window_side`` is called ``WindowSide`` on pages, in the API and on the command line.

    Examples:
        >>> from dataclasses import dataclass
        >>> from picasso.visualizations import VisualizationSettings, number
        >>> @dataclass(frozen=True)
        ... class Settings(VisualizationSettings):
        ...     window_side: int = number(8, minimum=1, maximum=64, help="Side of the window in pixels.")
        >>> Settings.parse({"WindowSide": "16"})
        Settings(window_side=16)
        >>> Settings.parse({"WindowSide": "0"})
        Traceback (most recent call last):
        picasso.errors.BadRequest: WindowSide must be a whole number from 1 to 64, not '0'.
    """

    @classmethod
    def controls(cls) -> dict[str, Control]:
        """Return the controls by public name, in the order of declaration.

        Raises:
            TypeError: a field was declared without one of these functions.
        """
        for one in dataclasses.fields(cls):
            if "control" not in one.metadata:
                how = "choice(), number(), slider(), toggle(), layer() or text()"
                raise TypeError(f"its setting {one.name} is not declared with {how}")
        return {public_name(one.name): one.metadata["control"] for one in dataclasses.fields(cls)}

    @classmethod
    def parse(cls, raw: Mapping[str, object]) -> Self:
        """Return validated settings; those that ``raw`` does not contain keep their defaults.

        Raises:
            BadRequest: a name is unknown or a value is not allowed; ``field`` says which.
        """
        controls = cls.controls()
        values = {}
        for name, value in raw.items():
            if name not in controls:
                known = ", ".join(controls) or "none"
                raise BadRequest(f"Unknown setting {name!r}; the settings are: {known}.", field=name)
            try:
                values[name] = controls[name].parse(value)
            except ValueError:
                message = f"{name} must be {controls[name].allowed()}, not {str(value)[:40]!r}."
                near = controls[name].similar(value)
                raise BadRequest(message, field=name, suggestions=near) from None
        return cls(**{f.name: values[key] for f in dataclasses.fields(cls) if (key := public_name(f.name)) in values})

    def as_dict(self) -> dict[str, Value]:
        """Return the values by public name."""
        return {public_name(f.name): getattr(self, f.name) for f in dataclasses.fields(self)}


def public_name(attribute: str) -> str:
    """Turn ``window_side`` into ``WindowSide``."""
    return "".join(part.capitalize() for part in attribute.split("_"))
