"""OGBench datasets in shards: a folder of files in the usual format, such as the 100 million rows of cube-quadruple."""

from dataclasses import dataclass
from pathlib import Path

import gymnasium

from offlow_core.data.npz_file import NpzFile
from offlow_core.data.ogbench_rows import outline_ogbench_file
from offlow_core.data.shards import ShardedDataset, Shards
from offlow_core.data.transitions import Transitions
from offlow_core.data.validation import DatasetError
from offlow_core.suites.dataset_files import fingerprint
from offlow_core.suites.ogbench_dataset import load_file, require_widths
from offlow_core.suites.ogbench_environment import make_environment
from offlow_core.suites.ogbench_names import OGBenchName
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.wrappers import OwnNumpyStream

_VALIDATION = "-val.npz"


def load_shards(name: OGBenchName, folder: Path, interval: int) -> ShardedDataset:
    """The shards `*.npz` of a folder in the order of their names, rewarded for the task; the first one is read.

    What is held out is the file `-val.npz` beside the first shard, if there is one. Of the other shards the archive's
    directory and the headers of the arrays are read: they must be there, of the environment's widths, and archives
    that are not cut off. Raises DatasetError for the first that is not; what is inside is checked when it is read.
    """
    paths = shard_paths(folder)
    env = _AtItsTask(OwnNumpyStream(make_environment(name.state_environment, SuiteOptions())))
    files = [_outline(path, name, env) for path in paths]
    load = _Loader(name, env, paths, tuple(file["arrays_sha256"] for file in files))
    train, validation = load(0), None
    transitions = {"first shard": len(train)}
    held_out = paths[0].with_name(f"{paths[0].stem}{_VALIDATION}")
    if held_out.exists():
        validation = load_file(held_out, name, env)
        files.append(fingerprint("validation", held_out))
        transitions["validation"] = len(validation)
    origin = {"source": "ogbench_dataset_dir", "files": files, "transitions": transitions}
    names, most_rows = tuple(str(path) for path in paths), max(file["rows"] for file in files[: len(paths)])
    return ShardedDataset(train, validation, origin, Shards(names, most_rows, interval, load))


def shard_paths(folder: Path) -> tuple[Path, ...]:
    """The files of a folder that are shards, in the order of their names; DatasetError where there are none."""
    if not folder.is_dir():
        problem = "expected a folder, this is a file" if folder.exists() else "there is no such folder"
        raise DatasetError(f"{folder}: {problem} (ogbench_dataset_dir).")
    found = sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
    shards = tuple(path for path in found if not path.name.endswith(_VALIDATION))
    if not shards:
        raise DatasetError(
            f"{folder}: holds no shard (ogbench_dataset_dir), and {len(found)} validation files; expected files *.npz "
            f"in OGBench's format, besides those that end in {_VALIDATION}."
        )
    return shards


class _AtItsTask(gymnasium.Wrapper):
    """An environment that is reset once: relabelling resets it for its goals, which are the same every time.

    A reset in another thread would disturb environments here, as it moves numpy's global generator.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self._beginning = env.reset()

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        return self._beginning


def _outline(path: Path, name: OGBenchName, env: gymnasium.Env) -> dict:
    """A shard in the manifest of a run: not read through, as a hundred of them would take minutes at every start."""
    outline = outline_ogbench_file(path, visual=name.visual, buttons=name.family.has_buttons)
    require_widths(outline, name, env)
    return {
        "role": "shard",
        "name": path.name,
        "bytes": path.stat().st_size,
        "rows": len(outline.terminals),
        "arrays_sha256": _arrays_sha256(path),
    }


def _arrays_sha256(path: Path) -> str:
    with NpzFile(path) as file:
        return file.arrays_sha256()


@dataclass(frozen=True)
class _Loader:
    """Reads shards by number, as long as they are those that the manifest names."""

    name: OGBenchName
    env: gymnasium.Env
    paths: tuple[Path, ...]
    digests: tuple[str, ...]

    def __call__(self, number: int) -> Transitions:
        path = self.paths[number]
        if _arrays_sha256(path) != self.digests[number]:
            raise DatasetError(
                f"{path}: is another file than when training began; put back the one that was there and resume the "
                "run, or start a new one."
            )
        return load_file(path, self.name, self.env)
