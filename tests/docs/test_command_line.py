"""The command line is described, and the commands that pages show are right."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from picasso.cli.command import main
from picasso.explanation.registry import Registry
from picasso.models.preprocessing import Preprocessing
from tests.docs.blocks import PAGES, PLUGINS, ROOT, commands, readme, section

README_COMMANDS = [
    shlex.split(line, comments=True)
    for block in readme("sh")
    for line in block.splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(
    "arguments",
    commands("picasso") + [line[1:] for line in README_COMMANDS if line[0] == "picasso"],
    ids=" ".join,
)
def test_command_lines_parse(arguments: list[str]) -> None:
    name, *rest = arguments
    try:
        top = main.make_context("picasso", list(arguments))
        chosen = main.commands[name].make_context(name, rest, parent=top).params
    # What --help and --version do, after they have printed; a wrong option is an error of another kind.
    except click.exceptions.Exit:
        return
    assert all((ROOT / word).exists() for word in arguments if word.startswith("picasso/"))
    if chosen.get("preprocess"):
        Preprocessing.parse(chosen["preprocess"])
    if name == "explain":
        names = chosen["names"] or ["PartialOcclusion"]
        Registry([PLUGINS]).with_settings(names, dict(pair.split("=") for pair in chosen["pairs"]))


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = re.findall(r"`make (\w+)", "".join(PAGES.values()))
    lines = commands("make") + [line[1:] for line in README_COMMANDS if line[0] == "make"]
    targets = {word for line in lines for word in line if "=" not in word} | set(shown)
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_option_is_described(name: str) -> None:
    text = section("command-line.md", f"## picasso {name}")
    for parameter in main.commands[name].params:
        names = parameter.opts if isinstance(parameter, click.Option) else [(parameter.name or "").upper()]
        assert [one for one in names if f"`{one}" not in text] == []


def test_general_options_are_described() -> None:
    for option in ("--help", "-h", "--version"):
        assert f"{option}`" in PAGES["command-line.md"]
