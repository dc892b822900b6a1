import csv

import pytest

import offlow_dac.main
from offlow_core.option_checks import OptionError
from offlow_dac.bandit.command import bandit_command
from offlow_dac.bandit.experiment import METHODS
from offlow_dac.bandit.options import BanditOptions, bandit_config

# Few updates want a tighter leash than the published 1.3; one critic and narrow layers save compilation.
SMALL = ["--updates=400", "--T=10", "--hidden_dims=32,32", "--num_qs=1", "--bc_threshold=0.5"]
SMALL += ["--actor_lr=5e-3", "--critic_lr=5e-3"]


def test_a_small_bandit_shows_what_soft_guidance_is_for(tmp_path, capsys):
    assert offlow_dac.main.main(["bandit", "--data=0", *SMALL, f"--save_dir={tmp_path}"]) == 0
    out, err = capsys.readouterr()
    pdf, png, table = (tmp_path / f"bandit_two_blobs_T10_400_sd520.{kind}" for kind in ("pdf", "png", "csv"))
    assert pdf.read_bytes().startswith(b"%PDF")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert all(str(path) in out for path in (pdf, png, table))
    assert sorted(tmp_path.iterdir()) == sorted([pdf, png, table])
    with table.open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert [*rows] == ["data", *METHODS]
    assert {row["data"] for row in rows.values()} == {"two_blobs"}
    assert all(f"\n{method} " in out and f"two_blobs, {method}: 400/400 steps" in err for method in METHODS)
    distances = {method: float(row["distance_from_data"]) for method, row in rows.items()}
    rewards = {method: float(row["reward"]) for method, row in rows.items()}
    assert distances["DAC, soft"] < min(distances["DAC, hard"], distances["DAC, denoised"])
    assert rewards["DAC, soft"] > rewards["diffusion BC"] + 0.2


def test_defaults_are_the_published_settings():
    options = BanditOptions()
    assert options.data_names == ("two_blobs", "three_blobs", "moons", "circles")
    assert (options.updates, options.seed, options.agent.lr_decay_steps) == (20_000, 520, 20_000)
    config = bandit_config()
    assert (config.T, config.hidden_dims, config.batch_size) == (50, (64, 64, 64), 128)
    assert (config.actor_lr, config.critic_lr, config.step_start_ema) == (1e-3, 1e-3, 10)
    assert (config.eta, config.eta_lr, config.bc_threshold) == (1.0, 0.01, 1.3)
    assert (config.q_tar, config.rho, config.num_qs, config.num_q_samples) == ("lcb", 1.0, 10, 10)
    assert (config.clip_sampler, config.num_action_samples, config.temperature) == (False, 1, 0.0)


@pytest.mark.parametrize(("data", "names"), [("1", ("three_blobs",)), ("circles", ("circles",))])
def test_data_by_number_or_name(data, names):
    assert BanditOptions(data=data).data_names == names


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--data=4", "two_blobs"),
        ("--updates=0", "updates must be at least 1, got 0"),
        ("--gpu=-1", "gpu must be at least 0"),
        ("--T=0", "T must be above 0"),
        ("--Q_guidance=hard", "every picture shows all kinds of guidance"),
        ("--use_guidance_loss=False", "every picture shows all kinds of guidance"),
        ("--update=5", "did you mean --updates"),
    ],
)
def test_wrong_options_are_refused_with_what_is_right(option, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        bandit_command([option])
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert message in " ".join((out + err).replace("│", " ").split())


def test_an_agent_with_its_own_guidance_is_refused():
    with pytest.raises(OptionError, match="leave Q_guidance"):
        BanditOptions(agent=type(bandit_config())(Q_guidance="denoised"))


def test_a_folder_that_cannot_be_made_is_refused_before_the_training(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        offlow_dac.main.main(["bandit", *SMALL, f"--save_dir={tmp_path / 'file'}"])
    err = capsys.readouterr().err
    assert "cannot be made" in err
    assert "--save_dir" in err
    assert "two_blobs" not in err
