"""``picasso audit --log-to mlflow``, read back from a database by MLflow itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.audit.test_audit import audit
from tests.docs.blocks import ROOT

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
    # The audit of a model that was trained in a run belongs to that run.
    training = client.create_run(experiment).info.run_id
    run(MLFLOW_RUN_ID=training)
    assert client.get_run(training).data.metrics == found.data.metrics
