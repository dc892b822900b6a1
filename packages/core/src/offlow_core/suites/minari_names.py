"""Names of Minari datasets: `NAMESPACE/.../VARIANT-vVERSION`."""

import re
from dataclasses import dataclass

from offlow_core.suites import d4rl_names
from offlow_core.suites.d4rl_names import D4RLName

_NAME = re.compile(r"[\w-]+(/[\w-]+)+-v\d+", re.ASCII)
_ADROIT = re.compile(r"D4RL/(pen|door|hammer|relocate)/(human|cloned|expert)-v\d+")
_REGENERATED = re.compile(r"D4RL/antmaze/.*")
_OLDER_MUJOCO = re.compile(r"(D4RL|mujoco)/.*")


@dataclass(frozen=True)
class MinariName:
    """A dataset's id, and what is known of it beyond its metadata."""

    canonical: str

    @property
    def adroit(self) -> D4RLName | None:
        """The task of D4RL whose rows have been converted into this dataset."""
        match = _ADROIT.fullmatch(self.canonical)
        return match and d4rl_names.parse(f"{match[1]}-{match[2]}-v1")

    @property
    def is_regenerated(self) -> bool:
        """Whether the dataset has the name of one of D4RL's, but was recorded anew in another environment."""
        return _REGENERATED.fullmatch(self.canonical) is not None

    @property
    def has_legacy_contacts(self) -> bool:
        """Whether it was recorded before MuJoCo 3.5: these collections were published by early 2025."""
        return _OLDER_MUJOCO.fullmatch(self.canonical) is not None


def parse(name: str) -> MinariName | None:
    """The dataset of this id, or None where it is no id; whether there is such a dataset, only Minari knows."""
    return MinariName(name) if _NAME.fullmatch(name) else None


def all_names() -> list[str]:
    """The ids whose environment and score are known without their metadata."""
    hands, variants = ("pen", "door", "hammer", "relocate"), ("human", "cloned", "expert")
    return [f"D4RL/{hand}/{variant}-v2" for hand in hands for variant in variants]
