import subprocess
import sys

from offlow_core.suites import resolve, task_names


def test_everything_is_listed_by_suite(offlow):
    lines = offlow("list").splitlines()
    assert lines[0] == "ogbench: 82 datasets, 0 cached"
    assert "  cube-single-play-singletask-v0                     6 tasks  -" in lines
    assert "d4rl: 51 datasets, 0 cached" in lines
    assert "  hopper-medium-v2              1 task   -" in lines


def test_names_are_those_that_commands_accept(offlow):
    assert offlow("list", "--names").split() == [name for name in task_names() if resolve(name).has_dataset]
    assert offlow("list", "--names", "pointmaze-giant-stitch").split()[:2] == [
        "pointmaze-giant-stitch-singletask-v0",
        "pointmaze-giant-stitch-singletask-task1-v0",
    ]


def test_what_is_cached_is_shown_with_its_size(offlow, cube):
    expected = (cube / "cube-single-play-v0.npz").stat().st_size + (cube / "cube-single-play-v0-val.npz").stat().st_size
    text = offlow("list", "cube-single", "--dataset_dir", cube)
    assert f"ogbench: 4 datasets, 1 cached, {expected / 1000:.1f} kB\n" in text
    assert f"  cube-single-play-singletask-v0          6 tasks  cached {expected / 1000:.1f} kB\n" in text
    assert "  visual-cube-single-play-singletask-v0   6 tasks  -\n" in text
    assert offlow("list", "--cached", "--names", "--dataset_dir", cube).split() == [
        f"cube-single-play-singletask{task}-v0" for task in ("", *(f"-task{k}" for k in range(1, 6)))
    ]


def test_half_of_a_dataset_is_not_all_of_it(offlow, cube):
    (cube / "cube-single-play-v0-val.npz").unlink()
    text = offlow("list", "cube-single-play", "--dataset_dir", cube)
    assert "1 of 2 files cached" in text
    assert offlow("list", "cube-single-play", "--cached", "--dataset_dir", cube).startswith("none of these datasets")


def test_suites_patterns_and_parts_of_names(offlow):
    assert offlow("list", "d4rl").startswith("d4rl: 51 datasets")
    assert offlow("list", "hopper-*-v2").splitlines()[0] == "d4rl: 6 datasets, 0 cached"
    assert offlow("list", "cube-single-*-task3-v0", "--names").split() == [
        "cube-single-play-singletask-task3-v0",
        "cube-single-noisy-singletask-task3-v0",
    ]


def test_unknown_words_get_the_nearest_names(failure):
    _, message = failure("list", "hopper-mediun-v2")
    assert message.startswith(
        "offlow data list: no suite and no task fits 'hopper-mediun-v2'; the nearest names are: hopper-"
    )
    _, message = failure("list", "xyz*")
    assert "the suites are: ogbench, d4rl" in message


def test_listing_needs_no_simulator():
    script = (
        "import sys; from offlow_core.command import main\n"
        "main(['data', 'list'])\n"
        "print({'mujoco', 'ogbench', 'gymnasium_robotics', 'minari', 'h5py', 'matplotlib'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "set()"


def test_a_reader_that_has_seen_enough_causes_no_traceback():
    # Unbuffered, so that the first line already goes to the closed pipe.
    command = f"{sys.executable} -u -c \"from offlow_core.command import main; main(['data', 'list'])\" | head -c 5"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("ogben", "")
