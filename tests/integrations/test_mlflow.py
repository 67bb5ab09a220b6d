"""``picasso audit`` and ``explain`` with ``--log-to mlflow``, read back from a database by MLflow itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import picasso
from tests.audit.test_audit import audit
from tests.cli.test_command import config
from tests.conftest import noise_image, png
from tests.docs.blocks import ROOT, block_of, listed

__all__ = ["config"]
mlflow = pytest.importorskip("mlflow")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_audit_is_a_run(tmp_path: Path) -> None:
    audit(tmp_path, 0.9)
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = mlflow.MlflowClient(store)
    experiment = client.create_experiment("tanks", artifact_location=(tmp_path / "artifacts").as_uri())
    words = ["audit", "images", "--config", "config.py", "--out", "out", "--log-to", "mlflow"]
    variables = os.environ | {
        "MLFLOW_TRACKING_URI": store, "MLFLOW_EXPERIMENT_NAME": "tanks", "PYTHONPATH": str(ROOT),
    }  # fmt: skip

    def run(**more: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "picasso", *words],
            cwd=tmp_path, env=variables | more, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr

    run()
    (found,) = client.search_runs([experiment])
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert found.data.metrics["audit/alarms"] == sum(one["alarm"] for one in written["findings"]) > 0
    assert found.data.metrics["audit/accuracy"] == pytest.approx(
        written["accuracy"]["right"] / written["accuracy"]["images"]
    )
    assert found.data.metrics["audit/reliance"] > 0.1
    assert found.data.tags["picasso.verdict"] == written["verdict"]
    assert found.info.status == "FINISHED"
    names = {one.path for one in client.list_artifacts(found.info.run_id, "picasso-audit")}
    assert names == {f"picasso-audit/{name}" for name in ("audit.json", "junit.xml", "report.html")}
    kept = Path(client.download_artifacts(found.info.run_id, "picasso-audit/report.html", str(tmp_path)))
    assert kept.read_bytes() == (tmp_path / "out" / "report.html").read_bytes()
    shown = [found.info.run_name, *listed(found.data.metrics), *sorted(names)]
    assert block_of("mlflow").splitlines() == shown
    # The audit of a model that was trained in a run belongs to that run.
    training = client.create_run(experiment).info.run_id
    run(MLFLOW_RUN_ID=training)
    assert client.get_run(training).data.metrics == found.data.metrics


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_results_are_a_run(config: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = mlflow.MlflowClient(store)
    experiment = client.create_experiment("digits", artifact_location=(tmp_path / "artifacts").as_uri())
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(png(noise_image(ord(name))))
    words = ["explain", "a.png", "b.png", "--config", str(config), "-v", "SaliencyMaps", "--class", "gnu"]
    done = subprocess.run(
        [sys.executable, "-m", "picasso", *words, "--out", "out", "--grade", "--log-to", "mlflow"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=os.environ | {
            "MLFLOW_TRACKING_URI": store, "MLFLOW_EXPERIMENT_NAME": "digits", "PYTHONPATH": str(ROOT)
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = client.search_runs([experiment])
    written = json.loads((tmp_path / "out" / "b-SaliencyMaps" / "result.json").read_text())
    assert found.data.metrics["explain/value/b.png/SaliencyMaps/gnu"] == pytest.approx(
        written["panels"][-1]["probability"]
    )
    assert found.data.metrics["explain/results"] == 2
    grade = json.loads((tmp_path / "out" / "SaliencyMaps-grade.json").read_text())
    assert found.data.metrics["explain/grade/SaliencyMaps/score"] == pytest.approx(grade["score"])
    assert found.info.status == "FINISHED"
    names = {one.path for one in client.list_artifacts(found.info.run_id, "picasso-explain")}
    assert names == {
        f"picasso-explain/{name}"
        for name in ("report.html", "SaliencyMaps-grade.json", "a-SaliencyMaps", "b-SaliencyMaps")
    }
    kept_in = client.download_artifacts(found.info.run_id, "picasso-explain/b-SaliencyMaps", str(tmp_path))
    kept, own = (picasso.Result.load(one) for one in (kept_in, tmp_path / "out" / "b-SaliencyMaps"))
    np.testing.assert_array_equal(kept.panels[-1].array, own.panels[-1].array)
