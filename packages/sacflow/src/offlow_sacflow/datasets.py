"""Which data a run is trained on."""

from pathlib import Path

from offlow_core.data.transitions import Dataset
from offlow_core.suites import ogbench_names
from offlow_core.suites.from_scratch import no_data
from offlow_core.suites.ogbench_shards import load_shards
from offlow_core.suites.task import Task
from offlow_sacflow.options import ChunkOptions, ScratchOptions


def load_dataset(options: ScratchOptions | ChunkOptions, task: Task) -> Dataset:
    """None from scratch, the task's own with chunks, or the shards that the options name; raises DatasetError."""
    if isinstance(options, ScratchOptions):
        return no_data(task)
    if options.ogbench_dataset_dir is None:
        return task.load_dataset()
    folder = Path(options.ogbench_dataset_dir).expanduser()
    return load_shards(ogbench_names.parse(task.name), folder, options.dataset_replace_interval)
