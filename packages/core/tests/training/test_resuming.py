"""Which runs a `--resume` finds, and what it may change about them."""

import pytest
from fake_program import VARIANTS, make_dataset

from offlow_core.option_checks import OptionError
from offlow_core.training.resuming import check_same_data, options_of, runs_to_resume
from offlow_core.training.run_directory import RunDirectory, RunDirectoryError


@pytest.fixture
def interrupted(stage):
    """A stage on which a run of two seeds was interrupted after 7 of 10 steps."""
    stage.at = {7: "SIGTERM"}
    assert stage.train("--num_seeds=2") == 130
    return stage


def found(stage, *words: str) -> list[RunDirectory]:
    runs = runs_to_resume(stage.parse(*words))
    for run in runs:
        run.close()
    return runs


def test_without_the_word_nothing_is_resumed(interrupted):
    assert found(interrupted, "--num_seeds=2") == []


@pytest.mark.parametrize("which", [0, 1])
def test_each_directory_of_a_session_stands_for_all(interrupted, which):
    folder = interrupted.folders()[which]
    runs = found(interrupted, f"--resume={folder}")
    assert [run.config["seed"] for run in runs] == [0, 1]
    options = options_of(runs, interrupted.parse(f"--resume={folder}"), VARIANTS)
    assert (options.seed, options.num_seeds, options.offline_steps) == (0, 2, 10)


def test_the_same_command_finds_its_latest_run(interrupted):
    runs = found(interrupted, "--num_seeds=2", "--resume")
    assert [run.path for run in runs] == list(interrupted.folders())
    assert found(interrupted, "--num_seeds=2", "--resume", "--save_interval=2", "--keep_checkpoints=5")


@pytest.mark.parametrize(
    "words",
    [["--num_seeds=2", "--agent.speed=2"], ["--num_seeds=2", "--seed=1"], ["--num_seeds=1"], ["--log_interval=4"]],
)
def test_another_command_finds_none(interrupted, words):
    with pytest.raises(OptionError, match="has no unfinished run of fake on corridor with these options"):
        found(interrupted, "--resume", *words)


def test_finished_runs_are_not_resumed_unless_named(stage):
    stage.train()
    with pytest.raises(OptionError, match="no unfinished run"):
        found(stage, "--resume")
    (folder,) = stage.folders()
    assert len(found(stage, f"--resume={folder}")) == 1


def test_a_named_run_keeps_its_options_and_takes_the_changeable_ones(interrupted):
    words = [f"--resume={interrupted.folders()[0]}", "--save_interval=3", "--offline_steps=20"]
    options = options_of(found(interrupted, *words), interrupted.parse(*words), VARIANTS)
    assert (options.save_interval, options.offline_steps, options.eval_interval) == (3, 20, 5)


def test_repeating_an_option_is_no_change_and_changing_it_is_refused(interrupted):
    folder = interrupted.folders()[0]
    same = [f"--resume={folder}", "--log_interval=3", "--agent.speed=1.0"]
    options_of(found(interrupted, *same), interrupted.parse(*same), VARIANTS)
    other = [f"--resume={folder}", "--agent.speed=3"]
    with pytest.raises(OptionError, match=r"was started with another --agent.speed; a resumed run keeps it"):
        options_of(found(interrupted, *other), interrupted.parse(*other), VARIANTS)


def test_the_offline_steps_before_online_ones_stay(stage):
    stage.at = {7: "SIGTERM"}
    stage.train("--online_steps=5")
    words = [f"--resume={stage.folders()[0]}", "--offline_steps=20"]
    with pytest.raises(OptionError, match="has online steps, which begin after its 10 offline steps"):
        options_of(found(stage, *words), stage.parse(*words), VARIANTS)


def test_a_folder_that_is_no_run_is_refused(stage, tmp_path):
    with pytest.raises(RunDirectoryError, match="is no run directory"):
        found(stage, f"--resume={tmp_path}")


def test_a_missing_member_is_named(interrupted):
    first, second = interrupted.folders()
    for path in sorted(second.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with pytest.raises(RunDirectoryError, match="trained together with 1 other seeds, of which 0 are still"):
        found(interrupted, f"--resume={first}")


def test_a_run_in_use_is_refused(interrupted):
    with RunDirectory.open(interrupted.folders()[1]) as run:
        run.claim()
        with pytest.raises(RunDirectoryError, match="is being written by process"):
            found(interrupted, f"--resume={interrupted.folders()[0]}")


def test_the_data_must_be_the_same(interrupted):
    runs = found(interrupted, f"--resume={interrupted.folders()[0]}")
    check_same_data(runs, make_dataset())
    with pytest.raises(RunDirectoryError, match="was trained on other data: its transitions have SHA-256"):
        check_same_data(runs, make_dataset(seed=1))
