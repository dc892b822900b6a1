"""Datasets of Minari: find or download the folder, bring actions into [-1, 1], check everything."""

import os
from pathlib import Path

import gymnasium

from offlow_core.data.download import DownloadError, download
from offlow_core.data.minari_files import MAIN_FILE, METADATA, MinariFolder, leaf_paths, read_episodes, to_transitions
from offlow_core.data.transitions import Dataset
from offlow_core.data.validation import DatasetError, require_shape
from offlow_core.suites.dataset_files import fingerprint
from offlow_core.suites.fitted_environment import action_bounds
from offlow_core.suites.minari_environment import make_stored
from offlow_core.suites.minari_names import MinariName
from offlow_core.suites.options import SuiteOptions

DIRECTORY_VARIABLE = "MINARI_DATASETS_PATH"
DATASET_DIR = "~/.minari/datasets"  # both are the package's own, so that its datasets are found
SERVER = "https://huggingface.co/datasets/farama-minari"
# Hidden, so that the package does not take what is still incomplete for a dataset.
_ARRIVING = ".offlow-arriving"


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
    """What the dataset says of itself; of a missing one this alone is downloaded."""
    folder = _folder(name, options)
    if options.dataset_path is not None or folder.exists():
        return MinariFolder.open(folder)
    return MinariFolder.open(_download(METADATA, name, options).parent)


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
    if folder.exists():
        return "cache", folder
    kind = stored_metadata(name, options).format
    if kind != "hdf5":
        raise DatasetError(
            f"{name.canonical} is kept in many files ({kind}), which its own package has to download:\n"
            f"{_by_package(name, kind)}"
        )
    arrived = _download(MAIN_FILE, name, options).parent.parent
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    try:
        arrived.rename(folder.parent)
    except OSError:
        if not folder.exists():  # no other process was faster
            raise
    return "download", folder


def _folder(name: MinariName, options: SuiteOptions) -> Path:
    """The dataset's `data` folder, which a user may name, too."""
    if options.dataset_path is not None:
        given = Path(options.dataset_path).expanduser()
        return given if (given / METADATA).exists() else given / "data"
    return _root(options) / name.canonical / "data"


def _root(options: SuiteOptions) -> Path:
    return Path(options.dataset_dir or os.environ.get(DIRECTORY_VARIABLE) or DATASET_DIR).expanduser()


def _download(file: str, name: MinariName, options: SuiteOptions) -> Path:
    """One file of a dataset, in a folder where it waits for the others."""
    namespace, _, rest = name.canonical.partition("/")
    address = f"{SERVER}/{namespace}/resolve/main/{rest}/data"
    try:
        return download(f"{address}/{file}", _root(options) / _ARRIVING / name.canonical / "data" / file)
    except DownloadError as error:
        raise DatasetError(
            f"{name.canonical} could not be downloaded: {error.reason}.\nTo get it by hand, either fetch\n"
            f"  {address}/{METADATA}\n  {address}/{MAIN_FILE}\nand put them into\n  {_folder(name, options)}\n"
            f"or let its own package do it:\n{_by_package(name, 'hdf5')}"
        ) from error


def _by_package(name: MinariName, kind: str) -> str:
    return f"  pip install 'minari[hf,{kind}]'\n  minari download {name.canonical}"
