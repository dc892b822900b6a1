"""The episodes of a Minari dataset (format hdf5) as rows, each with its recorded successor."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import gymnasium
import numpy as np
from tqdm import tqdm

from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.minari_files import MAIN_FILE, METADATA, STEP_FIELDS, MinariFolder, part_order
from offlow_core.data.validation import DatasetError

OnFault = Callable[[DatasetError], None]


def main_file(folder: Path) -> Path:
    """The file with the episodes in a dataset's folder, or in the `data` folder inside of it."""
    for candidate in (folder / "data" / MAIN_FILE, folder / MAIN_FILE):
        if candidate.exists():
            return candidate
    raise DatasetError(
        f"{folder}: expected a file, or the folder of a Minari dataset with data/{MAIN_FILE} in it, which this is not."
    )


def is_main_file(fields: Collection[str]) -> bool:
    """Whether these are the fields of Minari's file with the episodes."""
    return any(field.startswith("episode_") for field in fields)


def action_bounds(file: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The finite bounds of the actions that the metadata beside `file` name, unless they are -1 and 1."""
    if not (file.parent / METADATA).exists():
        return None
    space = MinariFolder.open(file.parent).space("action_space")
    if not isinstance(space, gymnasium.spaces.Box) or not (np.isfinite(space.low) & np.isfinite(space.high)).all():
        return None
    return None if (space.low == -1).all() and (space.high == 1).all() else (space.low, space.high)


def read_episodes(path: Path, on_fault: OnFault) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Rows under the names of D4RL's fields, and the names of what else there is.

    Of an episode of T steps there are T + 1 observations, so each row has its recorded `next_observations`. `timeouts`
    is true on the last row of each episode that does not terminate there. An episode that cannot be used goes to
    `on_fault` and is left out.
    """
    parts: dict[str, list[np.ndarray]] = {}
    with Hdf5File(path) as file:
        episodes = _by_episode(file.fields)
        others = {name for names in episodes.values() for name in names if not _is_needed(name)}
        for k in tqdm(
            sorted(episodes), desc=f"reading {path.name}", unit=" episodes", delay=2, leave=False, disable=None
        ):
            try:
                episode = _read_episode(file, f"episode_{k}", episodes[k])
            except DatasetError as fault:
                on_fault(fault)
                continue
            for name, values in episode.items():
                parts.setdefault(name, []).append(values)
    for fault in _contradictions(path, sorted(episodes), sum(map(len, parts.get("rewards", [])))):
        on_fault(DatasetError(f"{path}: {fault}"))
    return {name: np.concatenate(values) for name, values in parts.items()}, tuple(sorted(others))


def _by_episode(fields: Collection[str]) -> dict[int, list[str]]:
    """Names of each episode's arrays."""
    episodes: dict[int, list[str]] = {}
    for field in fields:
        group, _, name = field.partition("/")
        number = group.removeprefix("episode_")
        if number.isdigit():
            episodes.setdefault(int(number), []).append(name)
    return episodes


def _is_needed(name: str) -> bool:
    return name in STEP_FIELDS or name.partition("/")[0] == "observations"


def _read_episode(file: Hdf5File, group: str, names: list[str]) -> dict[str, np.ndarray]:
    parts = sorted((name for name in names if name.partition("/")[0] == "observations"), key=part_order)
    parts = parts or ["observations"]
    steps = {name: file.read(f"{group}/{name}") for name in STEP_FIELDS}
    t = len(steps["actions"])
    observations = [file.read(f"{group}/{name}") for name in parts]
    for name, values in (*zip(parts, observations, strict=True), *steps.items()):
        expected = t + 1 if name in parts else t
        if values.ndim == 0 or len(values) != expected:
            raise DatasetError(
                f"{file.path}: `{group}/{name}` must have {expected} rows beside {t} actions, got the shape "
                f"{values.shape}."
            )
    joined = observations[0] if len(observations) == 1 else np.concatenate(observations, axis=-1)
    terminals = steps["terminations"].astype(bool)
    timeouts = steps["truncations"].astype(bool)
    timeouts[-1:] |= ~terminals[-1:]
    return {
        "observations": joined[:-1],
        "actions": steps["actions"],
        "rewards": steps["rewards"],
        "terminals": terminals,
        "timeouts": timeouts,
        "next_observations": joined[1:],
    }


def _contradictions(path: Path, episodes: list[int], steps: int) -> Iterator[str]:
    """Where the episodes are not those that the metadata beside the file promise."""
    if episodes != list(range(len(episodes))):
        missing = sorted(set(range(episodes[-1] + 1)) - set(episodes))
        yield f"the episodes must be numbered 0 to {episodes[-1]}, but episode {missing[0]} is missing."
    if not (path.parent / METADATA).exists():
        return
    metadata = MinariFolder.open(path.parent).metadata
    for name, found in (("total_episodes", len(episodes)), ("total_steps", steps)):
        if metadata.get(name) != found:
            yield f"{METADATA} promises {metadata.get(name)} {name.removeprefix('total_')}, but there are {found}."
