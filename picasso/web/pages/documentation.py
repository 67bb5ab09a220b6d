"""The documentation, served with the application: it is that of this version, and needs no network."""

from __future__ import annotations

from flask import Blueprint, Response, render_template
from markupsafe import Markup

from picasso.web.documentation import library
from picasso.web.pages.files import send

blueprint = Blueprint("documentation", __name__, url_prefix="/documentation")


@blueprint.get("/")
def index() -> str | Response:
    """Show the first page."""
    return show("index")


@blueprint.get("/<path:name>")
def show(name: str) -> str | Response:
    """Show a page, or serve an image of one."""
    path = library.file(name)
    if path.suffix != ".md":
        return send(path)
    page = library.page(name)
    # It was made from Picasso's own files, and HTML in them was escaped.
    content = Markup(page.html)  # noqa: S704
    return render_template("documentation.html", name=name, page=page, content=content, contents=library.contents())
