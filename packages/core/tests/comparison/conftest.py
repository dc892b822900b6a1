"""Finished runs made by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from offlow_core.training.run_directory import RunDirectory

MakeRun = Callable[..., Path]


def write_run(
    root: Path,
    agent: str = "fac",
    task: str = "cube-single-play-singletask-task1-v0",
    seed: int = 0,
    scores: Sequence[float] = (10.0, 20.0, 60.0),
    *,
    every: int = 100,
    state: str = "finished",
    options: dict[str, Any] | None = None,
    agent_options: dict[str, Any] | None = None,
    semantics: dict[str, Any] | None = None,
    version: str = "0.1.0",
    core: str = "0.1.0",
    sha: str = "a" * 64,
    total_steps: int | None = None,
    selected: dict[str, float] | None = None,
    rate: float | None = 50.0,
) -> Path:
    """A run whose evaluations, one every `every` steps, have these scores; trained at `rate` updates per second."""
    config = {"env_name": task, "seed": seed, "save_dir": str(root), "eval_interval": every, "eval_episodes": 5}
    config |= {"agent": {"agent_name": agent, **(agent_options or {})}, **(options or {})}
    manifest = {
        "packages": {"offlow-core": core, f"offlow-{agent}": version, "numpy": "2.4.6"},
        "git": {"revision": "0123456789abcdef", "dirty": False},
        "python": "3.11.7",
        "platform": "Linux",
        "device": "cpu",
        "dataset": {"source": "dataset_path", "files": [{"role": "train", "sha256": sha}], "sha256": "b" * 64},
        "semantics": {"suite": "ogbench", "score": "success", "success_timing": "pre", **(semantics or {})},
        "total_steps": every * len(scores) if total_steps is None else total_steps,
    }
    with RunDirectory.create(root, task, agent, seed, config, manifest) as run:
        for i, score in enumerate(scores, start=1):
            run.log_eval(every * i, {"score": score, "return": score})
            if rate is not None:
                run.log_timing(every * i, {"updates_per_s": rate, "training_s": every * i / rate})
                run.log_timing(every * i, {"evaluation_s": 1.0})
        rules = {"last": scores[-1]} if scores else {}
        run.set_status(state, scores=rules | (selected or {}))
    return run.path


@pytest.fixture
def make_run(tmp_path) -> MakeRun:
    """`write_run` into the test's folder `runs`."""
    return lambda *words, **options: write_run(tmp_path / "runs", *words, **options)
