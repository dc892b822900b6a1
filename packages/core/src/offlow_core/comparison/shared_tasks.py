"""Over which tasks methods are aggregated that were not all run on all of them, and what then has to be said."""

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import combinations


def shared_tasks(tasks_of: Mapping[str, Collection[str]], tasks: Sequence[str]) -> list[str]:
    """All tasks, if two methods have scores on all of them, or there is only one method.

    Otherwise, of the sets of tasks that some two methods share, that with the most scores to compare: the number of
    methods that have all of the set, times that of its tasks; of equals, that with more methods, then the first by
    name. All tasks where no two methods share any.
    """
    having = [frozenset(names) for names in tasks_of.values()]
    if sum(names.issuperset(tasks) for names in having) >= min(2, len(having)):
        return list(tasks)
    shared = {first & second for first, second in combinations(having, 2)} - {frozenset()}
    methods = {names: sum(names <= other for other in having) for names in shared}
    best = min(shared, key=lambda names: (-methods[names] * len(names), -methods[names], sorted(names)), default=tasks)
    return [task for task in tasks if task in best]


def lacking(tasks_of: Mapping[str, Collection[str]], tasks: Sequence[str], known: Sequence[str]) -> list[str]:
    """One remark for all methods that lack the same of `tasks`: what they lack, and which --tasks include them.

    `known` are all tasks of the suite, of which --tasks takes some.
    """
    methods: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for method, names in tasks_of.items():
        if missing := tuple(task for task in tasks if task not in names):
            instead = [task for task in tasks if task in names] or [task for task in known if task in names]
            methods[missing, tuple(instead)].append(method)
    return [
        f"{', '.join(names)}: no score on {', '.join(patterns(missing, known))}"
        + (f"; compared with --tasks {shlex.join(patterns(instead, known))}" if instead else "")
        for (missing, instead), names in methods.items()
    ]


def patterns(tasks: Sequence[str], known: Sequence[str]) -> list[str]:
    """The words for --tasks that stand for `tasks` and no other of the `known` ones: numbered tasks as `task*`."""
    others = [task for task in known if task not in tasks]
    found = {}
    for task in tasks:
        pattern = re.sub(r"task\d+", "task*", task)
        is_alone = sum(fnmatchcase(other, pattern) for other in tasks) == 1
        found[task if is_alone or any(fnmatchcase(other, pattern) for other in others) else pattern] = None
    return list(found)
