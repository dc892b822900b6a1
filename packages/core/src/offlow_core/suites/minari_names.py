"""Names of Minari datasets: `NAMESPACE/.../VARIANT-vVERSION`."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from offlow_core.data.minari_files import default_folder, is_dataset
from offlow_core.suites import d4rl_names
from offlow_core.suites.d4rl_names import D4RLName

_MOST_PARTS = 8  # of an id; links that lead back upwards would make endless ones
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
    """The ids whose environment and score are known without their metadata, and those in the package's folder."""
    hands, variants = ("pen", "door", "hammer", "relocate"), ("human", "cloned", "expert")
    known = [f"D4RL/{hand}/{variant}-v2" for hand in hands for variant in variants]
    local = [name for name in _local_ids(default_folder(), ()) if parse(name) is not None]
    return list(dict.fromkeys([*known, *local]))


def _local_ids(root: Path, parts: tuple[str, ...]) -> Iterator[str]:
    folder = root.joinpath(*parts)
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        return
    if is_dataset(folder / "data"):
        yield "/".join(parts)
    elif len(parts) < _MOST_PARTS:
        for child in sorted(path.name for path in folder.iterdir()):
            if child != "data" and not child.startswith("."):
                yield from _local_ids(root, (*parts, child))
