"""The command lines of the DAC README, and wrong ones of our own."""

import shlex
from dataclasses import replace
from typing import ClassVar

import pytest

import offlow_dac.main
from offlow_core.testing.command_battery import CommandBattery
from offlow_dac.config import DacConfig
from offlow_dac.options import DacOptions
from offlow_dac.presets import table

# As published, without the program.
DUAL_ASCENT = "--env walker2d-medium-v2 --agent dac --eta 1 --eta_lr 0.001 --bc_threshold 1 --rho 1 --q_tar lcb "
DUAL_ASCENT += "--num_seed 8 --gpu 0"
FIXED_ETA = "--env antmaze-umaze-v0 --agent dac --maxQ --eta 0.1 --eta_lr 0 --rho 1 --q_tar lcb --num_seed 8 --gpu 0"


def test_the_first_published_command():
    options = offlow_dac.main.read(shlex.split(DUAL_ASCENT)).options
    assert options == DacOptions(
        env_name="walker2d-medium-v2",
        num_seeds=8,
        gpu=0,
        agent=DacConfig(eta=1.0, eta_lr=0.001, bc_threshold=1.0, rho=1.0, q_tar="lcb"),
    )
    assert (options.offline_steps, options.agent.lr_decay_steps, options.d4rl_rules) == (2_000_000, 2_000_000, "dac")


def test_the_second_published_command():
    options = offlow_dac.main.read(shlex.split(FIXED_ETA)).options
    assert options.env_name == "antmaze-umaze-v0"
    assert options.agent == DacConfig(maxQ=True, eta=0.1, eta_lr=0.0, rho=1.0, lr_decay_steps=2_000_000)
    assert options.reward_tune == "iql_locomotion"


@pytest.mark.parametrize("line", [DUAL_ASCENT, FIXED_ETA])
def test_a_published_command_equals_the_preset_of_its_task(line):
    typed = offlow_dac.main.read(shlex.split(line)).options
    looked_up = offlow_dac.main.read(["--preset=paper", f"--env={typed.env_name}"]).options
    assert replace(typed, gpu=None) == replace(looked_up, preset="none")


def test_the_published_table_in_numbers():
    rows = table("paper", "dac").rows
    assert len(rows) == 15
    assert rows["hopper-medium-expert-v2"]["agent.bc_threshold"] == "0.05"
    assert rows["halfcheetah-medium-v2"]["agent.rho"] == "0"
    assert rows["antmaze-large-play-v0"]["agent.rho"] == "1.1"
    assert {name for name, row in rows.items() if row["agent.critic_lr"] == "0.001"} == {
        "antmaze-large-play-v0",
        "antmaze-large-diverse-v0",
    }


def test_fine_tuning_splits_the_steps_once():
    options = offlow_dac.main.read(["--max_steps=100", "--finetune_step=60"]).options
    assert (options.offline_steps, options.online_steps, options.agent.lr_decay_steps) == (60, 40, 100)
    assert replace(options) == options
    never = offlow_dac.main.read(["--max_steps=100", "--finetune_step=3000000"]).options
    assert (never.offline_steps, never.online_steps) == (100, 0)


class TestCommand(CommandBattery):
    """The battery."""

    command = offlow_dac.main
    backend = "jax"
    printed = ("--preset=paper", "--env=hopper-medium-v2", "--gpu", "0")
    published: ClassVar = {("paper", "dac"): table("paper", "dac").rows}
    wrong = (
        ("--max_steps=30 --finetune_step=10 --online_steps=7", "finetune_step splits offline_steps"),
        ("--reward_tune=none", "reward_tune must be one of ['no', 'iql_locomotion'"),
        ("--percentile=0", "percentile must be above 0 and at most 100, got 0.0"),
        ("--sampler=ddim --ddim_step=9", "ddim_step must be at most T, got 9 and 5"),
        ("--eta_max=0.0001", "eta_max must be at least eta_min"),
        ("--q_tar=max", "q_tar"),
        ("--preset=paper --env=pen-human-v1", "no published DAC settings for 'pen-human-v1'"),
    )
