"""Minari datasets on disk: what their metadata say, their episodes, and the transitions that these hold.

The format is that of the package `minari` (https://minari.farama.org/content/dataset_standards), which is needed only
for what it keeps in other files than HDF5, and for compressed images.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from tqdm import tqdm

from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.own_arrays import finite_float32
from offlow_core.data.transitions import Transitions, clip_actions, leaves_unit
from offlow_core.data.validation import DatasetError, require_shape, validate

METADATA = "metadata.json"
MAIN_FILE = "main_data.hdf5"
DIRECTORY_VARIABLE = "MINARI_DATASETS_PATH"
DATASET_DIR = "~/.minari/datasets"  # both are the package's own, so that its datasets are found
STEP_FIELDS = ("actions", "rewards", "terminations", "truncations")


@dataclass(frozen=True, eq=False)
class MinariFolder:
    """The `data` folder of a dataset with its metadata."""

    path: Path
    metadata: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> "MinariFolder":
        """Read the metadata; DatasetError where they are missing or unusable."""
        file = path / METADATA
        if not is_dataset(path):
            raise DatasetError(f"{path}: expected the `data` folder of a Minari dataset, but it has no {METADATA}.")
        try:
            return cls(path, read_metadata(file))
        except DatasetError as error:
            raise DatasetError(f"{file}: {error}; get the dataset again.") from error

    @property
    def format(self) -> str:
        """How the episodes are stored."""
        return self.metadata.get("data_format", "hdf5")

    def space(self, name: str) -> gymnasium.Space | None:
        """The stored `observation_space` or `action_space`; None where an older dataset has none of its own."""
        text = self.metadata.get(name)
        if text is None:
            return None
        try:
            return _space(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{self.path / METADATA}: `{name}` must be a Box, or a Dict of these, got {text} ({error})."
            ) from error

    @property
    def observation_width(self) -> int | None:
        """Length of an observation that is trained on; None for images, and where no space is stored."""
        space = self.space("observation_space")
        if space is None or space.dtype == np.uint8:
            return None
        return sum(at(space, path).shape[0] for path in leaf_paths(space, str(self.path)))


@dataclass(frozen=True, eq=False)
class Episode:
    """T steps; observation t + 1 is the successor of observation t."""

    observations: np.ndarray  # [T + 1, d] float32, or [T + 1, height, width, channels] uint8
    actions: np.ndarray  # [T, a] float32
    rewards: np.ndarray  # [T] float32
    terminations: np.ndarray  # [T] bool
    truncations: np.ndarray  # [T] bool


def default_folder() -> Path:
    """The folder that the package keeps its datasets in."""
    return Path(os.environ.get(DIRECTORY_VARIABLE) or DATASET_DIR).expanduser()


def is_dataset(folder: Path) -> bool:
    """Whether this is the `data` folder of a dataset; the metadata, which arrive last, make it one."""
    return (folder / METADATA).is_file()


def read_metadata(file: Path) -> dict[str, Any]:
    """The metadata in this file; DatasetError (half a sentence) where they are unusable."""
    try:
        metadata = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot be read as JSON ({error})") from error
    episodes = metadata.get("total_episodes") if isinstance(metadata, dict) else None
    if not isinstance(episodes, int) or episodes < 1:
        raise DatasetError(f"`total_episodes` must be at least 1, got {episodes!r}")
    return metadata


def leaf_paths(space: gymnasium.Space, source: str) -> list[tuple[str, ...]]:
    """Where the arrays of an observation are: [()] for a Box, a Dict's keys in alphabetical order.

    Their concatenation in this order is the observation that is trained on. DatasetError where that cannot be.
    """
    if isinstance(space, gymnasium.spaces.Box) and (space.dtype == np.uint8 or len(space.shape) == 1):
        return [()]
    paths = sorted(_dict_paths(space), key=lambda found: part_order("/".join(found[0])))
    for path, leaf in paths:
        if not isinstance(leaf, gymnasium.spaces.Box) or len(leaf.shape) != 1 or leaf.dtype.kind != "f":
            raise DatasetError(
                f"{source}: expected observations that are images, or vectors of real numbers (of several parts: put "
                f"one after another), but `{'/'.join(('observations', *path))}` is {leaf}. Write what you need of the "
                "dataset into an .npz file of your own (own/LABEL)."
            )
    return [path for path, _ in paths]


def part_order(name: str) -> list[str]:
    """What the parts of an observation are sorted by before they are put one after another.

    `name` holds a part's keys with slashes between them. They are compared one by one: `a/x` comes before `a-b`.
    """
    return name.split("/")


def at(value: Any, path: tuple[str, ...]) -> Any:
    """The part of a nested dictionary or Dict space that a leaf's path leads to."""
    for key in path:
        value = value[key]
    return value


def read_episodes(folder: MinariFolder, space: gymnasium.Space) -> Iterator[Episode]:
    """The episodes, checked, in order; `space` is that of their observations. DatasetError names what is wrong."""
    paths = leaf_paths(space, str(folder.path))
    # Images are stored compressed unless the metadata say otherwise.
    compressed = getattr(space, "dtype", None) == np.uint8 and folder.metadata.get("jpeg_encoding", True)
    if folder.format == "hdf5" and not compressed:
        yield from _read_hdf5(folder, paths)
    else:
        yield from _read_through_package(folder, paths)


def to_transitions(
    episodes: Iterable[Episode],
    bounds: tuple[np.ndarray, np.ndarray] | None,
    source: str,
    *,
    drop_cut_off_ends: bool = False,
) -> tuple[Transitions, int]:
    """One transition per step, and how many actions lay outside of their bounds.

    `bounds` are those of the actions, which become [-1, 1]; None where they are these. Actions are then clipped to
    +-(1 - 1e-5). `drop_cut_off_ends` leaves the last step of each truncated episode out.
    """
    episodes = list(episodes)
    _require_equal_widths(episodes, bounds, source)
    lengths = np.array([len(episode.rewards) for episode in episodes])
    stops = np.cumsum(lengths)
    cut_off = np.array([episode.truncations[-1] for episode in episodes])
    dropped = (cut_off & drop_cut_off_ends).astype(int)
    kept, ends = np.ones(stops[-1], bool), np.zeros(stops[-1], bool)
    kept[stops[dropped > 0] - 1] = False
    ends[(stops - 1 - dropped)[lengths > dropped]] = True
    # Every episode before it has stored one observation more than it has steps.
    rows = np.arange(stops[-1]) + np.repeat(np.arange(len(episodes)), lengths)
    rows = rows[kept].astype(np.int32)
    actions, outside = _unit_actions(_joined(episodes, "actions")[kept], bounds)
    transitions = Transitions(
        observations=_joined(episodes, "observations"),
        rows=rows,
        next_rows=rows + np.int32(1),
        actions=actions,
        rewards=_joined(episodes, "rewards")[kept],
        masks=1 - _joined(episodes, "terminations")[kept].astype(np.float32),
        terminals=ends[kept].astype(np.float32),
    )
    validate(transitions, source)
    return transitions, outside


def _require_equal_widths(episodes: list[Episode], bounds: tuple[np.ndarray, np.ndarray] | None, source: str) -> None:
    observation = episodes[0].observations.shape[1:]
    action = episodes[0].actions.shape[1:] if bounds is None else bounds[0].shape
    for k, episode in enumerate(episodes):
        where = f"{source}, episode {k}"
        require_shape(episode.observations, (-1, *observation), "observations", where, " as in the other episodes")
        require_shape(episode.actions, (-1, *action), "actions", where, " as in the action space")


def _joined(episodes: list[Episode], name: str) -> np.ndarray:
    return np.concatenate([getattr(episode, name) for episode in episodes])


def _unit_actions(actions: np.ndarray, bounds: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, int]:
    if bounds is not None:
        low, high = (bound.astype(np.float64) for bound in bounds)
        actions = 2 * (actions - low) / (high - low) - 1
    return clip_actions(actions.astype(np.float32)), int(leaves_unit(actions).sum())


def _read_hdf5(folder: MinariFolder, paths: list[tuple[str, ...]]) -> Iterator[Episode]:
    with Hdf5File(folder.path / MAIN_FILE) as file:
        shown = {"desc": f"reading {file.path}", "unit": "episode", "delay": 2, "leave": False, "disable": None}
        for k in tqdm(range(folder.metadata["total_episodes"]), **shown):
            names = ["/".join(("observations", *path)) for path in paths]
            missing = [name for name in (*names, *STEP_FIELDS) if f"episode_{k}/{name}" not in file.fields]
            if missing:
                raise DatasetError(
                    f"{file.path}: `episode_{k}/{missing[0]}` is missing, though {METADATA} promises "
                    f"{folder.metadata['total_episodes']} episodes. The dataset is cut off or another one's: get it "
                    "again."
                )
            parts = [file.read(f"episode_{k}/{name}") for name in names]
            steps = {name: file.read(f"episode_{k}/{name}") for name in STEP_FIELDS}
            yield _episode(parts, steps, f"{file.path}, episode {k}")


def _read_through_package(folder: MinariFolder, paths: list[tuple[str, ...]]) -> Iterator[Episode]:
    try:
        import minari

        stored = list(minari.MinariDataset(folder.path).iterate_episodes())
    except Exception as error:  # each storage has errors of its own
        raise DatasetError(
            f"{folder.path}: only the package `minari` can read this ({folder.format}, or compressed images), but it "
            f"fails: {error}. Install it with what the format needs: pip install 'minari[{folder.format}]'."
        ) from error
    for k, episode in enumerate(stored):
        parts = [np.asarray(at(episode.observations, path)) for path in paths]
        steps = {name: np.asarray(getattr(episode, name)) for name in STEP_FIELDS}
        yield _episode(parts, steps, f"{folder.path}, episode {k}")


def _episode(parts: list[np.ndarray], steps: Mapping[str, np.ndarray], source: str) -> Episode:
    """Check the arrays of an episode and bring them into their types."""
    rewards = _numbers(steps["rewards"], "rewards", source)
    require_shape(rewards, (-1,), "rewards", source)
    n = len(rewards)
    if n == 0:
        raise DatasetError(f"{source}: an episode must have at least one step, got none.")
    for name in ("terminations", "truncations"):
        require_shape(steps[name], (n,), name, source, " (one per reward)")
    require_shape(steps["actions"], (n, -1), "actions", source, " (one row per reward)")
    for part in parts:
        if len(part) != n + 1:
            raise DatasetError(
                f"{source}: `observations` must have {n + 1} rows, one more than there are steps, got {len(part)}."
            )
    return Episode(
        observations=_observations(parts, source),
        actions=_numbers(steps["actions"], "actions", source),
        rewards=rewards,
        terminations=steps["terminations"].astype(bool),
        truncations=steps["truncations"].astype(bool),
    )


def _observations(parts: list[np.ndarray], source: str) -> np.ndarray:
    if parts[0].dtype == np.uint8:
        return parts[0]
    parts = [_numbers(part, "observations", source) for part in parts]
    for part in parts:
        require_shape(part, (-1, -1), "observations", source, " (one vector per row)")
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _numbers(values: np.ndarray, name: str, source: str) -> np.ndarray:
    if values.dtype.kind not in "iuf":
        raise DatasetError(f"{source}: `{name}` must hold numbers, got {values.dtype}.")
    return finite_float32(values, name, source)


def _space(stored: Mapping[str, Any]) -> gymnasium.Space:
    """A space from its description; KeyError for a kind that cannot be trained on."""
    if stored["type"] == "Dict":
        return gymnasium.spaces.Dict({key: _space(part) for key, part in stored["subspaces"].items()})
    if stored["type"] != "Box":
        raise KeyError(stored["type"])
    dtype = np.dtype(stored["dtype"])
    low, high = (np.array(stored[bound], dtype) for bound in ("low", "high"))
    return gymnasium.spaces.Box(low, high, tuple(stored["shape"]), dtype)


def _dict_paths(space: gymnasium.Space) -> Iterator[tuple[tuple[str, ...], gymnasium.Space]]:
    if not isinstance(space, gymnasium.spaces.Dict):
        yield (), space
        return
    for key, part in space.spaces.items():
        for path, leaf in _dict_paths(part):
            yield (key, *path), leaf
