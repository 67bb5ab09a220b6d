"""Event files of results and audits, read back by TensorBoard."""

from __future__ import annotations

import html
import io
import json
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import picasso
from picasso.audit.reporting.summary import escaped
from picasso.cli.command import main
from picasso.errors import ConfigurationError
from picasso.explanation import render
from picasso.summaries import event_writer
from picasso.summaries.records import where
from tests.conftest import noise_image
from tests.fakes import LinearModel

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
# Those of TensorBoard itself.
pytestmark = pytest.mark.filterwarnings("ignore")

Events = Any


def read(folder: Path) -> Events:
    """Return what TensorBoard reads from a folder."""
    found = accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return found


def values(events: Events, tag: str) -> dict[int, float]:
    """Return the numbers of a tag by step."""
    from tensorboard.util import tensor_util

    return {one.step: float(tensor_util.make_ndarray(one.tensor_proto)) for one in events.Tensors(tag)}


def images(events: Events, tag: str) -> dict[int, Image.Image]:
    """Return the images of a tag by step."""
    found: dict[int, Image.Image] = {}
    for one in events.Tensors(tag):
        width, height, body = one.tensor_proto.string_val
        image = Image.open(io.BytesIO(body))
        assert image.size == (int(width), int(height))
        found[one.step] = image
    return found


def text(events: Events, tag: str) -> str:
    """Return the text of a tag."""
    (one,) = events.Tensors(tag)
    return str(one.tensor_proto.string_val[0].decode())


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["tensorboard", *map(str, arguments)])


def test_maps_values_and_predictions_of_results(linear: LinearModel, tmp_path: Path) -> None:
    results = picasso.explain(linear, [noise_image(1), noise_image(2)], "SaliencyMaps", classes=["dog", "bee"])
    for number, one in enumerate(results):
        one.save(tmp_path / f"{number}")
    done = run(tmp_path, "--logdir", tmp_path / "logs")
    assert (done.exit_code, done.output) == (0, f"wrote 2 results -> {tmp_path / 'logs'}\n")
    events = read(tmp_path / "logs")
    tags = events.Tags()["tensors"]
    expected = {"results"}
    for one in results:
        expected.add(f"image/{one.image}")
        for panel in one.panels:
            if panel.kind == "map":
                name = f"{one.image}/SaliencyMaps/{panel.title}"
                expected |= {f"map/{name}", f"value/{name}"}
                assert values(events, f"value/{name}") == {0: pytest.approx(panel.probability)}
                drawn = images(events, f"map/{name}")[0]
                np.testing.assert_array_equal(np.asarray(drawn), np.asarray(render.draw(panel, one.view)))
    assert set(tags) == expected
    assert len(expected) == 11
    assert events.SummaryMetadata("map/image 0/SaliencyMaps/dog").plugin_data.plugin_name == "images"
    assert events.SummaryMetadata("value/image 0/SaliencyMaps/dog").plugin_data.plugin_name == "scalars"
    assert events.SummaryMetadata("results").plugin_data.plugin_name == "text"
    best = results[0].predictions[0]
    row = f"| image 0 | SaliencyMaps | {escaped(best['name'])} {best['prob']:.4f} |"
    assert row in text(events, "results")
    assert f"- folder: `{tmp_path}`" in text(events, "results")


def audit_folder(folder: Path) -> dict[str, Any]:
    """Write an audit of two findings, the second of them without an alarm, as ``picasso audit`` does."""

    def finding(number: int, name: str, tier: str, effects: tuple[float, float]) -> dict[str, Any]:
        ways = [
            {"of": of, "towards": to, "fraction": size, "low": size - 0.1, "high": size + 0.1}
            for of, to, size in zip(("tank", "none"), ("none", "tank"), effects, strict=True)
        ]
        shown = [
            {"name": "a.png", "before": f"evidence/{number}-0-before.png", "after": f"evidence/{number}-0-after.png"}
        ]
        return {"kind": "broad", "name": name, "tier": tier, "floor": 0.2, "directions": ways, "shown": shown}

    (folder / "evidence").mkdir(parents=True)
    noise_image().save(folder / "evidence" / "0-0-before.png")
    noise_image(3).save(folder / "evidence" / "0-0-after.png")
    document = {
        "verdict": "The model appears to rely on brightness rather than on the object.",
        "alarms": 1,
        "accuracy": {"images": 20, "right": 19},
        "calibration": {"error": 0.125},
        "minimal_detectable_effect": None,
        "findings": [finding(0, "brightness", "relies on", (0.9, 0.6)), finding(1, "a|b", "informative", (0.5, 0.1))],
    }
    (folder / "audit.json").write_text(json.dumps(document))
    (folder / "report.html").write_text("<p>The report</p>")
    return document


@pytest.mark.parametrize("name", ["", "audit.json"])
def test_the_numbers_and_the_examples_of_an_audit(name: str, tmp_path: Path) -> None:
    audit_folder(tmp_path / "audit")
    done = run(tmp_path / "audit" / name, "--logdir", tmp_path / "logs", "--link", "https://example.org/r.html")
    assert (done.exit_code, done.output) == (0, f"wrote an audit with 2 findings -> {tmp_path / 'logs'}\n")
    events = read(tmp_path / "logs")
    assert values(events, "reliance/Brightness (“none” and “tank”)") == {0: pytest.approx(0.6)}
    # Below the floor in one direction, so the other one counts.
    assert values(events, "reliance/A|b (“none” and “tank”)") == {0: pytest.approx(0.5)}
    assert values(events, "audit/alarms") == {0: 1}
    assert values(events, "audit/accuracy") == {0: pytest.approx(0.95)}
    assert values(events, "audit/expected calibration error") == {0: 0.125}
    assert "audit/minimal detectable effect" not in events.Tags()["tensors"]
    before = images(events, "evidence/Brightness (“none” and “tank”)/0/before")[0]
    np.testing.assert_array_equal(np.asarray(before), np.asarray(noise_image()))
    said = text(events, "audit")
    assert said.startswith("The model appears to rely on brightness")
    assert "| A&#124;b (“none” and “tank”) | informative | 50% (95% interval 40% to 60%) |" in said
    assert "[Report](<https://example.org/r.html>)" in said
    assert f"- report: `{tmp_path / 'audit' / 'report.html'}`" in said


def test_evidence_is_read_from_the_folder_of_the_audit_only(tmp_path: Path) -> None:
    document = audit_folder(tmp_path / "audit")
    noise_image().save(tmp_path / "secret.png")
    document["findings"][0]["shown"][0] |= {"before": "../../secret.png", "after": "/etc/passwd"}
    (tmp_path / "audit" / "audit.json").write_text(json.dumps(document))
    assert run(tmp_path / "audit", "--logdir", tmp_path / "logs").exit_code == 0
    assert not [tag for tag in read(tmp_path / "logs").Tags()["tensors"] if tag.endswith(("before", "after"))]


def test_wrong_arguments(linear: LinearModel, tmp_path: Path) -> None:
    done = run(tmp_path, "--logdir", tmp_path / "logs")
    assert done.exit_code == 2
    assert f"There is no result.json and no audit.json in {tmp_path}. Pass the output folder of" in done.output
    done = run(tmp_path / "none", "--logdir", tmp_path / "logs")
    assert f"There is no file or folder {tmp_path / 'none'}. Pass the output folder of" in done.output
    (tmp_path / "audit.json").write_text("[]")
    assert "is not the result of an audit" in run(tmp_path, "--logdir", tmp_path / "logs").output
    (tmp_path / "audit.json").unlink()
    (tmp_path / "file").touch()
    (result,) = picasso.explain(linear, noise_image(), "PartialOcclusion", Strides=5)
    result.save(tmp_path / "good")
    done = run(tmp_path / "good", "--logdir", tmp_path / "file")
    assert done.exit_code == 2
    assert f"No event file can be written into {tmp_path / 'file'}: File exists." in done.output
    (tmp_path / "good" / "audit.json").write_text('{"findings": 3}')
    done = run(tmp_path / "good", "--logdir", tmp_path / "y")
    assert (done.exit_code, "is incomplete or damaged. Run the audit" in done.output) == (2, True)
    for link in ("file:///r", "https://", "report.html", "http://[::1"):
        assert "must be the http or https" in run(tmp_path, "--logdir", tmp_path / "x", "--link", link).output


def test_a_failed_call_leaves_nothing(linear: LinearModel, tmp_path: Path) -> None:
    """Results before the damaged one are written first, and the examples of an audit after its numbers."""
    (result,) = picasso.explain(linear, noise_image(), "SaliencyMaps", classes="dog")
    (tmp_path / "results").mkdir()
    result.save(tmp_path / "results" / "a")
    for number, damage in enumerate((b"", b"{}", b"[1]")):
        folder = tmp_path / "results" / f"z{number}"
        result.save(folder)
        (folder / "result.json").write_bytes(damage)
        done = run(tmp_path / "results", "--logdir", tmp_path / "logs" / "a")
        assert (done.exit_code, f"The result in {folder} can't be read; explain" in done.output) == (2, True), number
        (folder / "result.json").unlink()
    result.save(tmp_path / "results" / "z3")
    arrays = tmp_path / "results" / "z3" / "arrays.npz"
    for damage in (b"", b"PK", arrays.read_bytes()[:-200]):
        arrays.write_bytes(damage)
        done = run(tmp_path / "results", "--logdir", tmp_path / "logs" / "a")
        assert (done.exit_code, "z3 can't be read; explain the image again" in done.output) == (2, True), done.exception
    audit_folder(tmp_path / "audit")
    (tmp_path / "audit" / "evidence" / "0-0-after.png").write_bytes(b"no image")
    done = run(tmp_path / "audit", "--logdir", tmp_path / "logs" / "b")
    assert (done.exit_code, "evidence is incomplete or damaged. Run the audit again." in done.output) == (2, True)
    assert not (tmp_path / "logs").exists()
    # What was there stays.
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine").touch()
    assert run(tmp_path / "audit", "--logdir", tmp_path / "logs").exit_code == 2
    assert [one.name for one in (tmp_path / "logs").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "link",
    [
        "https://e.org/run (3)/r.html", "https://e.org/a]b[c?x=1&copy=2#d", "http://[::1]:80/r*x*_y_", "https://e.org/é`\\<b>",
        "https://e.org/a%20b%29", "https://e.org/a\n\nb",
    ],
)  # fmt: skip
def test_a_link_is_the_address_whatever_is_in_it(link: str) -> None:
    """TensorBoard's own Markdown makes one link of it, to the same place as a browser would."""
    from tensorboard.plugin_util import markdown_to_safe_html

    shown = markdown_to_safe_html("\n".join(where([("folder", "runs/a`b ``c")], link)))
    (found,) = re.findall(r'<a href="([^"]*)">Report</a>', shown)
    assert urllib.parse.unquote(html.unescape(found)) == urllib.parse.unquote(link)
    assert not set(html.unescape(found)) & set(" \n<>`\\")
    assert "<code>runs/a`b ``c</code>" in shown


def test_what_the_commands_print_is_a_source(
    linear: LinearModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = picasso.explain(linear, [noise_image(1), noise_image(2)], "SaliencyMaps", classes="dog")
    (tmp_path / "out").mkdir()
    for number, one in enumerate(results):
        one.save(tmp_path / "out" / f"{number}")
    printed = [{"folder": f"out/{number}", **one.as_dict()} for number, one in enumerate(results)]
    (tmp_path / "printed.json").write_text(json.dumps(printed))
    done = run("printed.json", "--logdir", "logs/printed")
    assert (done.exit_code, done.output) == (0, "wrote 2 results -> logs/printed\n")
    assert text(read(tmp_path / "logs" / "printed"), "results").count("- folder:") == 1
    # Beside the file, as in an exported run.
    (tmp_path / "out" / "results.json").write_text(json.dumps([{"folder": "1"}]))
    assert run("out/results.json", "--logdir", "logs/exported").output == "wrote 1 result -> logs/exported\n"
    assert run("out/1/result.json", "--logdir", "logs/one").output == "wrote 1 result -> logs/one\n"
    audit_folder(tmp_path / "audit")
    (tmp_path / "x.json").write_text(json.dumps({"folder": "audit", "fails": True}))
    assert run("x.json", "--logdir", "logs/x").output == "wrote an audit with 2 findings -> logs/x\n"
    for content in ("", "[]", "3", '{"visualization": "RISE"}', '[{"folder": 3}]', "[" * 9999):
        (tmp_path / "other.json").write_text(content)
        done = run("other.json", "--logdir", "logs/other")
        assert (done.exit_code, "other.json names no folder with results. Pass the output" in done.output) == (2, True)
    (tmp_path / "other.json").write_text('[{"folder": "gone"}]')
    assert "names the folder gone, which does not exist here." in run("other.json", "--logdir", "logs/other").output
    assert not (tmp_path / "logs" / "other").exists()


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(event_writer, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'picasso-viz\[tensorboard\]'"):
        event_writer.EventWriter(tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


def test_events_need_no_tensorflow_and_survive_a_kill(tmp_path: Path) -> None:
    """Each event is in the file at once; half of a further one does no harm."""
    code = f"""
import os, signal, sys
from pathlib import Path
from picasso.summaries.event_writer import EventWriter
events = EventWriter(Path({str(tmp_path)!r}))
for step in range(3):
    events.scalar("loss", step / 2, step)
events.scalar("loss", float("nan"), 3)
assert "tensorflow" not in sys.modules
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (file,) = tmp_path.iterdir()
    assert values(read(tmp_path), "loss") == {0: 0.0, 1: 0.5, 2: 1.0}
    file.write_bytes(file.read_bytes()[:-5])
    assert values(read(tmp_path), "loss") == {0: 0.0, 1: 0.5}
