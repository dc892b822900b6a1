"""What must be the same for scores to be compared, and the refusal where it is not."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from offlow_core.errors import UserError
from offlow_core.training.run_record import RunRecord
from offlow_core.wording import counted

Facts = Callable[[RunRecord], Mapping[str, Any]]

KINDS: Mapping[str, Facts] = MappingProxyType(
    {
        "protocol": lambda run: {
            "episodes per evaluation": run.options.get("eval_episodes"),
            "steps between evaluations": run.options.get("eval_interval"),
        },
        "budget": lambda run: {
            "steps of training": run.total_steps,
            "of them online": run.options.get("online_steps", 0),
        },
        "dataset": lambda run: {"checksum of the dataset": run.dataset},
        "semantics": lambda run: {
            "kind of score": run.score,
            **{f"the task's {name}": value for name, value in run.semantics.items()},
        },
    }
)
"""What is compared, by the word that allows it to differ."""

NOT_RECORDED = "not recorded"


class IncomparableError(UserError, ValueError):
    """Runs of one task that were trained or judged under different conditions."""


def conditions(run: RunRecord) -> dict[str, str]:
    """All facts of a run that must be the same, as text."""
    return {name: _short(str(value)) for facts in KINDS.values() for name, value in facts(run).items()}


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


def made_differently(methods: Mapping[str, Sequence[RunRecord]]) -> list[str]:
    """One sentence per method and piece of software that is not the same for all of its runs.

    Not of this project's own packages, whose versions are judged before (`without_older_versions`).
    """

    def others(run: RunRecord) -> Mapping[str, Any]:
        return {name: text for name, text in run.software.items() if not name.startswith("offlow-")}

    return [
        f"{method}: made with more than one {text.removeprefix(f'{method}: ')}"
        for method, runs in methods.items()
        for text in _differing(method, runs, others)
    ]


def _differing(task: str, runs: Sequence[RunRecord], facts: Facts) -> list[str]:
    found = [facts(run) for run in runs]
    texts = []
    for name in dict.fromkeys(name for known in found for name in known):
        by_value: dict[str, list[RunRecord]] = defaultdict(list)
        for run, known in zip(runs, found, strict=True):
            by_value[str(known.get(name, NOT_RECORDED))].append(run)
        if len(by_value) > 1:
            values = [f"{_short(value)} ({_in_words(same)})" for value, same in sorted(by_value.items())]
            texts.append(f"{task}: {name}: {'; '.join(values)}")
    return texts


def _in_words(runs: Sequence[RunRecord]) -> str:
    """The agents of runs, and where the first of them lies."""
    agents = ", ".join(sorted({run.agent for run in runs}))
    others = "" if len(runs) == 1 else f" and {counted(len(runs) - 1, 'more run')}"
    return f"{agents}: {runs[0].path}{others}"


def _short(value: str) -> str:
    """Checksums are told apart by their beginning."""
    return value[:12] if len(value) >= 64 and " " not in value else value
