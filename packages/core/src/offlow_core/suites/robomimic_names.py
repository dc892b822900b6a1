"""Names of robomimic's tasks (arXiv 2108.03298): `TASK-SOURCE-low_dim`, and what follows from them."""

from dataclasses import dataclass

PARTS = {"robot0_eef_pos": 3, "robot0_eef_quat": 4, "robot0_gripper_qpos": 2}
"""The robot's part of an observation, in its order: position and orientation of the hand, and its two fingers."""


@dataclass(frozen=True)
class Family:
    """What the datasets of one task have in common."""

    environment: str
    """robosuite's name of the task."""
    object_width: int
    """Length of the object's part of an observation, which follows that of the robot."""
    episode_steps: int
    """Time limit of an evaluation, that of Q-chunking (arXiv 2507.07969)."""
    arms: int = 1

    @property
    def parts(self) -> dict[str, int]:
        """Names and lengths of the parts of an observation, in their order."""
        return {**PARTS, "object": self.object_width}

    @property
    def observation_width(self) -> int:
        return sum(self.parts.values())

    @property
    def action_width(self) -> int:
        """Three numbers for the position, three for the orientation and one for the fingers of each arm."""
        return 7 * self.arms


FAMILIES = {
    "lift": Family("Lift", 10, 300),
    "can": Family("PickPlaceCan", 14, 300),
    "square": Family("NutAssemblySquare", 14, 400),
    "transport": Family("TwoArmTransport", 41, 800, arms=2),
    "tool_hang": Family("ToolHang", 44, 1000),
}
# Several people of different skill (mh), or one skilled person (ph). Nobody else has hung up tools.
_SOURCES = {task: ("ph",) if task == "tool_hang" else ("mh", "ph") for task in FAMILIES}


@dataclass(frozen=True)
class RobomimicName:
    """A name with its environment and its dataset."""

    task: str
    source: str

    @property
    def canonical(self) -> str:
        return f"{self.task}-{self.source}-low_dim"

    @property
    def family(self) -> Family:
        return FAMILIES[self.task]

    @property
    def path(self) -> str:
        """The dataset's file below the folder of all of them."""
        return f"{self.task}/{self.source}/low_dim_v15.hdf5"


_NAMES = {
    name.canonical: name
    for name in (RobomimicName(task, source) for task, sources in _SOURCES.items() for source in sources)
}


def parse(name: str) -> RobomimicName | None:
    """The task of this name, or None where robomimic has none."""
    return _NAMES.get(name)


def all_names() -> list[str]:
    """Every name that `parse` accepts."""
    return list(_NAMES)
