"""Markdown, as far as the documentation uses it, to HTML: CommonMark, tables, and the directives of MyST."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin

from picasso.web.documentation.docstrings import reference

DIRECTIVE = re.compile(r"\{(?P<name>[\w-]+)\}\s*(?P<argument>.*)")
OPTION = re.compile(r"^:(?P<name>\w+): *(?P<value>.*)\n?", re.MULTILINE)
SUBSTITUTION = re.compile(r"^\{\{ (\w+) \}\}$", re.MULTILINE)
ADMONITIONS = ("note", "tip", "important", "warning")
EXTERNAL = re.compile(r"[a-z]+:")
# What readers type in a terminal, in a block that shows answers too.
PROMPT = re.compile(r"^\$ ", re.MULTILINE)

# What directives know besides their own text: the folder of the page, and the parser.
Env = MutableMapping[str, Any]


@dataclass
class Rendered:
    """A page as HTML.

    Attributes:
        title: its first heading.
        html: its content; the first heading is one of level 2, because the page of the application has its own.
        sections: the anchor and the title of each section of the second level.
    """

    title: str = ""
    html: str = ""
    sections: list[tuple[str, str]] = field(default_factory=list)


def slug(title: str) -> str:
    """Return the anchor of a heading, as MyST and GitHub make it.

    Examples:
        >>> from picasso.web.documentation.markdown import slug
        >>> slug("`GET /api/model`")
        'get-apimodel'
    """
    return re.sub(r"[^\w\u4e00-\u9fff\- ]", "", title.strip().lower().replace(" ", "-"))


def options_of(content: str) -> dict[str, str]:
    """Return the options of a directive: lines such as ``:file: flow.svg``."""
    return {found["name"]: found["value"] for found in OPTION.finditer(content)}


def directives(content: str, name: str) -> list[str]:
    """Return the content of all directives of a name in a page."""
    return re.findall(rf"^```\{{{name}\}}[^\n]*\n(.*?)^```$", content, re.MULTILINE | re.DOTALL)


def render(text: str, folder: Path, tables: Mapping[str, str]) -> Rendered:
    """Return a page as HTML.

    Args:
        text: the Markdown; nothing in it is passed on as HTML.
        folder: where the files lie that its directives name.
        tables: what ``{{ name }}`` stands for.
    """
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=Renderer).enable("table")
    parser.use(deflist_plugin).use(myst_block_plugin)
    # The plugin draws labels and comments visibly.
    for name in ("myst_target", "myst_line_comment"):
        parser.add_render_rule(name, getattr(Renderer, name))
    text = SUBSTITUTION.sub(lambda found: tables.get(found[1], found[0]), text)
    tokens = parser.parse(text)
    page = Rendered()
    number_headings(tokens, page)
    page.html = parser.renderer.render(tokens, parser.options, {"folder": folder, "parser": parser})
    return page


def number_headings(tokens: list[Token], page: Rendered) -> None:
    """Give each heading its anchor, and set it one level deeper."""
    labels = {token.content for token in tokens if token.type == "myst_target"}
    used: set[str] = set()
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            title = "".join(one.content for one in inline.children or () if one.type in ("text", "code_inline"))
            first = slug(title)
            numbered = chain([first], (f"{first}-{number}" for number in count(1)))
            anchor = next(one for one in numbered if one not in used)
            used.add(anchor)
            # A label before the heading is often the same anchor.
            if anchor not in labels:
                token.attrSet("id", anchor)
            if token.tag == "h1":
                page.title = page.title or title
            elif token.tag == "h2":
                page.sections.append((anchor, title))
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1:]) + 1}"


class Renderer(RendererHTML):
    """Writes the HTML; the methods are called after the kinds of tokens."""

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        """Link to the page as the server shows it, and to other sites without saying where from."""
        token = tokens[index]
        target = str(token.attrGet("href"))
        if EXTERNAL.match(target):
            token.attrSet("rel", "noreferrer")
        else:
            token.attrSet("href", re.sub(r"\.md(?=$|#)", "", target))
        return self.renderToken(tokens, index, options, env)

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        """Load images when they are scrolled to."""
        tokens[index].attrSet("loading", "lazy")
        return super().image(tokens, index, options, env)

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        """Let a wide table scroll by itself."""
        head = next(one.content for one in tokens[index:] if one.type == "inline")
        label = escape(re.sub(r"[`*]", "", head) or "values")
        return f'<div class="scroll" tabindex="0" role="group" aria-label="Table: {label}"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        """End what scrolls."""
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        """A heading without text is none."""
        if not tokens[index + 1].content:
            tokens[index].tag = tokens[index + 2].tag = "td"
        return self.renderToken(tokens, index, options, env)

    def myst_target(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        """A label is an anchor."""
        return f'<span id="{escape(tokens[index].content)}"></span>'

    def myst_line_comment(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        """Comments are for tests."""
        return ""

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        """Draw a block of code, or do what a directive says."""
        token = tokens[index]
        found = DIRECTIVE.match(token.info.strip())
        if not found:
            return code(token.content, token.info.strip())
        name, argument = found["name"], found["argument"]
        if name in ADMONITIONS:
            inner = env["parser"].render(token.content)
            return f'<div class="notice"><strong>{name.capitalize()}</strong>\n{inner}</div>\n'
        return DIRECTIVES[name](argument, token.content, env)


def code(text: str, language: str) -> str:
    """Return a block of code; the prompt of a terminal is drawn, but not copied."""
    shown = escape(text, quote=False)
    said = f'<pre tabindex="0" aria-label="{escape(language or "text")}"><code>'
    typed = language != "console" or all(line.startswith("$ ") for line in text.replace("\\\n", "").splitlines())
    if language == "console":
        shown = PROMPT.sub('<span class="prompt"></span>', shown)
    copy = '<button class="plain" data-copy data-with-script>Copy</button>' if typed and language != "text" else ""
    return f'<figure class="code">{said}{shown}</code></pre>{copy}</figure>\n'


def drawing(argument: str, content: str, env: Env) -> str:
    """Return the SVG that a page includes, which then has the colours of the page."""
    svg = (env["folder"] / options_of(content)["file"]).read_text(encoding="utf-8")
    return f'<div class="drawing" tabindex="0" role="group" aria-label="Drawing">{svg}</div>\n'


def included(argument: str, content: str, env: Env) -> str:
    """Return a file as a block of code."""
    return code((env["folder"] / argument).read_text(encoding="utf-8"), options_of(content)["language"])


def image(argument: str, content: str, env: Env) -> str:
    """Return an image."""
    return f'<p><img src="{escape(argument)}" alt="{escape(options_of(content)["alt"])}" loading="lazy"></p>\n'


def api(argument: str, content: str, env: Env) -> str:
    """Return the reference of Python names."""
    return str(env["parser"].render(reference(content), env))


DIRECTIVES: Mapping[str, Callable[[str, str, Env], str]] = {
    "raw": drawing,
    "literalinclude": included,
    "image": image,
    "eval-rst": api,
    # The contents beside the page.
    "toctree": lambda argument, content, env: "",
}
