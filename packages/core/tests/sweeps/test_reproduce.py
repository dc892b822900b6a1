"""`offlow reproduce` with the toy program: whole sweeps, killed and gone on with."""

import errno
import os
import shlex
import signal
import subprocess
import sys

import pytest
from toy_jobs import assert_same_tables, program_of, steps_reached, toy_folder, wait_until

from offlow_core.commands import reproduce
from offlow_core.sweeps import job_folder
from offlow_core.sweeps.attempt import INTERRUPTED
from offlow_core.sweeps.job_folder import JobFolder
from offlow_core.testing.commands import refusal

STUDY = """
package = "toy"
agents = ["toy"]
tasks = ["corridor"]
seeds = 2
options = { agent.pause_s = PAUSE }
[tables.toys]
batched_seeds = true
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a study in it."""
    (tmp_path / "toys.toml").write_text(STUDY.replace("PAUSE", "0.0"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words_of(environments, *words: str) -> list[str]:
    """The words after the command."""
    return ["toys.toml", "--out=out", *words, f"--environment={environments}", "--workers=2"]


def run(environments, *words: str) -> int:
    """The status of a sweep in this process."""
    try:
        reproduce.main(words_of(environments, *words), program="offlow reproduce")
    except SystemExit as exit_:
        return exit_.code
    return 0


def command(words: list[str]) -> None:
    """`offlow reproduce` with these words."""
    reproduce.main(words, program="offlow reproduce")


def folders() -> list[JobFolder]:
    """The jobs of the sweep in the current folder."""
    return [JobFolder.open(path.parent) for path in sorted(reproduce.Path("out/jobs").glob("*/job.json"))]


def test_a_sweep_from_the_dry_run_to_its_end(here, environments, capsys):
    assert run(environments, "--grid=agent.speed=1,2", "--num_seeds=1", "--dry_run") == 0
    first, _ = capsys.readouterr().out.splitlines()
    command, _, state = first.partition("  # ")
    assert state == "corridor--toy--speed=1--seed0: not started"
    assert shlex.split(command)[4:] == [
        f"{environments}/toy/bin/toy",
        "--agent=toy",
        "--env_name=corridor",
        "--agent.pause_s=0.0",
        "--agent.speed=1",
        "--seed=0",
        "--num_seeds=1",
        "--save_dir=out/jobs/corridor--toy--speed=1--seed0/runs",
        "--eval_workers=0",
    ]
    assert not (here / "out").exists()
    # What is printed can be pasted: the first job is run by hand.
    subprocess.run(command, shell=True, check=True)
    assert run(environments, "--grid=agent.speed=1,2", "--num_seeds=1") == 0
    shown = capsys.readouterr()
    assert "2 jobs in out, 1 to run" in shown.err
    assert "corridor--toy--speed=2--seed0: finished (last " in shown.err
    assert "all 2 jobs finished; next: offlow report out" in shown.out
    assert run(environments, "--grid=agent.speed=1,2", "--num_seeds=1", "--dry_run") == 0
    for line in capsys.readouterr().out.splitlines():
        assert line.startswith("# ")
        assert line.endswith("finished: skipped")


def test_failures_end_with_their_reason_and_status_1(here, environments, capsys):
    (here / "toys.toml").write_text(
        STUDY.replace("PAUSE", "0.0")
        + '[tables.broken]\npackage = "missing"\nlabel = "broken"\ntasks = ["elsewhere"]\nseeds = 1\n'
    )
    assert run(environments, "--set=agent.trouble_at=7", "--retries=0", "--together") == 1
    shown = capsys.readouterr()
    assert "corridor--toy--seeds0-1 failed: RuntimeError: the toy broke" in shown.out
    assert f"see {reproduce.Path('out/jobs/corridor--toy--seeds0-1/log.txt')}" in shown.out
    assert "elsewhere--toy--broken--seed0 failed: " in shown.out
    assert "missing/bin/missing is missing; --environment names the folder above" in shown.out
    assert "0 of 2 jobs finished; go on with the same command: offlow reproduce toys.toml" in shown.out


def test_a_job_with_a_damaged_run_is_done_anew_and_the_others_are_left_alone(here, environments, expected, capsys):
    assert run(environments) == 0
    first, second = folders()
    (damaged,), (other,) = first.status().runs, second.status().runs
    header, *rows, _ = (damaged / "eval.csv").read_text().splitlines()
    (damaged / "eval.csv").write_text("\n".join([header, *rows, "12" + "," * header.count(","), ""]))
    capsys.readouterr()
    assert run(environments, "--dry_run") == 0
    anew, done = capsys.readouterr().out.splitlines()
    assert f"interrupted: the run of seed 0 is missing ({damaged}: eval.csv has scores that are no numbers)" in anew
    assert anew.endswith("; starts")
    assert done.endswith("finished: skipped")
    assert run(environments) == 0
    aside = first.path / "set_aside"
    assert f"{damaged}: eval.csv has scores that are no numbers; it does not count, and is kept in {aside}" in (
        capsys.readouterr().err
    )
    assert (aside / damaged.name / "eval.csv").is_file()
    assert second.status().runs == (other,)
    assert_same_tables(folders()[0], expected)


def test_another_sweep_in_the_folder_is_refused_with_the_difference(here, environments, capsys):
    toy_folder(here / "out", "--agent.speed=3", name="corridor--toy--seed0")
    assert "--agent.speed=3 in the one" in run(environments)
    assert list((here / "out" / "jobs").iterdir()) == [here / "out" / "jobs" / "corridor--toy--seed0"]
    job = here / "out" / "jobs" / "corridor--toy--seed0" / "job.json"
    job.write_text("{")
    assert "job.json is no job" in run(environments)


def test_a_folder_that_cannot_be_written_is_named(here, environments, monkeypatch):
    def fail(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(job_folder, "write_json", fail)
    told = run(environments)
    assert "out/jobs/corridor--toy--seed0 cannot be written: [Errno 28] No space left on device" in told
    assert "nothing was started" in told
    (here / "file").touch()
    assert "--out file is a file; name a folder" in run(environments, "--out=file")


def test_a_slip_in_an_option_is_one_message(here, environments):
    told = run(environments, "--set=agent.sped=1")
    assert "unknown option --agent.sped; did you mean --agent.speed" in told
    assert not list(here.glob("out/jobs/*/log.txt"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "1", "--num_seeds=2"], "give either --seeds or --num_seeds"),
        (["--detach"], "--detach is for --engine slurm"),
        (["--retries=-1"], "retries must be at least 0, got -1"),
    ],
)
def test_wrong_words(here, environments, capsys, words, message):
    status = run(environments, *words)
    assert message in (status if isinstance(status, str) else capsys.readouterr().err.replace("│", " "))


def test_nothing_to_do_says_what_there_is(capsys):
    assert "offlow reproduce --list shows papers and tables" in refusal(command, [], capsys)
    command(["--list", "dac"])
    assert "dac/locomotion  9 tasks, 72 runs" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--list", "fac", "nosuch"], ["nosuch", "--dry_run"]])
def test_a_study_that_is_not_there_is_refused_with_those_that_are(capsys, words):
    told = refusal(command, words, capsys)
    assert "offlow reproduce: error: no study is called 'nosuch'; known: dac, deflow, diffusion_ql, fac," in told


def test_own_studies_are_listed_too(here, capsys):
    command(["--list", "toys.toml"])
    assert capsys.readouterr().out.startswith("toys: ")
    assert "toys has no table 'nosuch'; known: toys" in refusal(command, ["--list", "toys.toml/nosuch"], capsys)


@pytest.fixture
def launcher(here, environments):
    """Starts a sweep, slow enough to be met in its middle, as a process of its own."""
    (here / "toys.toml").write_text(STUDY.replace("PAUSE", "0.2"))
    started: list[subprocess.Popen] = []

    def start() -> subprocess.Popen:
        words = [sys.executable, "-c", "from offlow_core.command import main; main()", "reproduce"]
        started.append(subprocess.Popen([*words, *words_of(environments)], stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


@pytest.fixture(scope="module")
def expected(environments, tmp_path_factory):
    """What the sweep's first job leaves if nothing happens."""
    folder = toy_folder(tmp_path_factory.mktemp("expected"))
    program = environments / "toy" / "bin" / "toy"
    words = [str(program), *folder.job.words, f"--save_dir={folder.runs_path}", "--eval_workers=0"]
    subprocess.run(words, check=True)
    return folder


def both_begun() -> bool:
    """Whether both jobs of the sweep have made some steps."""
    return [steps_reached(one) >= 2 for one in folders()] == [True, True]


def test_a_launcher_that_was_killed_takes_its_jobs_with_it_and_goes_on(launcher, environments, expected, capsys):
    process = launcher()
    wait_until(both_begun)
    programs = [program_of(folder) for folder in folders()]
    process.kill()
    process.wait()
    wait_until(lambda: all(folder.status().state == "interrupted" for folder in folders()))
    for program in programs:
        with pytest.raises(ProcessLookupError):
            os.kill(program, 0)
    assert run(environments, "--dry_run") == 0
    for line in capsys.readouterr().out.splitlines():
        assert " --resume=out/jobs/corridor--toy--seed" in line
        assert "interrupted: stopped; goes on from its last checkpoint, its tables reach step" in line
    assert run(environments) == 0
    first, _ = folders()
    assert_same_tables(first, expected)


def test_ctrl_c_saves_and_says_how_to_go_on(launcher, environments, expected):
    process = launcher()
    wait_until(both_begun)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == INTERRUPTED
    assert "SIGINT: running jobs save a checkpoint and stop" in err
    assert [folder.status().state for folder in folders()] == ["interrupted"] * 2
    assert run(environments) == 0
    first, _ = folders()
    assert_same_tables(first, expected)
