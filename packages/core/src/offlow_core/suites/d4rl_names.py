"""Names of D4RL's tasks (arXiv 2004.07219) and what follows from them: `ENVIRONMENT-VARIANT-vVERSION`."""

from dataclasses import dataclass

from offlow_core.suites.d4rl_environments.families import FAMILIES, Family
from offlow_core.suites.score import SUCCESS, ScoreRule

# Returns of D4RL's random and expert policies, which score 0 and 100; one pair per environment, whatever the dataset.
# They are D4RL's numbers, also where they look odd: a random policy returns about +19 in Hopper, whose lower return
# seems to have a wrong sign, but all published scores contain it.
_RETURNS = {
    "halfcheetah": (-280.178953, 12135.0),
    "hopper": (-20.272305, 3234.3),
    "walker2d": (1.629008, 4592.3),
    "ant": (-325.6, 3879.7),
    "pen": (96.262799, 3076.8331017826877),
    "door": (-56.512833, 2880.5693087298737),
    "hammer": (-274.856578, 12794.134825156867),
    "relocate": (-6.425911, 4233.877797728884),
    "kitchen-complete": (0.0, 4.0),
    "kitchen-partial": (0.0, 4.0),
    "kitchen-mixed": (0.0, 4.0),
}


@dataclass(frozen=True)
class D4RLName:
    """A name with its environment and its dataset."""

    given: str
    family: Family
    version: int
    path: str
    """The dataset's file below D4RL's root."""

    @property
    def canonical(self) -> str:
        return self.given

    @property
    def file(self) -> str:
        """The name under which D4RL keeps the dataset on disk."""
        return self.path.rpartition("/")[2]

    @property
    def score(self) -> ScoreRule:
        """D4RL's normalised return; in AntMaze, where an episode returns 1 or 0, that is the success rate."""
        if self.family.kind == "antmaze":
            return SUCCESS
        low, high = _RETURNS[self.family.name]
        return ScoreRule("normalised return", "return", low, high, is_share=False)


_LOCOMOTION = ("random", "medium", "expert", "medium-replay", "full-replay", "medium-expert")
# Name of the maze in the files, and whether starts and goals vary in the recorded episodes.
_ANTMAZE = {
    "umaze": ("u-maze", False, False),
    "umaze-diverse": ("u-maze", True, True),
    "medium-play": ("big-maze", True, False),
    "medium-diverse": ("big-maze", True, True),
    "large-play": ("hardest-maze", True, False),
    "large-diverse": ("hardest-maze", True, True),
}
_KITCHEN = {
    "complete": "mini_kitchen_microwave_kettle_light_slider",
    "partial": "kitchen_microwave_kettle_light_slider",
    "mixed": "kitchen_microwave_kettle_bottomburner_light",
}


def _locomotion(family: str, variant: str) -> D4RLName:
    path = f"gym_mujoco_v2/{family}_{variant.replace('-', '_')}-v2.hdf5"
    return D4RLName(f"{family}-{variant}-v2", FAMILIES[family], 2, path)


def _antmaze(variant: str, version: int) -> D4RLName:
    maze, starts, goals = _ANTMAZE[variant]
    folder, ending = {0: ("ant_maze_new", ""), 2: ("ant_maze_v2", "_fixed")}[version]
    path = f"{folder}/Ant_maze_{maze}_noisy_multistart_{starts}_multigoal_{goals}_sparse{ending}.hdf5"
    family = FAMILIES[f"antmaze-{variant.partition('-')[0]}"]
    return D4RLName(f"antmaze-{variant}-v{version}", family, version, path)


def _adroit(family: str, variant: str) -> D4RLName:
    name = f"{family}-{variant}-v1"
    return D4RLName(name, FAMILIES[family], 1, f"hand_dapg_v1/{name}.hdf5")


def _kitchen(variant: str) -> D4RLName:
    path = f"kitchen/{_KITCHEN[variant]}-v0.hdf5"
    return D4RLName(f"kitchen-{variant}-v0", FAMILIES[f"kitchen-{variant}"], 0, path)


_NAMES = {
    name.given: name
    for name in (
        *(_locomotion(family, kind) for family in ("halfcheetah", "hopper", "walker2d", "ant") for kind in _LOCOMOTION),
        *(_antmaze(variant, version) for version in (0, 2) for variant in _ANTMAZE),
        *(_adroit(f, kind) for f in ("pen", "door", "hammer", "relocate") for kind in ("human", "cloned", "expert")),
        *(_kitchen(variant) for variant in _KITCHEN),
    )
}


def parse(name: str) -> D4RLName | None:
    """The task of this name, or None where D4RL has none (of the versions that are in use)."""
    return _NAMES.get(name)


def all_names() -> list[str]:
    """Every name that `parse` accepts."""
    return list(_NAMES)
