"""Datasets of Minari: find or download the folder, bring actions into [-1, 1], check everything."""

from collections.abc import Callable
from pathlib import Path

import gymnasium

from offlow_core.data.download import DownloadError, download
from offlow_core.data.intact import require_hdf5
from offlow_core.data.minari_files import (
    MAIN_FILE,
    METADATA,
    MinariFolder,
    default_folder,
    is_dataset,
    leaf_paths,
    read_episodes,
    read_metadata,
    to_transitions,
)
from offlow_core.data.transitions import Dataset
from offlow_core.data.validation import DatasetError, require_shape
from offlow_core.suites.dataset_files import fingerprint
from offlow_core.suites.fitted_environment import action_bounds
from offlow_core.suites.minari_environment import make_stored
from offlow_core.suites.minari_names import MinariName
from offlow_core.suites.options import SuiteOptions

SERVER = "https://huggingface.co/datasets/farama-minari"
# Metadata of datasets that are not here. Hidden, so that the package does not take these folders for datasets.
_ANNOUNCED = ".offlow-announced"


def load_dataset(name: MinariName, options: SuiteOptions) -> Dataset:
    """Transitions of the dataset, which is downloaded if it is missing; actions are clipped to +-(1 - 1e-5).

    Minari has no validation data. Raises DatasetError.
    """
    source, folder = _locate(name, options)
    stored = MinariFolder.open(folder)
    observations, actions = spaces(stored)
    bounds = action_bounds(actions, name.canonical)
    drop = name.adroit is not None and not options.minari_keeps_cut_off_ends
    train, outside = to_transitions(read_episodes(stored, observations), bounds, str(folder), drop_cut_off_ends=drop)
    if name.adroit is not None:
        family = name.adroit.family
        reason = f" as {family.name} has it"
        require_shape(train.observations, (-1, family.observation_width), "observations", str(folder), reason)
        require_shape(train.actions, (-1, family.action_width), "actions", str(folder), reason)
    origin = {
        "source": source,
        "files": [fingerprint("train", folder / (MAIN_FILE if stored.format == "hdf5" else METADATA))],
        "transitions": {"train": len(train)},
        "actions_outside_their_bounds": outside,
    }
    return Dataset(train, None, origin)


def files(name: MinariName, options: SuiteOptions) -> dict[str, Path]:
    """Paths by role of the files that the task's data are in, whether they exist or not."""
    folder = _folder(name, options)
    return {"metadata": folder / METADATA, "train": folder / MAIN_FILE}


def fetch(name: MinariName, options: SuiteOptions) -> list[Path]:
    """Download the dataset if it is missing; DatasetError where that fails."""
    _, folder = _locate(name, options)
    return sorted(path for path in folder.iterdir() if path.is_file())


def stored_metadata(name: MinariName, options: SuiteOptions) -> MinariFolder:
    """What the dataset says of itself; of one that is nowhere on this machine this alone is downloaded."""
    folder = _folder(name, options)
    if options.dataset_path is not None or is_dataset(folder):
        return MinariFolder.open(folder)
    usual = default_folder() / name.canonical / "data"
    if is_dataset(usual):  # a list of what there is, also elsewhere, asks no server
        return MinariFolder.open(usual)
    announced = _announced(name, options)
    _download(announced, name, options, read_metadata)
    try:
        return MinariFolder.open(announced.parent)
    except DatasetError:
        if not is_dataset(folder):
            raise
        return MinariFolder.open(folder)  # another process has just completed the dataset and removed the other file


def spaces(stored: MinariFolder) -> tuple[gymnasium.Space, gymnasium.Space]:
    """Of observations and actions; from the environment where an older dataset has not stored them."""
    observations, actions = stored.space("observation_space"), stored.space("action_space")
    if observations is None or actions is None:
        env = make_stored(stored)
        env.close()
        observations = env.observation_space if observations is None else observations
        actions = env.action_space if actions is None else actions
    leaf_paths(observations, str(stored.path))
    return observations, actions


def _locate(name: MinariName, options: SuiteOptions) -> tuple[str, Path]:
    """Where the data come from, and the folder that they are in; downloads what is missing."""
    folder = _folder(name, options)
    if options.dataset_path is not None:
        return "dataset_path", folder
    if is_dataset(folder):
        return "cache", folder
    kind = stored_metadata(name, options).format
    if kind != "hdf5":
        raise DatasetError(
            f"{name.canonical} is kept in many files ({kind}), which its own package has to download:\n"
            f"{_by_package(name, kind)}"
        )
    # The metadata last: until they are here the folder is no dataset, neither for us nor for the package.
    _download(folder / MAIN_FILE, name, options, require_hdf5)
    _download(folder / METADATA, name, options, read_metadata)
    _announced(name, options).unlink(missing_ok=True)
    return "download", folder


def _folder(name: MinariName, options: SuiteOptions) -> Path:
    """The dataset's `data` folder, which a user may name, too."""
    if options.dataset_path is not None:
        given = Path(options.dataset_path).expanduser()
        return given if is_dataset(given) else given / "data"
    return _root(options) / name.canonical / "data"


def _announced(name: MinariName, options: SuiteOptions) -> Path:
    """Where the metadata of a dataset are kept as long as it is not here."""
    return _root(options) / _ANNOUNCED / name.canonical / METADATA


def _root(options: SuiteOptions) -> Path:
    return default_folder() if options.dataset_dir is None else Path(options.dataset_dir).expanduser()


def _download(target: Path, name: MinariName, options: SuiteOptions, check: Callable[[Path], object]) -> None:
    """The dataset's file of this name."""
    namespace, _, rest = name.canonical.partition("/")
    address = f"{SERVER}/{namespace}/resolve/main/{rest}/data"
    try:
        download(f"{address}/{target.name}", target, check=check)
    except DownloadError as error:
        raise DatasetError(
            f"{name.canonical} could not be downloaded: {error.reason}.\nTo get it by hand, either fetch\n"
            f"  {address}/{METADATA}\n  {address}/{MAIN_FILE}\nand put them into\n  {_folder(name, options)}\n"
            f"or let its own package do it:\n{_by_package(name, 'hdf5')}"
        ) from error


def _by_package(name: MinariName, kind: str) -> str:
    return f"  pip install 'minari[hf,{kind}]'\n  minari download {name.canonical}"
