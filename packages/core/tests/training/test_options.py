"""Options that no run could use, and saved configurations that do not fit the program that reads them."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from offlow_core.option_checks import OptionError
from offlow_core.training.option_json import from_json, to_json
from offlow_core.training.options import ImageOptions, OnlineOptions


@dataclass(frozen=True)
class ToyConfig:
    agent_name: ClassVar[str] = "toy"

    alpha: float = 1.0
    widths: tuple[int, ...] = (8, 8)


@dataclass(frozen=True)
class ToyOptions(OnlineOptions, ImageOptions):
    agent: ToyConfig = field(default_factory=ToyConfig)


VARIANTS = {"toy": ToyOptions}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env_name": ""}, "env_name must be a name, not empty, got ''"),
        ({"dataset_path": ""}, "dataset_path must be a name"),
        ({"num_seeds": 0}, "num_seeds must be at least 1, got 0"),
        ({"log_interval": 0}, "log_interval must be at least 1"),
        ({"eval_episodes": 0}, "eval_episodes must be at least 1"),
        ({"eval_workers": -1}, "eval_workers must be at least 0"),
        ({"checkpoint_minutes": float("nan")}, "checkpoint_minutes must be at least 0, got nan"),
        ({"p_aug": 1.5}, "p_aug must be between 0 and 1, or None, got 1.5"),
        ({"frame_stack": 0}, "frame_stack must be at least 1, or None"),
        ({"success_timing": "during"}, r"success_timing must be one of \['pre', 'post'\], got 'during'"),
        ({"offline_steps": 0}, "nothing to do: the options ask for 0 steps of training"),
        ({"num_seeds": 2, "keep_checkpoints": 1}, "keep_checkpoints must be at least 2 with several seeds"),
    ],
)
def test_values_that_no_run_could_use_are_refused(change, message):
    with pytest.raises(OptionError, match=message):
        ToyOptions(**change)


def test_whole_numbers_are_read_where_a_float_is_due():
    record = to_json(ToyOptions())
    options = from_json(VARIANTS, {**record, "checkpoint_minutes": 3})
    assert (options.checkpoint_minutes, type(options.checkpoint_minutes)) == (3.0, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agent": None}, "the configuration has no agent"),
        ({"agent": {"agent_name": "tyo"}}, "unknown agent_name 'tyo'; did you mean toy?"),
        ({"agent": {"agent_name": "toy", "alpha": 1.0}}, "lacks agent.widths"),
        ({"sede": 3}, "unknown key sede in the configuration; did you mean seed"),
        ({"seed": "3"}, "seed must be int, got '3'"),
        ({"seed": True}, "seed must be int, got True"),
        ({"seed": 1.5}, "seed must be int, got 1.5"),
        ({"p_aug": "x"}, "p_aug must be float or None, got 'x'"),
        ({"wandb": "on"}, "wandb must be one of"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_by_key(change, message):
    with pytest.raises(OptionError, match=message.replace("?", r"\?")):
        from_json(VARIANTS, {**to_json(ToyOptions()), **change})


def test_agent_values_of_the_wrong_kind_are_refused_by_key():
    agent = to_json(ToyOptions())["agent"]
    for widths, message in [(3, "agent.widths must be a list, got 3"), ([1.5], "agent.widths must be int, got 1.5")]:
        with pytest.raises(OptionError, match=message):
            from_json(VARIANTS, {**to_json(ToyOptions()), "agent": {**agent, "widths": widths}})


def test_a_missing_key_is_refused_by_name():
    record = to_json(ToyOptions())
    del record["seed"]
    with pytest.raises(OptionError, match="the configuration lacks seed"):
        from_json(VARIANTS, record)


def test_a_suites_options_that_are_newer_than_the_record_take_their_defaults_audibly(capsys):
    record = to_json(ToyOptions(env_name="pen-human-v1", seed=7, legacy_contact_margin=False))
    del record["d4rl_rules"], record["legacy_contact_margin"]
    assert from_json(VARIANTS, record) == ToyOptions(env_name="pen-human-v1", seed=7)
    assert "without d4rl_rules, legacy_contact_margin: the defaults are taken" in capsys.readouterr().err


def test_the_goal_of_antmaze_v0_follows_the_seed_unless_chosen():
    assert ToyOptions(seed=3).suite.d4rl_goal_seed == 3
    assert ToyOptions(seed=3, d4rl_goal_seed=0).suite.d4rl_goal_seed == 0
    assert to_json(ToyOptions(seed=3))["d4rl_goal_seed"] == 3
