"""What must be the same for scores to be compared, and the refusal where it is not."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from offlow_core.comparison.run_record import RunRecord
from offlow_core.errors import UserError

Facts = Callable[[RunRecord], Mapping[str, Any]]

KINDS: Mapping[str, Facts] = MappingProxyType(
    {
        "protocol": lambda run: {
            "episodes per evaluation": run.options.get("eval_episodes"),
            "steps between evaluations": run.options.get("eval_interval"),
        },
        "budget": lambda run: {"steps of training": run.total_steps},
        "dataset": lambda run: {"checksum of the dataset": run.dataset},
        "semantics": lambda run: {
            "kind of score": run.score,
            **{f"the suite's {name}": value for name, value in run.semantics.items()},
        },
    }
)
"""What is compared, by the word that allows it to differ."""


class IncomparableError(UserError, ValueError):
    """Runs of one task that were trained or judged under different conditions."""


def differences(methods: Mapping[str, Sequence[RunRecord]]) -> dict[str, list[str]]:
    """For each kind, one sentence per task and fact in which runs of the task differ."""
    by_task: dict[str, list[RunRecord]] = defaultdict(list)
    for runs in methods.values():
        for run in runs:
            by_task[run.task].append(run)
    return {
        kind: [text for task, runs in sorted(by_task.items()) for text in _differing(task, runs, facts)]
        for kind, facts in KINDS.items()
    }


def require_comparable(methods: Mapping[str, Sequence[RunRecord]], allowed: Collection[str]) -> list[str]:
    """The differences that were allowed; IncomparableError names all that were not."""
    found = differences(methods)
    refused = {kind: texts for kind, texts in found.items() if texts and kind not in allowed}
    if refused:
        lines = [f"  {kind}: {text}" for kind, texts in refused.items() for text in texts]
        words = " ".join(refused)
        raise IncomparableError(
            "\n".join(["these runs are not comparable:", *lines, f"leave some out, or mix them with --allow {words}"])
        )
    return [text for texts in found.values() for text in texts]


def _differing(task: str, runs: Sequence[RunRecord], facts: Facts) -> list[str]:
    found = [facts(run) for run in runs]
    texts = []
    for name in dict.fromkeys(name for known in found for name in known):
        agents: dict[str, set[str]] = defaultdict(set)
        for run, known in zip(runs, found, strict=True):
            agents[str(known.get(name, "not recorded"))].add(run.agent)
        if len(agents) > 1:
            values = [f"{_short(value)} ({', '.join(sorted(names))})" for value, names in sorted(agents.items())]
            texts.append(f"{task}: {name}: {'; '.join(values)}")
    return texts


def _short(value: str) -> str:
    """Checksums are told apart by their beginning."""
    return value[:12] if len(value) >= 64 and " " not in value else value
