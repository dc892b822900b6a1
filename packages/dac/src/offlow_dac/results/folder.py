"""A folder of results: configuration, scores per seed and over seeds, and their curve."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offlow_core.files import atomic_file
from offlow_core.suites.score import ScoreRule
from offlow_core.suites.task import Task
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.seed_curves import plot_curves
from offlow_dac.results.curves import RULE, seed_curve
from offlow_dac.results.scores import ResultsError, scores_of, write_final, write_seed

NAME = "results"


def conclude(runs: Sequence[RunDirectory], task: Task) -> None:
    """Write the results of a session's seeds into the folder `results` of the first; says where."""
    if task.make_environment is None or not all(len(run.read("episodes")["step"]) for run in runs):
        return  # never evaluated
    folder = runs[0].path / NAME
    write_results(runs, folder, task.score)
    print(f"{folder}: scores of {len(runs)} seed{'s' * (len(runs) > 1)}, as the official code keeps them")


def write_results(runs: Sequence[RunDirectory], folder: Path, score: ScoreRule) -> None:
    """config.txt, seed_<seed>.txt, final_mean_scores.txt and training_curve.png from the seeds of one method."""
    _check_alike(runs)
    folder.mkdir(parents=True, exist_ok=True)
    seeds = sorted((scores_of(run, score) for run in runs), key=lambda scores: scores.seed)
    with atomic_file(folder / "config.txt") as file:
        file.write("".join(f"{name} = {value}\n" for name, value in _flat(runs[0].config).items()).encode())
    for scores in seeds:
        write_seed(scores, folder)
    write_final(seeds, folder)
    task, algorithm, _ = runs[0].path.resolve().parts[-3:]
    curve = seed_curve(algorithm, seeds)
    plot_curves([curve], folder / "training_curve.png", title=f"{algorithm} on {task}", rule=RULE, score=score)


def _check_alike(runs: Sequence[RunDirectory]) -> None:
    """Means over seeds are of one method only."""
    configurations = [_flat(run.config) for run in runs]
    first, names = configurations[0], {run.config["seed"] for run in runs}
    if len(names) < len(runs):
        raise ResultsError(f"expected runs of different seeds, got {sorted(run.config['seed'] for run in runs)}")
    for run, configuration in zip(runs, configurations, strict=True):
        differing = [n for n, value in configuration.items() if n not in _PER_SEED and first.get(n) != value]
        if differing:
            name = differing[0]
            raise ResultsError(
                f"expected seeds of one method, but {name} is {first.get(name)!r} in {runs[0].path} and "
                f"{configuration[name]!r} in {run.path}; name the runs of one at a time"
            )


_PER_SEED = {"seed", "num_seeds", "save_dir", "d4rl_goal_seed"}


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    agent = {f"agent.{name}": value for name, value in config["agent"].items()}
    return {name: value for name, value in config.items() if name != "agent"} | agent
