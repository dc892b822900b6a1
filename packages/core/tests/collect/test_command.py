"""`offlow data collect` as people type it."""

import subprocess
import sys

import numpy as np
import pytest

from offlow_core.command import main


def failure(words):
    """The message with which a command line ends."""
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    return stopped.value.code


def test_the_overview_lists_the_commands(capsys):
    for words in ([], ["--help"], ["data"], ["data", "--help"]):
        main(words)
        assert "offlow data collect" in capsys.readouterr().out


def test_unknown_commands_get_a_hint():
    assert failure("data colect x") == "offlow: no command `data colect`; did you mean `offlow data collect`?"
    assert failure("xyz").startswith("offlow: no command `xyz`; there are: compare, report, evaluate, ")


def test_help_needs_no_simulator():
    script = (
        "import sys; from offlow_core.command import main\n"
        "try: main(['data', 'collect', '--help'])\n"
        "except SystemExit: pass\n"
        "print({'mujoco', 'ogbench', 'matplotlib', 'jax', 'torch'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "--val_episodes" in result.stdout
    assert result.stdout.splitlines()[-1] == "set()"


def test_unknown_data_sets_and_options(capsys):
    assert "did you mean puzzle-4x4-noisy-v0" in failure("data collect puzzle-4x4-noise")
    assert failure("data collect cube-single-play --episode 3") == 2
    assert "--episodes" in capsys.readouterr().err


def test_a_small_set_needs_a_place_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for option in ("--episodes 3", "--episode_steps 100", "--val_episodes 1"):
        message = failure(f"data collect cube-single-play {option}")
        assert "the official set has 1000 episodes of 1001 rows" in message
        assert str(tmp_path / ".ogbench/data/cube-single-play-v0.npz") in message
        assert "--out" in message


def test_impossible_numbers(tmp_path):
    out = f"--out {tmp_path}/x.npz"
    assert "episodes must be at least 1" in failure(f"data collect scene-play --episodes 0 {out}")
    assert "--workers must be at least 1" in failure(f"data collect scene-play --workers 0 {out}")
    assert list(tmp_path.iterdir()) == []


def test_collecting_into_a_folder_reports_all_that_one_needs_next(tmp_path, capsys):
    main(f"data collect pointmaze-large-stitch --episodes 2 --episode_steps 41 --workers 1 --out {tmp_path}".split())
    out = tmp_path / "pointmaze-large-stitch-v0.npz"
    report = capsys.readouterr().out
    assert "pointmaze-large-stitch-v0: 123 rows, 120 transitions (2 + 1 episodes of 41 rows)" in report
    assert "per 1000 steps" in report
    assert f"fac --env_name=pointmaze-large-stitch-singletask-v0 --dataset_path={out}\n" in report
    with np.load(out) as file:
        assert file["actions"].shape == (82, 2)
    assert "exists; give --overwrite" in failure(f"data collect pointmaze-large-stitch --episodes 2 --out {tmp_path}")
