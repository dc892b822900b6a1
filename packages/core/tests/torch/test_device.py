"""What `--device` may say, and what becomes of it on machines with and without GPUs."""

import pytest
import torch

from offlow_core.option_checks import OptionError
from offlow_core.torch.device import configure, describe, find_device


@pytest.fixture
def gpus(monkeypatch):
    """Sets how many GPUs PyTorch finds."""

    def found(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("cpu", "cpu"), ("auto", "cuda:0"), ("cuda", "cuda:0"), ("gpu", "cuda:0")),
        *(("0", "cuda:0"), ("1", "cuda:1"), ("cuda:1", "cuda:1"), ("gpu:1", "cuda:1"), ("gpu1", "cuda:1")),
    ],
)
def test_spellings_where_there_are_two_gpus(gpus, capsys, name, expected):
    gpus(2)
    assert find_device(name) == torch.device(expected)
    assert capsys.readouterr() == ("", "")


def test_auto_is_the_cpu_where_there_is_no_gpu(gpus, capsys):
    gpus(0)
    assert find_device("auto") == torch.device("cpu")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("0", 0), ("cuda:2", 2), ("gpu:11", 2)])
def test_a_gpu_that_is_not_there_is_told_and_replaced_by_the_cpu(gpus, capsys, name, count):
    gpus(count)
    assert find_device(name) == torch.device("cpu")
    told = capsys.readouterr()
    assert told.err == f"--device {name}: there is no such GPU here ({count} found); the CPU is used\n"
    assert told.out == ""


@pytest.mark.parametrize("name", ["", "tpu", "mps", "cuda:", "cuda:x", "-1", "0,1", "cuda:0 ", "CPU"])
def test_other_words_are_refused(gpus, name):
    gpus(2)
    with pytest.raises(OptionError, match=r"device must be auto, cpu, or a GPU such as 0 or cuda:0, got "):
        find_device(name)


def test_matrix_products_are_in_full_precision():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert configure("cpu") == torch.device("cpu")
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before)


def test_in_words():
    assert describe(torch.device("cpu")) == f"cpu, {torch.get_num_threads()} threads"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_in_words_on_a_gpu():
    assert describe(configure("cuda")) == f"cuda: {torch.cuda.get_device_name(0)}"
