"""Which device a training command uses, and how PyTorch is set up for it."""

import re
import sys

import torch

from offlow_core.option_checks import OptionError

_GPU = re.compile(r"(?:cuda|gpu)?:?(\d+)|cuda|gpu")


def find_device(name: str) -> torch.device:
    """The device of `--device`; the CPU, with a line on stderr, where a GPU that is asked for is not there."""
    if name == "cpu":
        return torch.device("cpu")
    found = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda:0" if found else "cpu")
    match = _GPU.fullmatch(name)
    if match is None:
        raise OptionError(f"device must be auto, cpu, or a GPU such as 0 or cuda:0, got {name!r}")
    number = int(match[1] or 0)
    if number < found:
        return torch.device("cuda", number)
    print(f"--device {name}: there is no such GPU here ({found} found); the CPU is used", file=sys.stderr)
    return torch.device("cpu")


def configure(name: str) -> torch.device:
    """The device of `--device`, with float32 matrix products in full precision."""
    device = find_device(name)
    torch.set_float32_matmul_precision("highest")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def describe(device: torch.device) -> str:
    """The device in words, for the manifest of a run."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu, {torch.get_num_threads()} threads"
