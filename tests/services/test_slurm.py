"""A picture on Slurm: as one job, and with workers as jobs; whatever is lost, the same bytes."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import yaml

from tests.services.slurm import PATIENCE, Slurm, wait_for
from tilestyle.cli import cli

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
TILESTYLE = str(Path(sys.executable).parent / "tilestyle")
CONFIG = {
    "pyramid": {"coarsest": 100},
    "patch": {"core": 128, "overlap": 32, "blend": 16},
    "solver": {"steps": 10, "min_steps": 10},
    "cluster": {"kind": "threads", "workers": 1},
}


@dataclass
class Job:
    """A run's files."""

    folder: Path
    images: list[str] = field(init=False)
    config: str = field(init=False)

    def __post_init__(self) -> None:
        self.images = [str(self.folder / name) for name in ("content.tif", "style.tif")]
        self.config = str(self.folder / "config.yaml")

    @property
    def output(self) -> Path:
        return self.folder / "out.tif"

    @property
    def arguments(self) -> list[str]:
        return [*self.images, "--output", str(self.output), "--config", self.config]

    def begun(self) -> bool:
        """Whether the finest level has taken some iterations."""
        record = self.folder / "out.tilestyle" / "zarr.json"
        if not record.is_file():
            return False
        progress = json.loads(record.read_text())["attributes"].get("progress")
        return bool(progress and progress["level"] == 0 and progress["iteration"] >= 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A content, a style, a config, and what they give without any cluster."""
    folder = tmp_path_factory.mktemp("pictures")
    job = Job(folder)
    for kind, path, size in zip(
        ("content", "style"), job.images, ("300x200", "160x140"), strict=True
    ):
        cli.main(["sample", kind, "--size", size, "--output", path], standalone_mode=False)
    Path(job.config).write_text(yaml.safe_dump(CONFIG))
    cli.main(["run", *job.arguments], standalone_mode=False)
    return folder


@pytest.fixture
def job(tmp_path: Path, pictures: Path) -> Job:
    for path in (*Job(pictures).images, Job(pictures).config):
        (tmp_path / Path(path).name).symlink_to(path)
    return Job(tmp_path)


@pytest.fixture
def expected(pictures: Path) -> bytes:
    return Job(pictures).output.read_bytes()


def submit(slurm: Slurm, job: Job) -> str:
    """Submit the job script, with what two cores can do; returns the job's id."""
    options = ["--ntasks=2", "--cpus-per-task=1", "--mem-per-cpu=900M", "--signal=B:TERM@60"]
    log = f"--output={job.folder / 'log'}"
    script = ROOT / "deploy" / "slurm" / "tilestyle.sbatch"
    where = {"TILESTYLE_BIN": str(Path(TILESTYLE).parent), "TILESTYLE_INTERFACE": "lo"}
    rest = [*job.images, str(job.output), "--config", job.config]
    command: list[str | Path] = ["sbatch", "--parsable", *options, log, script, *rest]
    return slurm.run(*command, cwd=ROOT, env=os.environ | where)


def finish(slurm: Slurm, job: Job, number: str) -> dict[str, str]:
    wait_for(lambda: slurm.ended(number), "the end of the job")
    state = slurm.job(number)
    said = (job.folder / "log").read_text()
    assert (state["JobState"], state["ExitCode"]) == ("COMPLETED", "0:0"), said
    return state


def test_a_job_told_to_stop_goes_on_by_itself(slurm: Slurm, job: Job, expected: bytes) -> None:
    number = submit(slurm, job)
    wait_for(job.begun, "an iteration of the finest level")
    slurm.run("scancel", "--signal=TERM", "--batch", number)  # what --signal=B:TERM@... does
    state = finish(slurm, job, number)
    assert state["Restarts"] == "1"
    assert "interrupted; run the same command again" in (job.folder / "log").read_text()
    assert job.output.read_bytes() == expected
    assert not list(ROOT.glob(".tilestyle-job.*"))


def test_a_job_that_loses_its_machine_goes_on_by_itself(
    slurm: Slurm, job: Job, expected: bytes
) -> None:
    number = submit(slurm, job)
    wait_for(job.begun, "an iteration of the finest level")
    node = slurm.job(number)["BatchHost"]
    slurm.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    state = finish(slurm, job, number)
    assert state["Restarts"] == "1"
    assert job.output.read_bytes() == expected


@pytest.fixture
def jobqueue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Dask's settings: those of deploy/, with what two cores can do."""
    settings = yaml.safe_load((ROOT / "deploy" / "slurm" / "jobqueue.yaml").read_text())
    settings["jobqueue"]["slurm"] |= {
        "cores": 1,
        "memory": "900MiB",
        "interface": "lo",
        "log-directory": str(tmp_path / "logs"),
        "worker-extra-args": ["--resources", "GPU=1"],
    }
    folder = tmp_path / "dask"
    folder.mkdir()
    (folder / "jobqueue.yaml").write_text(yaml.safe_dump(settings))
    (folder / "dask.yaml").symlink_to(ROOT / "deploy" / "dask.yaml")
    monkeypatch.setenv("DASK_CONFIG", str(folder))
    return folder


def listening(process: psutil.Process) -> set[str]:
    """Addresses on which a process and its children listen."""
    family = [process, *process.children(recursive=True)]
    sockets = (c for member in family for c in member.net_connections("inet"))
    return {c.laddr.ip for c in sockets if c.status == psutil.CONN_LISTEN}


@pytest.mark.usefixtures("jobqueue")
def test_workers_as_jobs_one_of_which_is_lost(slurm: Slurm, job: Job, expected: bytes) -> None:
    command = [TILESTYLE, "run", *job.arguments, "--cluster", "slurm", "--workers", "2"]
    driver = subprocess.Popen(command, cwd=job.folder, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: driver.poll() is not None or job.begun(), "an iteration")
        workers = slurm.jobs()
        assert len(workers) == 2
        assert all("gpu" in slurm.job(worker)["TresPerTask"] for worker in workers)
        assert listening(psutil.Process(driver.pid)) == {"127.0.0.1"}
        script = slurm.run("scontrol", "write", "batch_script", workers[0], "-")
        assert "--protocol tls" in script
        assert "PRIVATE KEY" not in script
        slurm.run("scancel", workers[0])
        error = driver.communicate(timeout=PATIENCE)[1]
    finally:
        driver.kill()
    assert driver.returncode == 0, error
    assert job.output.read_bytes() == expected
    assert "PRIVATE KEY" not in (job.folder / "out.tilestyle" / "zarr.json").read_text()
    assert not list(job.folder.glob(".dask-jobqueue.*"))


@pytest.mark.usefixtures("jobqueue")
def test_a_job_that_slurm_refuses(slurm: Slurm, job: Job, jobqueue: Path) -> None:
    settings = yaml.safe_load((jobqueue / "jobqueue.yaml").read_text())
    settings["jobqueue"]["slurm"]["job-extra-directives"] = ["--gres=gpu:9"]
    (jobqueue / "jobqueue.yaml").write_text(yaml.safe_dump(settings))
    command = [TILESTYLE, "run", *job.arguments, "--cluster", "slurm"]
    done = subprocess.run(command, cwd=job.folder, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "no job could be submitted: sbatch: error: Batch job submission failed" in line
    assert not job.output.exists()
