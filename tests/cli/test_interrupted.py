"""Commands whose status 1 is a result don't end with 1 when they are interrupted."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from picasso.cli.command import main


@pytest.mark.parametrize("words", [["audit", "images"], ["check"], ["mend", "images", "--out", "mended.keras"]])
def test_an_interrupted_command_ends_as_in_a_shell(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("picasso.models.load_configured", interrupt)
    monkeypatch.setattr(f"picasso.cli.commands.{words[0]}.loading_in_time", interrupt)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 130, done.output
