"""The address of a view of the workspace, which says all that it shows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from flask import url_for
from werkzeug.datastructures import MultiDict

# The opacities that can be chosen, in percent.
OPACITIES = tuple(map(str, range(0, 101, 5)))
# The prefix of the buttons that fill a suggestion into a field.
USE = "use:"


@dataclass(frozen=True)
class Address:
    """What the query of an address asks for.

    Attributes:
        image: the number of the image, or "".
        question: the name of a question, or "".
        method: the name of a visualization, or "" for those that answer the question.
        target: the text of a target, or "" for the most important prediction.
        settings: settings of the visualization by name.
        opacity: the opacity of the map in percent, or "" as the server draws it.

    Examples:
        >>> from werkzeug.datastructures import MultiDict
        >>> from picasso.web.pages.address import Address
        >>> Address.read(MultiDict({"image": "3", "method": "PartialOcclusion", "Window": "0.10"})).fields()
        {'image': '3', 'method': 'PartialOcclusion', 'Window': '0.10'}
    """

    image: str = ""
    question: str = ""
    method: str = ""
    target: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    opacity: str = ""

    @classmethod
    def read(cls, fields: MultiDict[str, str]) -> Address:
        """Read the query of an address, or a form."""
        own = {name: fields.get(name, "").strip() for name in ("image", "question", "method", "target", "opacity")}
        own["opacity"] = own["opacity"] if own["opacity"] in OPACITIES else ""
        # Names of settings begin with a capital letter.
        settings = {name: value for name, value in fields.items() if name[:1].isupper()}
        return cls(**own, settings=settings if own["method"] else {})

    def fields(self) -> dict[str, str]:
        """Return the fields of the query."""
        own = {"image": self.image, "question": self.question, "method": self.method, "target": self.target}
        return {name: value for name, value in (own | {"opacity": self.opacity}).items() if value} | self.settings

    @property
    def look(self) -> str:
        """The query of a download that draws the map as the view does."""
        return f"?opacity={self.opacity}" if self.opacity else ""

    def url(self, **changes: Any) -> str:
        """Return the address with changes; another method has settings of its own."""
        if "method" in changes or "question" in changes:
            changes = {"method": "", "question": "", "settings": {}, **changes}
        changes = {key: value if key == "settings" else str(value) for key, value in changes.items()}
        fields: dict[str, Any] = replace(self, **changes).fields()
        return url_for("pages.index", **fields)


def filled(form: MultiDict[str, str]) -> MultiDict[str, str]:
    """Return the form with the suggestion whose button was pressed; the form itself if none was."""
    used = next((key for key in form if key.startswith(USE)), None)
    if used is None:
        return form
    field, value, wrong = used.removeprefix(USE), form[used], form.get("wrong")
    kept = MultiDict([(key, one) for key, one in form.items(multi=True) if key not in (used, "wrong")])
    several = [value if one.strip() == wrong else one for one in kept.getlist(field)]
    kept.setlist(field, several if wrong is not None else [value])
    return kept
