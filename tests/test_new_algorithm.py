"""The package that docs/new-algorithm.md builds can be trained and evaluated as it stands there."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "new-algorithm.md"
OWN_DATA = PAGE.with_name("own-data.md")
CODE = dict(re.findall(r"`packages/bon/([\w./]+)`:\n+```\w+\n(.*?)^```$", PAGE.read_text(), re.M | re.S))
SMALL = ["--agent.actor_hidden_dims=4", "--agent.value_hidden_dims=4", "--agent.flow_steps=2", "--agent.batch_size=4"]


@pytest.fixture
def package(tmp_path):
    """The page's files in a folder, beside data and an environment like those of docs/own-data.md."""
    for name, text in {**CODE, "src/offlow_bon/__init__.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    _, environment = re.findall(r"^```python\n(.*?)^```$", OWN_DATA.read_text(), re.M | re.S)
    (tmp_path / "reach.py").write_text(environment)
    states, actions = np.random.default_rng(0).uniform(-1, 1, (2, 50, 1))
    rows = {"observations": states, "actions": actions, "rewards": states[:, 0], "terminals": np.arange(50) % 10 == 9}
    np.savez(tmp_path / "reach.npz", **rows)
    return tmp_path


def run_in(package, *words):
    environment = {**os.environ, "PYTHONPATH": str(package / "src"), "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    script = "import sys; from offlow_bon.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_shows_every_file_that_it_needs():
    modules = {"config.py", "bon.py", "main.py"}
    assert set(CODE) == {"pyproject.toml", "tests/test_bon.py", *(f"src/offlow_bon/{name}" for name in modules)}


def test_its_project_has_the_entry_points_of_the_code():
    project = tomllib.loads(CODE["pyproject.toml"])["project"]
    assert project["scripts"] == {"bon": "offlow_bon.main:main"}
    assert project["entry-points"]["offlow.algorithms"] == {"bon": "offlow_bon.main:ALGORITHM"}
    for name in ("def main(", "ALGORITHM = "):
        assert f"\n{name}" in CODE["src/offlow_bon/main.py"]


def test_its_command_prints_trains_and_evaluates(package):
    task = ["--env_name=own/reach", "--dataset_path=reach.npz", "--environment=reach:Reach"]
    words = [*task, "--offline_steps=3", "--eval_interval=0", *SMALL]
    assert json.loads(run_in(package, *words, "--print_config"))["agent"]["agent_name"] == "bon"
    run_in(package, *words)
    (run,) = (package / "runs/own_reach/bon").iterdir()
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert "return" in run_in(
        package, "evaluate", str(run), "--episodes=1", "--eval_workers=0", "--environment=reach:Reach"
    )
