"""Command lines as people type them, and what happens to wrong ones."""

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offlow_core.option_checks import OptionError, check, check_choices
from offlow_core.training.command_line import LATEST, parse, read_record
from offlow_core.training.option_json import from_json, to_text
from offlow_core.training.option_tokens import last_given
from offlow_core.training.options import ImageOptions, RunOptions


@dataclass(frozen=True)
class ToyConfig:
    """An agent."""

    agent_name: ClassVar[str] = "toy"

    alpha: float = 1.0
    """Weight of something."""
    widths: tuple[int, ...] = (8, 8)
    """Hidden widths."""
    layer_norm: bool = True
    """Whether to normalise."""
    q_agg: Literal["min", "mean"] = "min"
    """How to combine."""
    policy: Literal["diffusion", "flow"] = field(
        default="diffusion", metadata={"aliases": ("kind",), "switches": {"is_flow": ("flow", "diffusion")}}
    )
    """How to draw."""

    def __post_init__(self) -> None:
        check_choices(self)
        check(self, "widths", lambda value: len(value) > 0, "one width or more")


@dataclass(frozen=True)
class ToyOptions(ImageOptions):
    """A run with options as other published programs have them."""

    gpu: int | None = None
    """Device number."""
    lr_decay: bool = False
    """Whether the step size decays."""
    is_flow_matching: bool = True
    """Whether to match flows."""
    agent: ToyConfig = field(default_factory=ToyConfig)
    """The agent."""


@dataclass(frozen=True)
class OtherConfig:
    """Another agent."""

    agent_name: ClassVar[str] = "other"

    beta: float = 2.0
    """Weight of something else."""


@dataclass(frozen=True)
class OtherOptions(RunOptions):
    """A run of the other agent."""

    agent: OtherConfig = field(default_factory=OtherConfig)
    """The agent."""


VARIANTS = {"toy": ToyOptions, "other": OtherOptions}


def published(name: str, variant: str, task: str) -> dict[str, str]:
    if (name, variant, task) != ("paper", "toy", "known-v0"):
        raise OptionError(f"nothing published for {task}")
    return {"agent.alpha": "3.0", "agent.widths": "(4,4)", "offline_steps": "500"}


def parse_line(line: str):
    return parse(shlex.split(line), program="toy", variants=VARIANTS, default_variant="toy", preset=published)


def test_no_arguments_give_the_defaults():
    command = parse_line("")
    assert command.options == ToyOptions()
    assert (command.variant, command.print_config, command.resume, command.given) == ("toy", False, None, frozenset())


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("--env_name=a-v0", {"env_name": "a-v0"}),
        ("--env_name a-v0", {"env_name": "a-v0"}),
        ("--env-name a-v0", {"env_name": "a-v0"}),
        ("--env a-v0 --num_seed 8 --gpu 0", {"env_name": "a-v0", "num_seeds": 8, "gpu": 0}),
        ("--seed=1 --seed=2", {"seed": 2}),
        ("--p_aug=0.5 --frame_stack 3", {"p_aug": 0.5, "frame_stack": 3}),
        ("--p_aug none --gpu None", {}),
        ("--offline_steps=1_000", {"offline_steps": 1000}),
        ("--lr_decay --seed 3", {"lr_decay": True, "seed": 3}),
        ("--lr_decay", {"lr_decay": True}),
        ("--lr_decay true --is_flow_matching f", {"lr_decay": True, "is_flow_matching": False}),
        ("--lr_decay=1 --is_flow_matching=0", {"lr_decay": True, "is_flow_matching": False}),
        ("--no-is_flow_matching", {"is_flow_matching": False}),
        ("--nois_flow_matching", {"is_flow_matching": False}),
        ("--dataset_path='/with space/and=sign.npz'", {"dataset_path": "/with space/and=sign.npz"}),
    ],
)
def test_run_options_in_every_published_spelling(line, changes):
    assert parse_line(line).options == ToyOptions(**changes)


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("--agent.alpha=0.5", {"alpha": 0.5}),
        ("--agent.alpha -1e-3", {"alpha": -0.001}),
        ("--agent.q_agg='mean'", {"q_agg": "mean"}),
        ('''--agent.q_agg="'mean'"''', {"q_agg": "mean"}),
        ("--agent.layer_norm=False", {"layer_norm": False}),
        ("--agent.layer-norm=0", {"layer_norm": False}),
        ("--agent.no-layer_norm", {"layer_norm": False}),
        ("--no-agent.layer_norm", {"layer_norm": False}),
        ("--agent.widths='(64,32)'", {"widths": (64, 32)}),
        ("--agent.widths='[64, 32]'", {"widths": (64, 32)}),
        ("--agent.widths='(64,)'", {"widths": (64,)}),
        ("--agent.widths 64,32", {"widths": (64, 32)}),
        ("--agent.widths 64 32 --agent.alpha 2", {"widths": (64, 32), "alpha": 2.0}),
        ("--kind=flow", {"policy": "flow"}),
        ("--is_flow", {"policy": "flow"}),
        ("--is-flow --agent.alpha 2", {"policy": "flow", "alpha": 2.0}),
        ("--is_flow true", {"policy": "flow"}),
        ("--is_flow=1", {"policy": "flow"}),
        ("--is_flow=False", {"policy": "diffusion"}),
        ("--is_flow --no-is_flow", {"policy": "diffusion"}),
        ("--is_flow --nois_flow", {"policy": "diffusion"}),
        ("--is_flow --agent.policy=diffusion", {"policy": "diffusion"}),
        ("--agent.policy=diffusion --is_flow", {"policy": "flow"}),
    ],
)
def test_agent_options_in_every_published_spelling(line, changes):
    assert parse_line(line).options.agent == replace(ToyConfig(), **changes)


@pytest.mark.parametrize("spelling", ["--agent other", "--agent=other", "--agent='agents/other.py'", "--agent a/other"])
def test_an_agent_is_chosen_by_name_or_by_the_file_of_that_name(spelling):
    command = parse_line(f"{spelling} --agent.beta=3")
    assert command.variant == "other"
    assert command.options == OtherOptions(agent=OtherConfig(beta=3.0))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", None),
        ("--seed 1", None),
        ("--env-name=cube", "cube"),
        ("--env 'cube' --env_name=\"door\" --seed=1", "door"),
        ("-env cube", None),
        ("--env", ""),
    ],
)
def test_the_last_of_some_options_is_known_before_all_are(line, text):
    assert last_given(line.split(), ["env", "env_name"]) == text


def test_preset_values_are_defaults_which_the_command_line_overrides():
    options = parse_line("--agent.alpha=7 --preset paper --env_name=known-v0").options
    assert (options.agent.alpha, options.agent.widths, options.offline_steps) == (7.0, (4, 4), 500)
    assert options.preset == "paper"


@pytest.mark.parametrize(
    ("line", "resume"),
    [
        ("", None),
        ("--resume", LATEST),
        ("--resume --seed 3", LATEST),
        ("--resume runs/a/b", "runs/a/b"),
        ("--resume=runs/a/b", "runs/a/b"),
    ],
)
def test_resume_with_and_without_a_directory(line, resume):
    assert parse_line(line).resume == resume


@pytest.mark.parametrize("words", ["--resume {run}", "--resume={run}", "--agent other --resume {run}"])
def test_a_named_run_decides_about_the_agent(tmp_path, words):
    (tmp_path / "config.json").write_text('{"agent": {"agent_name": "other", "beta": 3.0}}')
    command = parse_line(words.format(run=tmp_path) + " --agent.beta 4")
    assert (command.variant, command.options.agent.beta) == ("other", 4.0)
    assert parse_line(f"--agent toy --resume {tmp_path}").variant == "toy"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"agent": 3}'])
def test_a_run_that_tells_no_agent_leaves_the_usual_one(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    assert parse_line(f"--resume {tmp_path}").variant == "toy"


@pytest.mark.parametrize("line", ["", "--resume", "--resume --seed 3"])
def test_no_folder_is_looked_into_that_was_not_named(tmp_path, monkeypatch, line):
    for folder in (tmp_path, tmp_path / "latest"):
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text('{"agent": {"agent_name": "other"}}')
    monkeypatch.chdir(tmp_path)
    assert parse_line(line).variant == "toy"


@pytest.mark.parametrize("name", ['"dac"', "null"])
def test_a_run_of_another_program_is_said_to_be_one(tmp_path, capsys, name):
    (tmp_path / "config.json").write_text(f'{{"agent": {{"agent_name": {name}}}}}')
    with pytest.raises(SystemExit):
        parse_line(f"--resume {tmp_path}")
    assert "which is another program's" in capsys.readouterr().err


def test_given_names_what_the_command_line_itself_set():
    command = parse_line("--resume --env known-v0 --preset=paper --agent toy --agent.alpha=1 --print_config")
    assert command.given == {"env_name", "preset", "agent.alpha"}


def test_a_space_that_is_missing_before_an_option_is_put_in(capsys):
    command = parse_line("--agent.alpha=0.5--seed=3")
    assert command.options.seed == 3
    assert command.options.agent.alpha == 0.5
    assert "reading --agent.alpha=0.5--seed=3 as --agent.alpha=0.5 --seed=3" in capsys.readouterr().err
    assert parse_line("--save_dir=runs/a--seed=3").options.save_dir == "runs/a--seed=3"


def test_a_switch_gives_the_option_that_it_stands_for():
    assert parse_line("--no-is_flow").given == {"agent.policy"}


def test_printed_configuration_is_json_headed_by_the_agents_name():
    command = parse_line("--print_config --agent.alpha=0.5")
    assert command.print_config
    record = json.loads(to_text(command.options))
    agent = {"agent_name": "toy", "alpha": 0.5, "widths": [8, 8], "layer_norm": True, "q_agg": "min"}
    assert record["agent"] == agent | {"policy": "diffusion"}
    assert (record["env_name"], record["gpu"]) == ("cube-double-play-singletask-v0", None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--evn_name=x", "unknown option --evn_name; did you mean --env_name"),
        ("--alpha=3", "did you mean --agent.alpha"),
        ("--agent.widhts=3", "did you mean --agent.widths"),
        ("--qqqqqqqq=3", "--help lists all options"),
        ("--agent.beta=3", "--agent.beta is an option of --agent other, not of toy"),
        ("--agent tyo", "unknown agent 'tyo'; did you mean toy?"),
        ("--agent", "unknown agent ''; known: toy, other"),
        ("--seed", "--seed needs a value: --seed=VALUE"),
        ("--seed --lr_decay", "--seed needs a value"),
        ("--no-seed", "unknown option --no_seed; did you mean --"),
        ("evaluate", "unexpected argument 'evaluate'; options are written --name=value"),
        ("--lr_decay maybe", "unexpected argument 'maybe'"),
        ("-s 3", "unexpected argument '-s'"),
        ("--preset paper --env_name=unknown-v0", "nothing published for unknown-v0"),
        ("--seed=1e6", "Error parsing --seed"),
        ("--seed=-1", "seed must be at least 0, got -1"),
        ("--is_flow=maybe", "--is_flow must be True or False, got 'maybe'"),
        ("--is_flwo", "unknown option --is_flwo; did you mean --is_flow"),
        ("--agent.is_flow", "unknown option --agent.is_flow; did you mean --is_flow"),
        ("--no-kind", "unknown option --no_kind"),
        ("--lr_decay=maybe", "--lr_decay must be True or False, got 'maybe'"),
        ("--print_config=maybe", "--print_config must be True or False, got 'maybe'"),
        ("--agent.q_agg=median", "invalid choice 'median' for argument '--agent.q_agg'"),
        ("--agent.widths='()'", "widths must be one width or more, got ()"),
        ("--agent.widths=a,b", "Error parsing --agent.widths"),
    ],
)
def test_wrong_command_lines_exit_with_2_and_say_why(line, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse_line(line)
    assert exit_.value.code == 2
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split())
    assert captured.out == ""


def test_help_lists_run_and_agent_options_of_the_chosen_agent(capsys):
    with pytest.raises(SystemExit) as exit_:
        parse_line("--agent other --help")
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    for text in ("--agent {toy,other} (here: other)", "--offline_steps INT", "--agent.beta FLOAT", "--resume"):
        assert text in shown
    assert "--agent.alpha" not in shown


def test_help_imports_nothing_heavy():
    script = (
        "import sys\n"
        "from offlow_core.training.command_line import read_record\n"
        "from offlow_core.training.options import RunOptions\n"
        "try:\n"
        "    read_record(['--help'], RunOptions, program='run', description='')\n"
        "finally:\n"
        "    assert not {'jax', 'torch', 'mujoco', 'ogbench', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--env_name STR" in done.stdout


@dataclass(frozen=True)
class Errand:
    """What a command besides training may need."""

    episodes: int = 50
    """How many."""


def test_any_dataclass_can_be_read(capsys):
    read = {"record_type": Errand, "program": "toy evaluate", "description": "Evaluate."}
    assert read_record(["--episodes", "3"], **read) == Errand(3)
    with pytest.raises(SystemExit):
        read_record(["--episode", "3"], **read)
    assert "toy evaluate: error: unknown option --episode; did you mean --episodes?" in capsys.readouterr().err


toy_options = st.builds(
    ToyOptions,
    env_name=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1).filter(
        lambda name: name[0] not in "'\"" and name.lower() != "none"
    ),
    seed=st.integers(0, 2**31),
    p_aug=st.none() | st.floats(0, 1),
    dataset_path=st.none() | st.just("a b.npz"),
    lr_decay=st.booleans(),
    gpu=st.none() | st.integers(),
    agent=st.builds(
        ToyConfig,
        alpha=st.floats(allow_nan=False),
        widths=st.lists(st.integers(1, 999), min_size=1, max_size=3).map(tuple),
        layer_norm=st.booleans(),
        q_agg=st.sampled_from(["min", "mean"]),
        policy=st.sampled_from(["diffusion", "flow"]),
    ),
)


@settings(max_examples=40, deadline=None)
@given(toy_options)
def test_json_and_command_line_round_trips(options):
    record = json.loads(to_text(options))
    assert from_json(VARIANTS, record) == options
    agent = {f"agent.{name}": value for name, value in record.pop("agent").items() if name != "agent_name"}
    words = [f"--{name}={value}" for name, value in (record | agent).items()]
    command = parse(words, program="toy", variants=VARIANTS, default_variant="toy", preset=published)
    assert command.options == options
    assert command.given == set(record | agent)
