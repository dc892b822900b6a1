"""The four published command lines, the presets, and wrong words."""

from typing import ClassVar

import pytest

import offlow_diffusion_ql.main
from offlow_core.option_checks import OptionError
from offlow_core.testing.command_battery import CommandBattery
from offlow_core.training.command_line import ParsedCommand
from offlow_core.training.option_json import from_json, to_json
from offlow_diffusion_ql.config import VARIANTS, DiffusionQlConfig, DiffusionQlOptions
from offlow_diffusion_ql.presets import table

WALKER = "--env_name walker2d-medium-expert-v2 --device 0"
# After the program's name, as published; the fork's READMEs leave task and device open.
README = {
    "online": f"{WALKER} --ms online --lr_decay",
    "offline": f"{WALKER} --ms offline --lr_decay --early_stop",
    "flow": f"{WALKER} --ms online --lr_decay --is_flow_matching",
    "diffusion": f"{WALKER} --ms online --lr_decay --no-is_flow_matching",
}


def parse_line(line: str) -> ParsedCommand:
    return offlow_diffusion_ql.main.read(line.split())


@pytest.mark.parametrize("name", README)
def test_a_published_command_has_the_published_settings(name):
    options = parse_line(README[name]).options
    assert options == DiffusionQlOptions(
        env_name="walker2d-medium-expert-v2",
        device="0",
        offline_steps=2_000_000,
        eval_interval=50_000,
        eval_episodes=10,
        selection="offline" if name == "offline" else "online",
        early_stop=name == "offline",
        top_k=1,
        agent=DiffusionQlConfig(
            policy="flow" if name == "flow" else "diffusion",
            lr=3e-4,
            eta=1.0,
            max_q_backup=False,
            reward_tune="no",
            num_epochs=2000,
            grad_norm=5.0,
            lr_decay=True,
        ),
    )
    assert options.d4rl_rules == "diffusion_ql"
    assert to_json(from_json(VARIANTS, to_json(options))) == to_json(options)


def test_the_drivers_own_spellings_are_understood():
    line = "--T 10 --algo bc --beta_schedule linear --discount 0.9 --tau 0.01 --dir there --top_k 2 --gn 3 --eta 0.5"
    options = parse_line(f"{line} --env_name hopper-medium-v2 --save_best_model").options
    agent = options.agent
    assert (agent.n_timesteps, agent.algo, agent.beta_schedule, agent.discount) == (10, "bc", "linear", 0.9)
    assert (agent.tau, agent.grad_norm, agent.eta) == (0.01, 3.0, 0.5)
    assert (options.save_dir, options.top_k, options.save_interval) == ("there", 2, 50_000)
    assert agent.agent_name == "diffusion_bc"


def test_the_table_of_published_settings_in_numbers():
    assert len(table().rows) == 20
    large = parse_line("--env_name antmaze-large-play-v0 --preset paper").options
    assert (large.agent.eta, large.agent.max_q_backup, large.agent.reward_tune) == (4.5, True, "cql_antmaze")
    assert (large.agent.grad_norm, large.top_k, large.offline_steps, large.eval_episodes) == (10.0, 2, 1_000_000, 100)
    assert parse_line("--env_name antmaze-medium-play-v0").options.agent.lr == 1e-3
    pen = parse_line("--env_name pen-human-v1").options.agent
    assert (pen.lr, pen.critic_lr, pen.eta, pen.reward_tune) == (3e-5, 3e-4, 0.15, "normalize")
    kitchen = parse_line("--env_name kitchen-complete-v0").options
    assert (kitchen.offline_steps, kitchen.agent.num_epochs, kitchen.agent.eta) == (250_000, 250, 0.005)


def test_fork_parity_is_the_flow_without_the_critics_gradient():
    options = parse_line("--env_name hopper-medium-v2 --preset fork_parity").options
    assert (options.agent.policy, options.agent.flow_q_gradient, options.agent.grad_norm) == ("flow", "none", 9.0)
    again = parse_line("--env_name hopper-medium-v2 --preset fork_parity --no-is_flow_matching").options
    assert again.agent.policy == "diffusion"


def test_a_task_without_published_settings_says_so_and_takes_the_defaults(capsys):
    options = parse_line("--env_name cube-single-play-singletask-v0").options
    assert options.agent == DiffusionQlConfig()
    assert "no published settings for 'cube-single-play-singletask-v0'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse_line("--env_name cube-single-play-singletask-v0 --preset paper")
    assert "no published Diffusion-QL settings" in capsys.readouterr().err


class TestCommandLine(CommandBattery):
    """The battery."""

    command = offlow_diffusion_ql.main
    backend = "torch"
    printed = tuple(README["flow"].split())
    published: ClassVar = {("paper", variant): table().rows for variant in VARIANTS}
    wrong = (
        ("--etaa 1", "unknown option --etaa; did you mean --agent.eta"),
        ("--is_flow_matching maybe", "unexpected argument 'maybe'"),
        ("--is_flow_matching=maybe", "--is_flow_matching must be True or False, got 'maybe'"),
        ("--ms best", "selection"),
        ("--T 0", "n_timesteps must be at least 1, got 0"),
        ("--reward_tune twice", "reward_tune must be one of"),
        ("--early_stop --num_seeds 2", "early_stop ends each seed at its own time"),
        ("--early_stop --eval_interval 0", "early_stop compares evaluation intervals"),
        ("--save_best_model --save_interval 30000", "save_best_model needs"),
        ("--agent fac", "unknown agent 'fac'"),
        ("--online_steps 5", "unknown option --online_steps"),
    )

    def check_published(self, preset, variant, options):
        assert options.agent.agent_name == variant
        assert options.offline_steps == 1000 * options.agent.num_epochs

    def test_the_name_of_the_agent_is_printed(self, printed_config):
        assert printed_config["agent"]["agent_name"] == "flow_ql"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_dim": 5}, "time_dim must be an even number"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"tau": 0.0}, "tau must be above 0"),
        ({"policy": "gaussian"}, "policy must be one of"),
    ],
)
def test_settings_that_no_agent_could_use_are_refused(change, message):
    with pytest.raises(OptionError, match=message):
        DiffusionQlConfig(**change)
