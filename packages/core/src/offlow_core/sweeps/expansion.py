"""From tables to jobs: agents x tasks x grid x seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product

from offlow_core.suites import canonical_name
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job import Job, difference, job_name
from offlow_core.sweeps.study import StudyTable
from offlow_core.training.option_tokens import near

RESERVED = ("seed", "num_seeds", "save_dir", "resume", "env_name", "agent", "preset", "print_config")
"""Options that the sweep itself sets."""
USUAL_PRESET = "paper"  # any other one is part of a job's name


@dataclass(frozen=True)
class Selection:
    """What of the tables is wanted, and what differs from them."""

    tasks: Sequence[str] = ()
    """Names or patterns; empty: all."""
    agents: Sequence[str] = ()
    seeds: Sequence[int] = ()
    """Empty: as many as a table says, from 0."""
    grid: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    """Options of all jobs."""
    together: bool = False
    """Seeds of a row in one program, where a table says that this makes it faster."""

    def __post_init__(self) -> None:
        for name in (*self.grid, *self.settings):
            if name in RESERVED:
                raise SweepError(f"--{name} is not free: the sweep sets it; choose with --task, --agent and --seeds")
        both = sorted(set(self.grid) & set(self.settings))
        if both:
            raise SweepError(f"{both[0]} is in both --grid and --set")
        if len(set(self.seeds)) != len(self.seeds) or any(seed < 0 for seed in self.seeds):
            raise SweepError(f"seeds must be different and at least 0, got {list(self.seeds)}")


def expand_tables(tables: Iterable[StudyTable], selection: Selection) -> list[Job]:
    """The jobs of the tables, those that two tables share once, in the order of tables, tasks, agents and seeds.

    SweepError where nothing matches, or where jobs differ in options that their names do not tell.
    """
    tables = list(tables)
    _check_known("agent", selection.agents, {agent for table in tables for agent in table.agents})
    _check_known("task", selection.tasks, {task for table in tables for task in table.tasks})
    jobs: dict[str, Job] = {}
    for table in tables:
        for job in _jobs_of(table, selection):
            if jobs.setdefault(job.name, job) != job:
                raise SweepError(
                    f"{table.path} and another table make different jobs called {job.name}: "
                    f"{difference(jobs[job.name], job)}; give one of them a `label`, or each an --out"
                )
    if not jobs:
        raise SweepError("no table has one of these agents on one of these tasks; offlow reproduce --list shows them")
    return list(jobs.values())


def _jobs_of(table: StudyTable, selection: Selection) -> Iterable[Job]:
    tasks = [task for task in table.tasks if not selection.tasks or _matches(task, selection.tasks)]
    agents = [agent for agent in table.agents if not selection.agents or _matches(agent, selection.agents)]
    for task, agent, values in product(tasks, agents, product(*selection.grid.values())):
        varied = dict(zip(selection.grid, values, strict=True))
        for seeds in _programs(table, selection):
            yield _job(table, task, agent, varied, selection.settings, seeds)


def _job(
    table: StudyTable,
    task: str,
    agent: str,
    varied: Mapping[str, str],
    settings: Mapping[str, str],
    seeds: tuple[int, ...],
) -> Job:
    by_task = [options for pattern, options in table.task_options.items() if fnmatchcase(task, pattern)]
    options = dict(table.options)
    for changes in (table.agent_options.get(agent, {}), *by_task, varied, settings):
        options |= changes
    words = [f"--agent={agent}", f"--env_name={task}"]
    words += [f"--preset={table.preset}"] if table.preset else []
    words += [f"--{option}={text}" for option, text in options.items()]
    # Another preset is another setting of the same agent, as a value of the grid is.
    unusual = {"preset": table.preset} if table.preset not in (None, USUAL_PRESET) else {}
    label = f"{agent}--{table.label}" if table.label else agent
    name = job_name(task, label, {**unusual, **varied}, seeds)
    return Job(name, table.package, table.command, tuple(words), seeds)


def _programs(table: StudyTable, selection: Selection) -> list[tuple[int, ...]]:
    seeds = tuple(selection.seeds or range(table.seeds))
    return [seeds] if selection.together and table.batched_seeds else [(seed,) for seed in seeds]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a task or an agent is like one of the patterns; a task may have another of its names."""
    return any(fnmatchcase(name, pattern) or canonical_name(pattern) == canonical_name(name) for pattern in patterns)


def _check_known(what: str, wanted: Sequence[str], known: set[str]) -> None:
    for name in wanted:
        if not any(_matches(one, [name]) for one in known):
            raise SweepError(f"no chosen table has the {what} {name!r}; {near(name, sorted(known))}")
