"""Event files of results and audits, read back by TensorBoard."""

from __future__ import annotations

import io
import json
import subprocess
import sys
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
    assert "[Report](https://example.org/r.html)" in said
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
    assert f"There is no result.json and no audit.json in {tmp_path}." in done.output
    assert not (tmp_path / "logs").exists()
    (tmp_path / "audit.json").write_text("[]")
    assert "is not the result of an audit" in run(tmp_path, "--logdir", tmp_path / "logs").output
    (tmp_path / "audit.json").unlink()
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "result.json").write_text("{}")
    assert "can't be read; explain the image again" in run(tmp_path, "--logdir", tmp_path / "logs").output
    (tmp_path / "file").touch()
    (result,) = picasso.explain(linear, noise_image(), "PartialOcclusion", Strides=5)
    result.save(tmp_path / "good")
    done = run(tmp_path / "good", "--logdir", tmp_path / "file")
    assert done.exit_code == 2
    assert f"No event file can be written into {tmp_path / 'file'}: File exists." in done.output
    (tmp_path / "good" / "audit.json").write_text('{"findings": 3}')
    done = run(tmp_path / "good", "--logdir", tmp_path / "y")
    assert (done.exit_code, "is incomplete or damaged. Run the audit again." in done.output) == (2, True)
    assert "must be the http or https" in run(tmp_path, "--logdir", tmp_path / "x", "--link", "file:///r").output


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
