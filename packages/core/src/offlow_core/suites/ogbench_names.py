"""Names of OGBench's single-task problems: `[visual-]FAMILY-TYPE-singletask[-taskK]-v0`."""

import re
from dataclasses import dataclass

TASKS = range(1, 6)


@dataclass(frozen=True)
class Family:
    """One environment of OGBench with what its name implies."""

    name: str
    dataset_types: tuple[str, ...]
    episode_steps: int
    default_task: int
    visual: bool
    """Whether there is a variant with images as observations."""

    @property
    def is_maze(self) -> bool:
        return self.name.split("-")[0] in ("pointmaze", "antmaze", "humanoidmaze", "antsoccer")

    @property
    def has_ant(self) -> bool:
        return self.name.startswith("ant")

    @property
    def has_buttons(self) -> bool:
        return self.name == "scene" or self.name.startswith("puzzle")


_MAZE = ("navigate", "stitch")
_MAZE_EXPLORE = ("navigate", "stitch", "explore")
_MANIPULATION = ("play", "noisy")

FAMILIES = {
    family.name: family
    for family in (
        *(Family(f"pointmaze-{size}", _MAZE, 1000, 1, False) for size in ("medium", "large", "giant", "teleport")),
        *(Family(f"antmaze-{size}", _MAZE_EXPLORE, 1000, 1, True) for size in ("medium", "large", "teleport")),
        Family("antmaze-giant", _MAZE, 1000, 1, True),
        *(Family(f"humanoidmaze-{size}", _MAZE, 2000, 1, True) for size in ("medium", "large")),
        Family("humanoidmaze-giant", _MAZE, 4000, 1, True),
        *(Family(f"antsoccer-{size}", _MAZE, 1000, 4, False) for size in ("arena", "medium")),
        Family("cube-single", _MANIPULATION, 200, 2, True),
        Family("cube-double", _MANIPULATION, 500, 2, True),
        Family("cube-triple", _MANIPULATION, 1000, 2, True),
        Family("cube-quadruple", _MANIPULATION, 1000, 2, True),
        Family("scene", _MANIPULATION, 750, 2, True),
        Family("puzzle-3x3", _MANIPULATION, 500, 4, True),
        Family("puzzle-4x4", _MANIPULATION, 500, 4, True),
        Family("puzzle-4x5", _MANIPULATION, 1000, 2, True),
        Family("puzzle-4x6", _MANIPULATION, 1000, 2, True),
    )
}

_NAME = re.compile(r"(visual-)?(.+)-([a-z]+)-singletask(?:-task([1-5]))?-v0")


@dataclass(frozen=True)
class OGBenchName:
    """A parsed name."""

    given: str
    family: Family
    dataset_type: str
    visual: bool
    task: int

    @property
    def canonical(self) -> str:
        return f"{self._prefix}{self.family.name}-{self.dataset_type}-singletask-task{self.task}-v0"

    @property
    def dataset(self) -> str:
        """Name of the dataset, which all tasks of an environment share."""
        return f"{self._prefix}{self.family.name}-{self.dataset_type}-v0"

    @property
    def environment(self) -> str:
        """Identifier in gymnasium's registry, once `ogbench` is imported."""
        return f"{self._prefix}{self.state_environment}"

    @property
    def state_environment(self) -> str:
        """The same task with states as observations, which needs no OpenGL."""
        return f"{self.family.name}-singletask-task{self.task}-v0"

    @property
    def _prefix(self) -> str:
        return "visual-" if self.visual else ""


def parse(name: str) -> OGBenchName | None:
    """The parts of a name, or None where it is no single-task name of OGBench."""
    match = _NAME.fullmatch(name)
    if match is None or match[2] not in FAMILIES:
        return None
    family = FAMILIES[match[2]]
    visual = match[1] is not None
    if match[3] not in family.dataset_types or (visual and not family.visual):
        return None
    return OGBenchName(name, family, match[3], visual, int(match[4] or family.default_task))


def all_names() -> list[str]:
    """Every name that `parse` accepts."""
    return [
        f"{prefix}{family.name}-{dataset_type}-singletask{task}-v0"
        for family in FAMILIES.values()
        for prefix in ("", "visual-")[: 1 + family.visual]
        for dataset_type in family.dataset_types
        for task in ("", *(f"-task{k}" for k in TASKS))
    ]
