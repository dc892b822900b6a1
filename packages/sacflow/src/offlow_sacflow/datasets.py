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
    name, folder = ogbench_names.parse(task.name), Path(options.ogbench_dataset_dir).expanduser()
    assert name is not None, "the options admit shards for tasks of OGBench only"
    return load_shards(name, folder, options.dataset_replace_interval)
