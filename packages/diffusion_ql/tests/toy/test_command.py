import csv

import pytest
import torch

from offlow_core.option_checks import OptionError
from offlow_diffusion_ql.toy.command import toy_command
from offlow_diffusion_ql.toy.experiment import ToyError

SMALL = ["--T=2", "--num_epochs=1", "--num_steps_per_epoch=3", "--hidden_dim=8", "--batch_size=10", "--device=cpu"]
QL_NAME = "ql_all_T2_eta2.5_lr0.0003_hd8_whole_grad_sd2022"


def rows(path) -> dict[str, list[str]]:
    with path.open(newline="") as file:
        return {row[0]: row[1:] for row in csv.reader(file)}


def test_both_experiments_write_pictures_and_tables(tmp_path, capsys):
    threads = torch.get_num_threads()
    assert toy_command([*SMALL, f"--save_dir={tmp_path}"]) == 0
    assert torch.get_num_threads() == threads
    out, err = capsys.readouterr()
    for base, methods in (
        (tmp_path / "bc" / "bc_diffusion_2_sd2022", ["BC-MLE", "BC-CVAE", "BC-MMD", "BC-Diffusion", "BC-Flow"]),
        (tmp_path / "whole_grad" / QL_NAME, ["TD3+BC", "BCQ", "BEAR-MMD", "Diffusion-QL", "Flow-QL"]),
    ):
        pdf, png, table = (base.with_name(f"{base.name}.{kind}") for kind in ("pdf", "png", "csv"))
        assert pdf.read_bytes().startswith(b"%PDF")
        assert png.read_bytes().startswith(b"\x89PNG")
        assert [*rows(table)] == ["method", "data", *methods]
        assert all(str(path) in out for path in (pdf, png, table))
        assert all(f"\n{method} " in out and f"{method}: 3/3 steps" in err for method in methods)


def test_one_experiment_in_a_folder_of_ones_own(tmp_path):
    assert toy_command([*SMALL, "--figure=ql", f"--save_dir={tmp_path}", "--dir=mine", "--mode=t_last"]) == 0
    name = QL_NAME.replace("whole_grad", "t_last")
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {tmp_path / "mine" / f"{name}.{kind}" for kind in ("pdf", "png", "csv")}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--T=0", "T must be at least 1, got 0"),
        ("--num_epochs=-1", "num_epochs must be at least 1, got -1"),
        ("--lr=0", "lr must be above 0"),
        ("--mode=t_first", "t_middle"),
        ("--figure=all", "both"),
        ("--r_fun=linear", "unknown option --r_fun"),
        ("--epochs=5", "did you mean --num_epochs"),
    ],
)
def test_wrong_options_are_refused_with_what_is_right(option, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        toy_command([option])
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert message in out + err


def test_unknown_devices_and_unusable_folders_are_refused(tmp_path):
    with pytest.raises(OptionError, match="device must be auto, cpu, or a GPU"):
        toy_command([*SMALL[:-1], "--device=tpu"])
    (tmp_path / "file").touch()
    with pytest.raises(ToyError, match=r"cannot be made.*--save_dir"):
        toy_command([*SMALL, f"--save_dir={tmp_path / 'file'}"])


def test_help_tells_how_long_it_takes(capsys):
    with pytest.raises(SystemExit) as stopped:
        toy_command(["--help"])
    assert stopped.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "hours" in out
    assert "--num_epochs" in out
