"""Job scripts, Dockerfiles and settings: linted, and what comes of them looked at."""

import shutil
import subprocess
import sys
from pathlib import Path

import dask
import dask_jobqueue
import pytest
import yaml

from tests.conftest import missing
from tilestyle.cluster.connect import CONFIG
from tilestyle.cluster.queues import CLUSTERS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SCRIPTS = [
    path
    for folder in (DEPLOY, ROOT / "tests" / "services")
    for suffix in ("sh", "sbatch", "pbs", "bsub")
    for path in folder.rglob(f"*.{suffix}")
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_clean(path: Path) -> None:
    if not shutil.which("shellcheck"):
        missing("shellcheck (make services)")
    done = subprocess.run(
        ["shellcheck", "--external-sources", path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("ending", ["kill -TERM $$", "exit 75", "exit 0"])
def test_a_job_ends_however_its_run_does(ending: str, tmp_path: Path) -> None:
    """Also where SIGTERM ends the driver before it can say 75."""
    script = f"""
        set -euo pipefail
        tilestyle() {{ if [ "$1" = run ]; then bash -c '{ending}'; else mkdir -p "$4"; fi; }}
        dask() {{ touch "$PWD/scheduler"; echo "{{}}" > "$7"; sleep 60; }}
        . deploy/job.sh
        launch=(true)
        run_job c.tif s.tif o.tif
        echo "code $code"
        exit "$code"
    """
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    code = {"exit 75": 75, "exit 0": 0}.get(ending, 143)
    assert done.returncode == code, done.stderr
    assert f"code {code}" in done.stdout
    assert not list(tmp_path.glob(".tilestyle-job.*"))


@pytest.mark.parametrize("path", sorted((DEPLOY / "docker").iterdir()), ids=lambda path: path.name)
def test_a_dockerfile_is_clean(path: Path) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", CLUSTERS)
def test_what_is_submitted_as_a_worker(kind: str, tmp_path: Path) -> None:
    settings = yaml.safe_load((DEPLOY / kind / "jobqueue.yaml").read_text())
    settings["jobqueue"][kind]["log-directory"] = str(tmp_path)
    job = getattr(dask_jobqueue, CLUSTERS[kind]).job_cls
    with dask.config.set(dask.config.merge(dask.config.config, settings)):
        script = job("tls://10.0.0.1:1", name="one", processes=1).job_script()
    assert "gpu" in script
    assert "--resources GPU=1" in script
    assert "--memory-limit 16.00GiB" in script


def test_settings_of_the_workers_are_those_of_a_local_cluster() -> None:
    given = yaml.safe_load((DEPLOY / "dask.yaml").read_text())
    for key, value in CONFIG.items():
        if key.startswith(("distributed.worker.memory", "distributed.scheduler")):
            assert dask.config.get(key, config=given) == value, key
