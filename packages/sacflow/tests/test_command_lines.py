"""The command lines of the SAC Flow README, and wrong ones of our own."""

import shlex
from typing import ClassVar

import pytest

import offlow_sacflow.main
from offlow_core.testing.command_battery import CommandBattery
from offlow_sacflow.options import VARIANTS, default_variant
from offlow_sacflow.presets import table

# As published, without the interpreter.
TASK = "--agent.alpha=100 --env_name=cube-triple-play-singletask-task4-v0 --sparse=False"
THREE_PHASE = {
    f"main_action_reg_three_phase.py --run_group=reproduce --agent=agents/{file} {TASK} --horizon_length=5": variant
    for file, variant in (
        ("acfql_transformer_ablation_online_sac.py", "chunk_flow_t"),
        ("acfql_gru_ablation_online_sac.py", "chunk_flow_g"),
        ("acfql_ablation_online.py", "chunk_naive"),
    )
}
QC_FQL = f"main.py --run_group=reproduce {TASK} --horizon_length=5"
FQL = f"main.py --run_group=reproduce {TASK} --horizon_length=1"


@pytest.mark.parametrize(
    ("line", "variant", "task"),
    [
        ("SAC_flow_transformer_jax.py", "flow_t", "Humanoid-v4"),
        ("SAC_flow_gru_jax.py", "flow_g", "Humanoid-v4"),
        ("from_scratch_code/Naive_sac_flow_jax.py", "naive", "Hopper-v4"),
    ],
)
def test_the_scripts_from_scratch_have_the_published_defaults(line, variant, task):
    command = offlow_sacflow.main.read(shlex.split(line))
    assert (command.variant, command.options.env_name, command.options.seed) == (variant, task, 3407)
    options = command.options
    assert (options.total_timesteps, options.buffer_size, options.learning_starts) == (1_000_000, 1_000_000, 50_000)
    assert options == VARIANTS[variant]()


@pytest.mark.parametrize(("line", "variant"), [*THREE_PHASE.items(), (QC_FQL, "acfql"), (FQL, "acfql")])
def test_published_commands(line, variant):
    words = shlex.split(line)
    command = offlow_sacflow.main.read(words)
    options = command.options
    assert command.variant == variant
    assert (options.env_name, options.wandb_group) == ("cube-triple-play-singletask-task4-v0", "reproduce")
    assert (options.agent.alpha, options.sparse) == (100.0, False)
    assert options.agent.horizon_length == (1 if line == FQL else 5)
    assert (options.offline_steps, options.online_steps, options.start_training) == (1_000_000, 1_000_000, 5_000)
    assert (options.buffer_size, options.eval_interval, options.eval_episodes) == (2_000_000, 100_000, 50)
    # The same without the script's name, too.
    assert offlow_sacflow.main.read(words[1:]) == command


@pytest.mark.parametrize(
    ("words", "variant"),
    [
        ("", "flow_t"),
        ("--env_name Walker2d-v5", "flow_t"),
        ("--env-id='Ant-v4'", "flow_t"),
        ("--env_name=cube-double-play-singletask-v0", "acfql"),
        ("--env halfcheetah-medium-v2", "acfql"),
        ("--env_name=lift-mh-low_dim", "acfql"),
    ],
)
def test_the_task_decides_where_no_agent_is_named(words, variant):
    assert default_variant(words.split()) == variant


def test_only_the_agent_is_known_by_its_official_file():
    words = "--agent acfql --save_dir exp/acfql_ablation_online --run_group acfql_gru_ablation_online_sac"
    options = offlow_sacflow.main.read(words.split()).options
    assert (options.save_dir, options.wandb_group) == ("exp/acfql_ablation_online", "acfql_gru_ablation_online_sac")


def test_presets_have_the_published_weights():
    double, triple = "cube-double-play-singletask-task2-v0", "cube-triple-play-singletask-task4-v0"
    demonstrated = ("lift-mh-low_dim", "can-mh-low_dim", "square-mh-low_dim")

    def weights(preset, agent, task):
        agent = offlow_sacflow.main.read([f"--preset={preset}", f"--agent={agent}", f"--env_name={task}"]).options.agent
        return agent.alpha, getattr(agent, "online_alpha", None), agent.horizon_length

    assert weights("paper", "acfql", triple) == (100, None, 5)
    assert weights("paper", "acfql", double) == (300, None, 5)
    assert weights("paper_fql", "acfql", triple) == (300, None, 1)
    for task in demonstrated:
        assert weights("paper", "acfql", task) == (10_000, None, 5)
        assert weights("paper_fql", "acfql", task) == (10_000, None, 1)
    for agent in ("chunk_flow_t", "chunk_flow_g"):
        assert weights("paper", agent, double) == (300, 300, 5)
        assert weights("paper", agent, triple) == (100, 100, 5)
        assert [weights("paper", agent, task) for task in demonstrated] == [(10_000, 1000, 5)] * 3


class TestCommand(CommandBattery):
    """The battery."""

    command = offlow_sacflow.main
    backend = "torch"
    printed = ("--preset=paper", "--env_name=cube-double-play-singletask-v0", "--agent=chunk_flow_g")
    published: ClassVar = {
        (preset, agent): table(preset, agent).rows
        for preset, agent in (
            *(("paper", agent) for agent in ("acfql", "chunk_flow_t", "chunk_flow_g")),
            ("paper_fql", "acfql"),
        )
    }
    wrong = (
        ("--agent=acfql --balanced_sampling=True", "unknown option --balanced_sampling"),
        ("--preset=paper --agent=chunk_naive", "there is no preset 'paper' for chunk_naive"),
        ("--agent=acfql --utd_ratio=0", "utd_ratio must be at least 1, got 0"),
        ("--agent=acfql --offline_steps=5 --online_steps=-5", "online_steps must be at least 0, got -5"),
        ("--agent=flow_t --total_timesteps=-5", "total_timesteps must be at least 0, got -5"),
        ("--agent=acfql --dataset_proportion=0", "dataset_proportion must be above 0 and at most 1, got 0.0"),
        ("--agent=chunk_flow_t --agent.actor_type=best-of-n", "choose the agent acfql for it"),
        ("--agent=flow_t --agent.policy_delay=0", "policy_delay must be at least 1, got 0"),
        ("--agent=acfql --online_steps=0 --frame_stack=3", "frame_stack must be None: these agents look at states"),
        ("--agent=flow_t --frame_stack=3", "frame_stack must be None: these agents look at states"),
        ("--agent=flow_t --preset=paper", "there is no preset 'paper' for flow_t"),
        ("--agent=flow_t --agent.log_std_min=nan", "log_std_min must be a finite number, got nan"),
    )
