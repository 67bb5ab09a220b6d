"""The documentation that the server shows: every page, every link and every anchor."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient

from picasso.explanation.registry import Entry, Registry
from picasso.web.documentation import docstrings, library, markdown
from tests.docs.blocks import DOCS, PAGES, ROOT

FOLDER = "/documentation/"


class Read(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: list[str] = []
        self.forbidden: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src"):
                self.targets.append(value or "")
            if name == "id":
                self.anchors.append(value or "")
            if name == "style" or name.startswith("on"):
                self.forbidden.append(f"{tag} {name}")
        if tag in ("style", "iframe"):
            self.forbidden.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def names() -> list[str]:
    return [name.removesuffix(".md") for name in PAGES]


@pytest.fixture(scope="module")
def pages(app: Flask) -> dict[str, Read]:
    """All pages, by address."""
    client = app.test_client()
    found = {FOLDER: client.get(FOLDER)} | {f"{FOLDER}{name}": client.get(f"{FOLDER}{name}") for name in names()}
    assert {one.status_code for one in found.values()} == {200}
    return {address: Read(one.text) for address, one in found.items()}


def test_every_link_and_every_anchor_resolves(pages: dict[str, Read], client: FlaskClient) -> None:
    missing, other = [], set()
    for address, page in pages.items():
        for target in page.targets:
            place, anchor = urldefrag(urljoin(f"http://localhost{address}", target))
            if not place.startswith("http://localhost/"):
                continue
            path = place.removeprefix("http://localhost")
            if path in pages:
                missing += [f"{address}: {target}"] if anchor and anchor not in pages[path].anchors else []
            else:
                other.add(path)
    assert missing == []
    assert {path: client.get(path).status_code for path in other if client.get(path).status_code != 200} == {}


def test_pages_are_complete(pages: dict[str, Read]) -> None:
    listed = {name for group in library_contents(pages) for name in group}
    assert listed == set(names()) - {"index"}
    for address, page in pages.items():
        assert page.forbidden == [], address
        assert len(page.anchors) == len(set(page.anchors)), address
        for left in ("{{", ")=", "```", "{toctree}", "{raw}", "% run"):
            shown = page.text.replace("{{ rows(results) }}", "")
            assert left not in shown or left in PAGES["your-own-visualization.md"], (address, left)


def library_contents(pages: dict[str, Read]) -> Iterator[set[str]]:
    """Yield the pages that each page lists beside it."""
    for page in pages.values():
        yield {one.removeprefix(FOLDER) for one in page.targets if one.startswith(FOLDER) and one != FOLDER}


@pytest.mark.parametrize("entry", Registry().entries(), ids=lambda entry: entry.name)
def test_each_method_links_to_its_section(entry: Entry, pages: dict[str, Read], client: FlaskClient) -> None:
    if entry.cls is None:
        pytest.skip(f"{entry.name} {entry.reason}")
    place, anchor = urldefrag(f"{FOLDER}{entry.documentation}")
    assert anchor in pages[place].anchors
    form = client.get(f"/visualizations/{entry.name}").text
    assert f'href="{place}#{anchor}">How it works</a>' in form


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "../README",
        "..%2fREADME.md",
        "index.md",
        "conf.py",
        "plugins/fun_viz.py",
        "images",
    ],
)
def test_nothing_else_is_served(name: str, client: FlaskClient) -> None:
    answer = client.get(f"{FOLDER}{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_directives_and_markup() -> None:
    tables = {"made": "| A | B |\n| --- | --- |\n| 1 | 2 |"}
    text = (
        "# A title\n\n% a comment\n\n(label)=\n## `GET /a`\n\n## Label\n\n## Label\n\n<b onclick=x>no</b> [a](b.md#c) "
        "[o](https://a.example)\n\n{{ made }}\n\n```{warning}\nTake *care*.\n```\n\n```console\n$ a <b>\n```\n"
        "\n```console\n$ a\nsaid\n```\n\n```{toctree}\nb\n```\n\nterm\n: meaning\n"
    )
    page = markdown.render(text, DOCS, tables)
    assert page.title == "A title"
    assert page.sections == [("get-a", "GET /a"), ("label", "Label"), ("label-1", "Label")]
    for part in (
        '<h2 id="a-title">',
        '<span id="label"></span><h3 id="get-a">',
        "<h3>Label",
        '<h3 id="label-1">',
        "&lt;b onclick=x&gt;",
        '<a href="b#c">',
        '<a href="https://a.example" rel="noreferrer">',
        'aria-label="Table: A"',
        "<strong>Warning</strong>\n<p>Take <em>care</em>.",
        '<span class="prompt"></span>a &lt;b&gt;',
        "<dt>term</dt>",
    ):
        assert part in page.html
    assert page.html.count("data-copy") == 1  # not where answers are shown too
    assert "comment" not in page.html
    assert "toctree" not in page.html


def test_the_reference_of_python_names() -> None:
    """Takes its own examples of docstrings.

    Text goes on.

    Args:
        first: the first, see :class:`~picasso.Panel` or ``code``,
            on two lines.
        second (int): the second.

    Raises:
        Nothing worth a list
    """
    text = docstrings.markdown(str(test_the_reference_of_python_names.__doc__).replace("\n    ", "\n"))
    assert "*Args*\n\n- `first`: the first, see `Panel` or `code`, on two lines.\n- `second`: the second." in text
    assert text.endswith("*Raises*\n\nNothing worth a list")
    shown = docstrings.reference(
        ".. autoclass:: picasso.Result\n   :members: as_dict, save,\n      load\n.. autofunction:: picasso.explain\n"
    )
    assert "(picasso.Result)=" in shown
    assert "**`save(" in shown
    assert "**`load(" in shown
    assert "(picasso.explain)=" in shown


def test_the_wheel_holds_what_the_pages_show(
    tmp_path: Path, app: Flask, pages: dict[str, Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("setuptools.setup", lambda **arguments: None)
    runpy.run_path(str(ROOT / "setup.py"))["copy_documentation"](tmp_path)
    shown = {str(path.relative_to(DOCS)) for path in library.files().values()}
    copied = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert shown <= copied
    with app.app_context():
        for name in names():
            text = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
            assert markdown.render(text, (tmp_path / name).parent, library.substitutions()) == library.page(name)
