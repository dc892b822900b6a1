"""Every command line of the DeFlow README, and wrong ones of our own."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

import offlow_deflow.main
from offlow_core.option_checks import OptionError
from offlow_core.testing.command_battery import CommandBattery
from offlow_core.training.command_line import ParsedCommand, parse
from offlow_core.training.option_json import from_json, to_json
from offlow_deflow.config import VARIANTS, DeFlowConfig, DeFlowOptions, DeFlowVfOptions, FloqConfig, FloqOptions
from offlow_deflow.presets import preset, table

# Program and comment lines left out; otherwise as published.
README = (Path(__file__).parent / "data" / "readme_command_lines.txt").read_text().splitlines()
# The three introductory examples: the second has a slip, the third is offline to online.
EXAMPLES, LIST = README[:3], README[3:]


def parse_words(*words: str) -> ParsedCommand:
    return parse(words, program="deflow", variants=VARIANTS, default_variant="deflow", preset=preset)


def test_the_readme_has_36_commands():
    assert len(LIST) == 33
    assert len({parse_words(*shlex.split(line)).options.env_name for line in LIST}) == 33


@pytest.mark.parametrize("line", LIST)
def test_a_readme_command_equals_the_preset_of_its_task(line):
    typed = parse_words(*shlex.split(line))
    looked_up = parse_words("--preset=paper", f"--env_name={typed.options.env_name}")
    assert typed.variant == "deflow"
    assert typed.options == replace(looked_up.options, preset="none", success_timing="pre")
    assert from_json(VARIANTS, to_json(typed.options)) == typed.options


def test_the_example_with_a_missing_space(capsys):
    (glued,) = (line for line in EXAMPLES if "--agent.encoder" in line)
    assert "0.001--agent.encoder=impala_small" in glued
    (listed,) = (line for line in LIST if "visual-cube-single" in line)
    assert parse_words(*shlex.split(glued)).options == parse_words(*shlex.split(listed)).options
    assert "reading --agent.target_divergence=0.001--agent.encoder=impala_small as" in capsys.readouterr().err


def test_the_example_from_offline_to_online():
    (line,) = (line for line in EXAMPLES if "--online_steps" in line)
    typed = parse_words(*shlex.split(line)).options
    looked_up = parse_words("--preset=paper_online", f"--env_name={typed.env_name}").options
    assert typed == replace(looked_up, preset="none", success_timing="pre")
    assert typed == DeFlowOptions(
        env_name="scene-play-singletask-v0",
        online_steps=1_000_000,
        agent=DeFlowConfig(target_divergence=0.001, normalize_q_loss=True),
    )


def test_the_flag_named_for_online_training():
    words = ["--env_name=scene-play-singletask-v0", "--agent.fix_bc_flow_online=True", "--offline_steps=7"]
    options = parse_words(*words).options
    assert options.agent.fix_bc_flow_online
    assert options.agent.offline_steps == 7


def test_the_published_table_in_numbers():
    rows = table("paper", "deflow").rows
    assert len(rows) == 10 * 5 + 5 + 6 + 12
    divergences = {
        "antmaze-giant-navigate-singletask-task3-v0": "0.01",
        "humanoidmaze-large-navigate-singletask-task5-v0": "0.001",
        "puzzle-4x4-play-singletask-task1-v0": "0.005",
        "visual-puzzle-3x3-play-singletask-task1-v0": "0.0005",
        "antmaze-large-diverse-v2": "0.015",
        "pen-human-v1": "0.01",
        "relocate-expert-v1": "0.001",
    }
    assert {task: rows[task]["agent.target_divergence"] for task in divergences} == divergences
    assert {row["agent.normalize_q_loss"] for row in rows.values()} == {"True"}


def test_a_published_floq_command():
    words = "--env_name=antmaze-giant-navigate-singletask-v0 --offline_steps=1000000 --online_steps=2000000"
    words += " --agent=agents/floq.py --agent.alpha=10 --agent.q_agg=min --agent.discount=0.995 --agent.batch_size=512"
    typed = parse_words(*words.split(), "--agent.critic_flow_steps=4").options
    looked_up = parse_words("--preset=paper_online", f"--env_name={typed.env_name}", "--agent=floq").options
    assert typed == replace(looked_up, preset="none", success_timing="pre")
    assert (FloqOptions().offline_steps, FloqOptions().eval_interval) == (2_000_000, 20_000)
    assert parse_words("--agent=agents/deflowvf.py").options == DeFlowVfOptions()


class TestCommand(CommandBattery):
    """The battery."""

    command = offlow_deflow.main
    backend = "jax"
    printed = ("--preset=paper", "--env_name=antmaze-umaze-v2", "--agent.target_divergence=auto")
    published: ClassVar = {
        (name, agent): table(name, agent).rows
        for agent, names in (
            ("deflow", ("paper", "paper_online")),
            ("deflowvf", ("paper", "paper_online")),
            ("floq", ("paper", "paper_best", "paper_online")),
        )
        for name in names
    }
    wrong = (
        ("--agent.target_divergence=-1", "target_divergence must be a number that is at least 0, or auto, got -1.0"),
        ("--agent.target_divergence=none", "target_divergence"),
        ("--agent=floq --agent.encoder=impala_small", "encoder must be None: a flow critic takes state"),
        ("--agent=deflowvf --agent.discount=1", "discount must be below 1"),
        ("--agent=floq --agent.distill_num_ensembles=3", "distill_num_ensembles must equal flow_num_ensembles"),
        ("--agent=floq --agent.target_divergence=0.1", "is an option of --agent deflow, not of floq"),
        ("--agent=deflowvf --preset=paper --env_name=pen-human-v1", "no suggested DeFlow-VF settings"),
        ("--agent=floq --p_aug=0.5", "is an option of --agent deflow, not of floq"),
        ("--online_steps=5 --agent.encoder=impala", "online_steps must be 0 with an image encoder"),
        ("--agent=floq --frame_stack=3 --online_steps=5", "online_steps must be 0 with frame_stack"),
        ("--agent.action_selection=best", "action_selection"),
    )

    def check_published(self, preset, variant, options):
        steps = {"deflow": 1_000_000, "deflowvf": 1_000_000, "floq": 2_000_000}[variant]
        assert options.online_steps == (steps if preset == "paper_online" else 0)


def test_ranges_of_rewards_are_checked():
    with pytest.raises(OptionError, match="r_min must not exceed r_max"):
        FloqConfig(r_min=1.0, r_max=0.0)
