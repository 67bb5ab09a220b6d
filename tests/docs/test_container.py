"""The Dockerfile, the compose file and the command of the documentation: nothing more is allowed than is needed."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from picasso.cli.command import main
from tests.docs.blocks import ROOT, commands

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
(RUN,) = (line for line in commands("docker") if line[0] == "run")


def options(words: list[str]) -> dict[str, list[str]]:
    """Return the options before the name of the image, with their values."""
    found: dict[str, list[str]] = {}
    name = ""
    for word in words[1 : words.index("picasso")]:
        if word.startswith("-"):
            name = word
            found.setdefault(name, [])
        else:
            found[name].append(word)
    return found


def test_the_base_has_a_full_version() -> None:
    assert re.search(r"^ARG BASE=python:3\.\d+\.\d+-slim-[a-z]+\nFROM \$\{BASE\}$", DOCKERFILE, re.MULTILINE)


def test_it_runs_as_a_user_without_rights() -> None:
    assert "useradd --uid 10001 " in DOCKERFILE
    assert DOCKERFILE.index("\nUSER picasso\n") < DOCKERFILE.index("\nENTRYPOINT ")


def test_the_command_bounds_what_it_may() -> None:
    assert options(RUN) == {
        "--read-only": [],
        "--tmpfs": ["/tmp:size=2g"],  # noqa: S108 - in the container
        "--memory": ["6g"],
        "--memory-swap": ["6g"],
        "--pids-limit": ["512"],
        "--cap-drop": ["ALL"],
        "--security-opt": ["no-new-privileges"],
        "-p": ["127.0.0.1:5000:5000"],
        "-v": ["$PWD/password.txt:/run/secrets/picasso_password:ro", "$PWD/flowers:/model:ro"],
    }


def test_the_compose_file_says_the_same() -> None:
    service, given = COMPOSE["services"]["picasso"], options(RUN)
    assert service["read_only"] is True
    assert service["tmpfs"] == given["--tmpfs"]
    assert [service["mem_limit"], service["memswap_limit"]] == given["--memory"] + given["--memory-swap"]
    assert str(service["pids_limit"]) == given["--pids-limit"][0]
    assert service["cap_drop"] == given["--cap-drop"]
    assert service["security_opt"] == [f"{given['--security-opt'][0]}:true"]
    assert service["ports"] == given["-p"]
    assert service["secrets"] == list(COMPOSE["secrets"])
    assert "environment" not in service


@pytest.mark.parametrize("words", [RUN[RUN.index("picasso") + 1 :], COMPOSE["services"]["picasso"]["command"]])
def test_its_arguments_are_those_of_serve(words: list[str]) -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)
    first = [word.strip('",') for word in shlex.split(entry.strip("[]"))]
    assert first[:2] == ["picasso", "serve"]
    chosen = main.commands["serve"].make_context("serve", [*first[2:], *words]).params
    assert str(chosen["password_file"]) == "/run/secrets/picasso_password"
    assert chosen["host"] == "0.0.0.0"  # noqa: S104 - in the container
