"""What can be known of one finished run without the package that made it: read from its directory, and judged."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from offlow_core.errors import UserError
from offlow_core.nested import flattened
from offlow_core.suites import canonical_name
from offlow_core.training.options import RunOptions
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.run_scores import BEST, LAST, LAST_K, final_scores, mean_rule
from offlow_core.training.saved_scores import saved_scores

RETURN = "return"
"""Name of the score of tasks without a reference: their scores have no common scale, so they are not aggregated."""

_named = cache(canonical_name)


class UnusableRunError(UserError, ValueError):
    """A run that must not enter a comparison; the message says why."""


@dataclass(frozen=True, eq=False)
class RunRecord:
    """One run that has finished. Everything is as its files say."""

    path: Path
    task: str
    """Canonical name."""
    suite: str
    agent: str
    seed: int
    options: Mapping[str, Any]
    """The resolved configuration, nested options under dotted names, without what cannot change a result."""
    score: str
    """What the score is called: "success", "normalised return", or "return" where it has no reference."""
    steps: np.ndarray
    """Steps [n] of the evaluations."""
    scores: np.ndarray
    """Their scores [n], all finite."""
    seconds: np.ndarray
    """Seconds [n] of training before each evaluation; NaN where the run does not tell."""
    selected: Mapping[str, float]
    """Further final scores by the name of their rule, as the run's package or later evaluations reported them."""
    unusable: Mapping[Path, str]
    """Files of later evaluations that are damaged, with the reason: the run counts without them."""
    started: str
    """When, in ISO format."""
    total_steps: int
    """How long the run was asked to train."""
    dataset: str
    """Checksum of the training data."""
    own_data: bool
    """Whether the data came from a file that the user named, so that they need not be the published ones."""
    semantics: Mapping[str, Any]
    """What the suite says of the task, under dotted names, without how an algorithm prepares the data."""
    versions: Mapping[str, str]
    """Distributions of this project that made the run."""
    software: Mapping[str, str]
    """Revision of this project, Python and packages that made the run, by name."""
    machine: str
    """Device and platform."""

    @property
    def made_with(self) -> str:
        """All software and the machine, in words."""
        return "; ".join([", ".join(f"{name} {text}" for name, text in self.software.items()), self.machine])


def read_run(path: Path) -> RunRecord:
    """The record of the run in `path`; UnusableRunError where it cannot be used, whatever is wrong with it."""
    try:
        run = RunDirectory.open(path)
        status = run.status
        _check_finished(run, status)
        return _record(run, status)
    except UnusableRunError:
        raise
    except UserError as error:
        raise UnusableRunError(str(error).removeprefix(str(path)).lstrip(":/ ")) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UnusableRunError(
            f"its files are not laid out as this version writes them ({type(error).__name__}: {error}); "
            "it was made by another version, or changed by hand"
        ) from error
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise UnusableRunError(f"damaged: {error}") from error


def _check_finished(run: RunDirectory, status: Mapping[str, Any]) -> None:
    state = status["state"]
    if state == "running":
        state = "still running" if run.is_in_use() else "killed before its end"
    elif state == "failed":
        state = f"failed: {status['error']['type']}: {status['error']['message']}"
    if state != "finished":
        raise UnusableRunError(f"{state}; continue with --resume {run.path}")


def _record(run: RunDirectory, status: Mapping[str, Any]) -> RunRecord:
    config, manifest = run.config, run.manifest
    irrelevant = RunOptions.changeable.union(manifest.get("changeable", ()))
    steps, scores = _evaluations(run)
    total_steps = int(manifest.get("total_steps", steps[-1]))
    _check_steps(steps, config.get("eval_interval"), total_steps)
    timing = _timing(run, steps)
    reported = _numbers(status.get("scores", {}))
    _check_reported(reported, final_scores(steps, scores))
    semantics = manifest["semantics"]
    evaluations, unusable = saved_scores(run.path)
    selected = {rule: value for rule, value in reported.items() if rule not in (LAST, BEST, mean_rule(LAST_K))}
    return RunRecord(
        path=run.path,
        task=_named(_text(config["env_name"])),
        suite=_text(semantics["suite"]),
        agent=_text(config["agent"]["agent_name"]),
        seed=_whole(config["seed"]),
        options={name: value for name, value in flattened(config) if name not in irrelevant},
        score=_text(semantics.get("score", "success")),
        steps=steps,
        scores=scores,
        seconds=_training_seconds(timing, steps),
        selected=selected | {found.rule(steps[-1]): float(found.score) for found in evaluations},
        unusable=unusable,
        started=datetime.fromisoformat(_text(status["started"])).isoformat(),
        total_steps=total_steps,
        dataset=_text(_checksum(manifest["dataset"])),
        own_data=manifest["dataset"].get("source") == "dataset_path",
        semantics=dict(flattened({k: v for k, v in semantics.items() if k not in ("dataset_rules", "score")})),
        versions={name: _text(text) for name, text in manifest["packages"].items() if name.startswith("offlow-")},
        software=_software(manifest),
        machine=f"{manifest['device']}; {manifest['platform']}",
    )


def _evaluations(run: RunDirectory) -> tuple[np.ndarray, np.ndarray]:
    table = run.read("eval")
    if "score" not in table:
        raise UnusableRunError("it was never evaluated: eval.csv has no score")
    steps, scores = table["step"], table["score"]
    if len(steps) == 0 or not np.isfinite(scores).all():
        raise UnusableRunError(
            "eval.csv has no scores" if len(steps) == 0 else "eval.csv has scores that are no numbers"
        )
    if not (np.diff(steps) > 0).all():
        raise UnusableRunError("damaged: the steps in eval.csv do not increase")
    return steps, scores


def _check_steps(steps: np.ndarray, interval: Any, total_steps: int) -> None:
    """Whether every evaluation that was due until the last one is there, and none beyond the run's end."""
    if isinstance(interval, int) and interval > 0:
        due = steps[(steps > 0) & (steps % interval == 0)]
        if len(due) < steps[-1] // interval:
            expected = interval * np.arange(1, len(due) + 2)  # no longer than what is there, however large a step is
            missing = expected[np.append(due, 0) != expected][0]
            reason = f"evaluated every {interval} steps, but eval.csv has none of step {missing}"
            raise UnusableRunError(f"damaged: {reason}")
    if steps[-1] > total_steps:
        raise UnusableRunError(f"damaged: eval.csv ends at step {steps[-1]} of a run of {total_steps}")


def _timing(run: RunDirectory, steps: np.ndarray) -> Mapping[str, np.ndarray]:
    """The run's timing.csv; records of older runs may lack it, but one that is there must fit the evaluations."""
    timing = run.read("timing")
    if not (run.path / "timing.csv").exists():
        return timing
    end = max(timing["step"], default=0)
    if steps[-1] < end:
        raise UnusableRunError(f"its last evaluation is of step {steps[-1]}, but it trained until step {end}")
    if steps[-1] > end:
        raise UnusableRunError(f"damaged: timing.csv ends at step {end}, eval.csv at step {steps[-1]}")
    seconds = timing.get("training_s", np.zeros(0))
    seconds = seconds[np.isfinite(seconds)]
    if (np.diff(seconds, prepend=0) < 0).any():
        raise UnusableRunError("damaged: the seconds of training in timing.csv do not increase from 0")
    return timing


def _check_reported(reported: Mapping[str, float], computed: Mapping[str, float]) -> None:
    """Whether eval.csv still says what the run reported when it finished, by every rule that needs no more than it."""
    for rule, score in computed.items():
        if not math.isclose(reported.get(rule, score), score, rel_tol=1e-9, abs_tol=1e-9):
            raise UnusableRunError(
                f"damaged: by eval.csv its score is {score:g} ({rule}), but when it finished it reported "
                f"{reported[rule]:g}"
            )


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """Scores by rule, all finite."""
    found = {str(rule): float(score) for rule, score in scores.items()}
    for rule, score in found.items():
        if not math.isfinite(score):
            raise UnusableRunError(f"its score by the rule {rule!r} is {score}")
    return found


def _training_seconds(timing: Mapping[str, np.ndarray], steps: np.ndarray) -> np.ndarray:
    """Seconds [n] of training until each step [n], without evaluations; those of all seeds that trained together."""
    known = np.isfinite(timing.get("training_s", np.zeros(0)))
    if not known.any():
        return np.full(len(steps), math.nan)
    start = ([0], [0.0]) if timing["step"][known][0] > 0 else ([], [])
    return np.interp(steps, [*start[0], *timing["step"][known]], [*start[1], *timing["training_s"][known]])


def _checksum(dataset: Mapping[str, Any]) -> str:
    """Of the training files, where there are files: packages prepare the arrays in them differently."""
    files = sorted(file["sha256"] for file in dataset.get("files", []) if file.get("role") == "train")
    if len(files) > 1:
        return hashlib.sha256("+".join(files).encode()).hexdigest()
    return files[0] if files else dataset["sha256"]


def _software(manifest: Mapping[str, Any]) -> dict[str, str]:
    git = manifest.get("git")
    revision = "unknown" if git is None else git["revision"][:12] + (" with changes" if git["dirty"] else "")
    packages = {name: _text(text) for name, text in manifest["packages"].items()}
    return {"revision": revision, "Python": _text(manifest["python"]), **packages}


def _whole(value: Any) -> int:
    if type(value) is not int:  # a truth value is none
        raise TypeError(f"expected a whole number, got {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value
