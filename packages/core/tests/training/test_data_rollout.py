"""`offlow data collect --policy RUN`: datasets from trained policies, whichever package they belong to."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fake_program import VARIANTS, Corridor

from offlow_core.command import main
from offlow_core.data.collect.rollouts import d4rl_recording, roll_out
from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.recordings.recording import read_recording
from offlow_core.testing.toy_task import make_task
from offlow_core.training import algorithms, saved_run
from offlow_core.training.algorithms import Algorithm, UnknownAlgorithmError, algorithm_of
from offlow_core.training.run_directory import RunDirectory


def load_policy(options, observation_shape, action_dim, arrays, name):
    """Steps of half its noise's seed, to tell who acts."""
    assert (observation_shape, action_dim, name) == ((2,), 1, "policy")
    return lambda observations, noise_seeds: (noise_seeds[:, :1] % 1000) / 1000.0


@pytest.fixture
def trained(stage, monkeypatch):
    """A finished run of an agent that one of two installed packages has."""
    stage.train("--save_interval=5", "--checkpoint_minutes=1000")
    packages = {"other": Algorithm("other", {}, load_policy), "fake": Algorithm("fake", VARIANTS, load_policy)}
    entries = [SimpleNamespace(name=name, load=lambda found=found: found) for name, found in packages.items()]
    monkeypatch.setattr(algorithms, "entry_points", lambda group: entries)
    monkeypatch.setattr(saved_run, "resolve", lambda name, options: make_task(Corridor))
    return stage.folders()[0]


def collect(run, out, *words: str) -> None:
    main(["data", "collect", "--policy", str(run), "--out", str(out), *words])


def test_a_dataset_has_whole_episodes_and_as_many_rows_as_asked(trained, tmp_path, capsys):
    out = tmp_path / "medium.hdf5"
    collect(trained, out, "--transitions=50", "--checkpoint=5")
    recording = read_recording(out)
    assert len(recording) == 50
    # Episodes of three steps that no task ends; the last one is cut.
    assert recording.timeouts.tolist() == [i % 3 == 2 for i in range(49)] + [True]
    assert not recording.terminals.any()
    starts = np.arange(0, 48, 3)
    place = recording.observations[:, 0]
    np.testing.assert_allclose(recording.next_observations[starts, 0], place[starts + 1])
    np.testing.assert_allclose(place[starts] + recording.actions[starts, 0], place[starts + 1], rtol=1e-5)
    shown = capsys.readouterr().out
    assert "50 transitions of push, policy after step 5" in shown
    assert "16 whole episodes: mean return" in shown


@pytest.mark.parametrize(
    ("suite", "words"),
    [
        ("d4rl", "--env push --dataset_path FILE"),
        ("gymnasium", "--env own/mine --dataset_path FILE --environment push"),
        ("ogbench", "--env own/mine --dataset_path FILE --environment push"),
        ("robomimic", "--env own/mine --dataset_path FILE"),
    ],
)
def test_the_command_that_trains_on_the_file_names_a_task_that_reads_it(
    trained, tmp_path, capsys, monkeypatch, suite, words
):
    task = replace(make_task(Corridor), suite=suite)
    monkeypatch.setattr(saved_run, "resolve", lambda name, options: task)
    collect(trained, tmp_path / "x.hdf5", "--transitions=4")
    shown = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert shown == "  dac " + words.replace("FILE", str(tmp_path / "x.hdf5"))


def test_equal_seeds_give_equal_data(trained, tmp_path):
    arrays = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        collect(trained, tmp_path / f"{name}.hdf5", "--transitions=20", f"--seed={seed}")
        with Hdf5File(tmp_path / f"{name}.hdf5") as file:
            arrays.append({field: file.read(field) for field in file.fields})
    assert all((arrays[0][name] == arrays[1][name]).all() for name in arrays[0])
    assert (arrays[0]["observations"] != arrays[2]["observations"]).any()


def test_more_transitions_begin_with_the_same_ones():
    def policy(observations, noise_seeds):
        return np.zeros((len(observations), 1), np.float32)

    few, many = (roll_out(policy, Corridor, n, seed=0) for n in (10, 70))
    first = np.concatenate([episode["rewards"] for episode in many])[:10]
    np.testing.assert_array_equal(np.concatenate([episode["rewards"] for episode in few]), first)


def test_actions_are_stored_in_units_of_their_bounds(tmp_path):
    bounds = np.float32([-0.4]), np.float32([0.8])
    rows = {name: np.zeros(3) for name in ("rewards", "terminals", "timeouts")}
    rows |= {name: np.zeros((3, 2)) for name in ("observations", "next_observations")}
    recording = d4rl_recording({**rows, "actions": np.array([[-0.4], [0.2], [0.8]])}, bounds, tmp_path / "x.hdf5")
    np.testing.assert_allclose(recording.actions[:, 0], [-1, 0, 1], atol=1e-6)


def test_a_replay_buffer_tells_ends_from_cut_offs(trained, tmp_path, capsys, monkeypatch):
    run = RunDirectory.open(trained)
    steps = np.arange(5.0, dtype=np.float32)
    ring = {
        "observations": np.stack([steps, steps], 1),
        "next_observations": np.stack([steps + 1, steps], 1),
        "actions": np.zeros((5, 1), np.float32),
        "rewards": steps,
        "masks": np.array([1, 0, 1, 1, 1], np.float32),
        "terminals": np.array([0, 1, 0, 1, 0], np.float32),
        "inserted": np.asarray(5),
    }
    found = SimpleNamespace(
        arrays={f"stage/online/replay/{name}": values for name, values in ring.items()}, meta={"step": 10}
    )
    monkeypatch.setattr(saved_run, "find_checkpoint", lambda run, step: found)
    with pytest.raises(SystemExit, match="--replay needs a run from scratch"):
        collect(trained, tmp_path / "r.hdf5", "--replay")
    scratch = run.manifest | {"dataset": {"source": "none"}}
    monkeypatch.setattr(RunDirectory, "manifest", property(lambda self: scratch))
    collect(trained, tmp_path / "r.hdf5", "--replay", "--transitions=4")
    recording = read_recording(tmp_path / "r.hdf5")
    assert recording.rewards.tolist() == [1, 2, 3, 4]  # the latest
    assert recording.terminals.tolist() == [True, False, False, False]
    assert recording.timeouts.tolist() == [False, False, True, False]
    assert "the replay buffer after step 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--transitions=0"], "--transitions must be at least 1, got 0"),
        (["--checkpoint=3"], "has no checkpoint after step 3"),
    ],
)
def test_what_cannot_be_collected_is_said(trained, tmp_path, words, message):
    with pytest.raises(SystemExit, match=message):
        collect(trained, tmp_path / "x.hdf5", *words)
    assert not (tmp_path / "x.hdf5").exists()


def test_an_existing_file_is_not_replaced(trained, tmp_path):
    out = tmp_path / "x.hdf5"
    out.write_text("mine")
    with pytest.raises(SystemExit, match="exists; give --overwrite"):
        collect(trained, out, "--transitions=3")
    assert out.read_text() == "mine"


def test_the_run_of_a_package_that_is_not_installed_is_named(trained, monkeypatch):
    monkeypatch.setattr(algorithms, "entry_points", lambda group: [])
    with pytest.raises(UnknownAlgorithmError, match="no package that is installed here has the agent 'fake'"):
        algorithm_of(RunDirectory.open(trained))


def test_a_task_without_environment_is_refused(trained, tmp_path, monkeypatch):
    task = replace(make_task(), make_environment=None)
    monkeypatch.setattr(saved_run, "resolve", lambda name, options: task)
    with pytest.raises(SystemExit, match="has no environment, so its policy cannot act; name one with --environment"):
        collect(trained, tmp_path / "x.hdf5")
