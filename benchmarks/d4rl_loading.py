"""How long a D4RL file of a million rows takes from the disk to checked transitions.

    uv run --package offlow-core python benchmarks/d4rl_loading.py

The files are made up, of D4RL's layout and widths, compressed and not. They have been written just before, so that they
come out of the page cache. The time includes the file's checksum.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np

from offlow_core.suites import SuiteOptions, resolve
from offlow_core.suites.d4rl_names import parse

TASKS = ("halfcheetah-medium-v2", "antmaze-umaze-v2")
EPISODE_STEPS = 1000


def write_file(path: Path, task: str, rows: int, compression: str | None) -> None:
    """A file as D4RL's, a tenth of whose episodes end in a terminal row, with simulator states beside the data."""
    family = parse(task).family
    random = np.random.default_rng(0)
    steps = 0.01 * random.standard_normal((rows, family.observation_width), np.float32)
    last = np.arange(rows) % EPISODE_STEPS == EPISODE_STEPS - 1
    terminal = last & (np.arange(rows) // EPISODE_STEPS % 10 == 0)
    arrays = {
        "observations": np.cumsum(steps, axis=0),
        "actions": np.tanh(2 * random.standard_normal((rows, family.action_width), np.float32)),
        "rewards": random.random(rows, np.float32),
        "terminals": terminal,
        "timeouts": last & ~terminal,
        "infos/qpos": steps[:, :9],
        "infos/qvel": steps[:, :9],
    }
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression=compression)


def seconds(task: str, path: Path, repeats: int) -> tuple[float, float]:
    """Median wall-clock and processor seconds of loading."""
    load = resolve(task, SuiteOptions(dataset_path=str(path))).load_dataset
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        load()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return statistics.median(walls), statistics.median(processors)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print("| task | file | MB | seconds | CPU seconds |\n| --- | --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            for compression in ("gzip", None):
                path = Path(folder) / f"{task}-{compression}.hdf5"
                write_file(path, task, options.rows, compression)
                wall, processor = seconds(task, path, options.repeats)
                size = path.stat().st_size / 1e6
                print(f"| {task} | {compression or 'plain'} | {size:.0f} | {wall:.2f} | {processor:.2f} |", flush=True)
                path.unlink()
    versions = ", ".join(f"{name} {version(name)}" for name in ("offlow-core", "numpy", "h5py"))
    print(f"\n{options.rows:,} rows, median of {options.repeats}; {versions}; {datetime.now(UTC):%Y-%m-%d}.")


if __name__ == "__main__":
    main()
