"""The tutorial on own data, as its reader would follow it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from offlow_core.training.run_directory import RunDirectory
from offlow_fac.main import main

PAGE = (Path(__file__).parents[3] / "docs/own-data.md").read_text()
SCRIPTS = re.findall(r"`(\w+\.py)`:\n+```python\n(.*?)```", PAGE, re.S)
(COMMAND,) = re.findall(r"^uv run --package offlow-fac fac (.*?)^```", PAGE.replace("\\\n", ""), re.M | re.S)
(ADDED,) = re.findall(r"add `(--environment=.*?)`", PAGE)
QUICK = ["--offline_steps=4", "--log_interval=2", "--eval_episodes=2", "--eval_workers=0"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the reader has written both files and run the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in SCRIPTS:
        Path(name).write_text(text)
    subprocess.run([sys.executable, SCRIPTS[0][0]], check=True)
    yield tmp_path
    sys.modules.pop("reach", None)


def train(*further: str) -> RunDirectory:
    assert main([*shlex.split(COMMAND), *further]) == 0
    (path,) = Path("runs").glob("*/*/*/status.json")
    return RunDirectory.open(path.parent)


def test_the_page_has_two_files_and_stays_short():
    assert [name for name, _ in SCRIPTS] == ["reach_data.py", "reach.py"]
    assert len(PAGE.splitlines()) < 40


def test_without_an_environment_there_is_an_agent_but_no_evaluation(folder, capfd):
    run = train(*QUICK)
    assert run.status["state"] == "finished"
    assert run.checkpoints.latest().meta["step"] == 4
    assert not (run.path / "eval.csv").exists()
    assert run.path.parent == Path("runs/own_reach/fql")
    assert run.manifest["dataset"]["transitions"] == {"train": 5000}
    shown = capfd.readouterr()
    assert "own/reach has no environment: it is trained on without evaluation" in shown.err
    assert "no evaluation" in shown.out


def test_with_an_environment_it_is_evaluated(folder):
    run = train(ADDED.split()[0], *QUICK)
    assert run.status["state"] == "finished"
    assert run.manifest["semantics"]["environment"] == "reach:Reach"
    evaluation = run.read("eval")
    assert evaluation["length"].tolist() == [20, 20]
    np.testing.assert_array_equal(evaluation["score"], evaluation["return"])
    assert main(["evaluate", str(run.path), "--episodes=1", "--eval_envs=1", "--eval_workers=0"]) == 0


@pytest.mark.slow
def test_the_agent_learns_what_the_page_says(folder):
    run = train(*ADDED.split())
    assert -2 < run.read("eval")["return"][-1] < -0.5
