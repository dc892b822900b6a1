"""Every command line of the FAC README, and wrong ones of our own."""

import shlex
import warnings
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

import offlow_fac.main
from offlow_core.option_checks import OptionError
from offlow_core.testing.command_battery import CommandBattery
from offlow_core.training.command_line import ParsedCommand
from offlow_core.training.option_json import from_json, to_json
from offlow_fac.config import VARIANTS, FacConfig, FacOptions, FqlConfig, FqlOptions
from offlow_fac.presets import table

# Program and comment lines left out; otherwise as published.
README = (Path(__file__).parent / "data" / "readme_command_lines.txt").read_text().splitlines()


def parse_words(*words: str) -> ParsedCommand:
    return offlow_fac.main.read(words)


def test_the_readme_has_99_commands_with_arguments_and_covers_every_published_task():
    commands = [parse_words(*shlex.split(line)) for line in README]
    fql = [command for command in commands if command.variant == "fql"]
    assert (len(commands), len(fql)) == (99, 9)
    # 78 configurations, 10 default-task names for tasks among them, and 2 introductory examples.
    assert len({command.options.env_name for command in commands if command.variant == "fac"}) == 78 + 10
    assert {command.options.env_name for command in fql} == {
        task for task, source in table("paper", "fql").sources.items() if "FAC README" in source
    }


@pytest.mark.parametrize("line", README)
def test_a_readme_command_equals_the_preset_of_its_task(line):
    typed = parse_words(*shlex.split(line))
    looked_up = parse_words("--preset=paper", f"--env_name={typed.options.env_name}", f"--agent={typed.variant}")
    assert typed.variant == looked_up.variant
    assert typed.options == replace(looked_up.options, preset="none", success_timing="pre")
    assert from_json(VARIANTS, to_json(typed.options)) == typed.options


def test_quotes_that_no_shell_removed_do_no_harm():
    for line in (README[0], README[-1]):
        assert "'" in line
        assert parse_words(*line.split()) == parse_words(*shlex.split(line))


def test_a_published_command_in_numbers():
    command = parse_words(*shlex.split(next(line for line in README if "visual-cube-single" in line)))
    assert command.options == FacOptions(
        env_name="visual-cube-single-play-singletask-task1-v0",
        offline_steps=500_000,
        p_aug=0.5,
        frame_stack=3,
        agent=FacConfig(fac_alpha=0.5, fac_lambda=10.0, q_agg="mean", encoder="impala_small"),
    )


def test_no_arguments_are_the_readmes_first_command():
    command = parse_words()
    assert command.options == FacOptions()
    assert command.options.env_name == "cube-double-play-singletask-v0"
    assert (command.options.log_interval, FqlOptions().log_interval) == (10_000, 5_000)


class TestCommandLine(CommandBattery):
    """The battery."""

    command = offlow_fac.main
    backend = "jax"
    printed = ("--preset=paper", "--env_name=antmaze-umaze-v2")
    published: ClassVar = {
        pair: table(*pair).rows for pair in (("paper", "fac"), ("paper", "fql"), ("paper_online", "fql"))
    }
    wrong = (
        ("--agent.alpha=3", "--agent.alpha is an option of --agent fql, not of fac; did you mean --agent.fac_alpha?"),
        ("--agent=agents/fql.py --bc_steps=3", "--bc_steps is an option of --agent fac, not of fql"),
        ("--agent.lamda=3", "did you mean --agent.fac_lambda"),
        ("--agent=ifql", "unknown agent 'ifql'; did you mean fql?"),
        ("--preset=paper --env_name=cube-triple-play-singletask-v0", "no published FAC settings for"),
        ("--preset=paper_online", "there is no preset 'paper_online' for fac"),
        ("--preset=papers", "there is no preset 'papers' for fac"),
        ("--agent.num_critics=0", "num_critics must be above 0 and finite, got 0"),
        ("--agent.encoder=resnet", "invalid choice 'resnet' for argument '--agent.encoder'"),
        ("--online_steps=9 --agent.encoder=impala", "online_steps must be 0 with an image encoder"),
        ("--bc_steps=0", "bc_steps must be at least 1, or None, got 0"),
    )

    def check_published(self, preset, variant, options):
        assert options.online_steps == (1_000_000 if preset == "paper_online" else 0)

    def test_the_published_settings_are_printed(self, printed_config):
        agent = printed_config["agent"]
        assert (agent["agent_name"], agent["fac_threshold"]) == ("fac", "dataset_wide_constant")


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (FacConfig, {"flow_steps": 0}, "flow_steps must be above 0 and finite, got 0"),
        (FacConfig, {"lr_bc": 0.0}, "lr_bc must be above 0"),
        (FacConfig, {"tau": 0.0}, "tau must be above 0 and at most 1, got 0.0"),
        (FacConfig, {"discount": 1.01}, "discount must be between 0 and 1, got 1.01"),
        (FacConfig, {"fac_alpha": -1.0}, "fac_alpha must be at least 0, got -1.0"),
        (FacConfig, {"fac_lambda": float("nan")}, "fac_lambda must be at least 0, got nan"),
        (FacConfig, {"weight_type": "cubic"}, "weight_type must be one of .*, got 'cubic'"),
        (FacConfig, {"bc_hidden_dims": ()}, "bc_hidden_dims must be a tuple of one or more positive layer widths"),
        (FacConfig, {"value_hidden_dims": [64, 64]}, r"value_hidden_dims must be a tuple .*, got \[64, 64\]"),
        (FqlConfig, {"actor_hidden_dims": (64, 0)}, "actor_hidden_dims must be a tuple"),
        (FqlConfig, {"alpha": -0.5}, "alpha must be at least 0, got -0.5"),
        (FqlConfig, {"encoder": "resnet"}, "encoder must be one of .*None.*, got 'resnet'"),
        (FqlConfig, {"q_norm_epsilon": -1.0}, "q_norm_epsilon must be at least 0"),
        (FacOptions, {"epoch_flow_proxy": 0}, "epoch_flow_proxy must be at least 1"),
        (FacOptions, {"behaviour_flow_cache": ""}, "behaviour_flow_cache must be a folder, auto or none"),
    ],
)
def test_settings_that_no_agent_could_use_are_refused(config, change, message):
    with pytest.raises(OptionError, match=message):
        config(**change)


def test_a_noisy_minimum_as_threshold_is_warned_about_once():
    words = ["--agent.fac_threshold=dataset_wide_constant", "--agent.logp_method=hutch-gaus"]
    with pytest.warns(UserWarning, match="mostly estimation noise") as warned:
        parse_words(*words)
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse_words(*words, "--agent.use_cp=False")
