import h5py
import numpy as np
import pytest

from offlow_core.data.own_arrays import read_own_file
from offlow_core.suites import SuiteOptions, resolve


def load(name, path):
    return resolve(name, SuiteOptions(dataset_path=str(path))).load_dataset().train


def test_d4rl_to_own_arrays(offlow, hopper, tmp_path):
    target = tmp_path / "mine" / "hopper.npz"
    text = offlow("convert", hopper, target)
    own, original = read_own_file(target), load("hopper-medium-v2", hopper)
    index = np.arange(99)
    for name, values in original.gather(index).items():
        np.testing.assert_array_equal(own.gather(index)[name], values)
    assert text.splitlines() == [
        f"{target}: own arrays, npz or HDF5, {target.stat().st_size / 1000:.1f} kB",
        "  rows         100 -> 100",
        "  transitions  99 -> 99",
        "  not carried over: metadata/algorithm",
    ]


def test_d4rl_without_timeouts_is_cut_off_at_the_limit_of_its_task(offlow, failure, unmarked, tmp_path):
    _, message = failure("convert", unmarked, tmp_path / "x.npz")
    assert message.startswith(f"offlow data convert: {unmarked}: the file has no `timeouts`.")
    assert not (tmp_path / "x.npz").exists()
    text = offlow("convert", unmarked, tmp_path / "x.npz", "--task", "hopper-medium-v2")
    assert "  transitions  2,097 -> 2,097\n" in text
    own, original = read_own_file(tmp_path / "x.npz"), load("hopper-medium-v2", unmarked)
    assert len(own) == len(original) == 2097
    assert np.flatnonzero(own.terminals).tolist() == [998, 1997, 2096]
    index = np.arange(2097)
    for name, values in original.gather(index).items():
        np.testing.assert_array_equal(own.gather(index)[name], values)


def test_terminations_of_own_data_survive_in_d4rl(offlow, tmp_path):
    flags = np.arange(20) % 10 == 9
    flags[-1] = False
    arrays = {
        "observations": np.cumsum(np.ones((20, 11), np.float32), axis=0),
        "actions": np.zeros((20, 3), np.float32),
        "rewards": np.ones(20, np.float32),
        "terminals": flags,
        "timeouts": flags,
    }
    np.savez(tmp_path / "own.npz", **arrays)
    text = offlow("convert", tmp_path / "own.npz", tmp_path / "x.hdf5", "--to", "d4rl")
    assert "  transitions  19 -> 19\n  1 row marked both terminal and cut off, kept as terminal only: " in text
    own, d4rl = read_own_file(tmp_path / "own.npz"), load("hopper-medium-v2", tmp_path / "x.hdf5")
    assert len(own) == len(d4rl) == 19
    assert np.flatnonzero(d4rl.masks == 0).tolist() == np.flatnonzero(own.masks == 0).tolist() == [9]


def test_ogbench_with_the_rewards_of_a_task(offlow, failure, cube, tmp_path):
    source, name = cube / "cube-single-play-v0.npz", "cube-single-play-singletask-task3-v0"
    _, message = failure("convert", source, tmp_path / "x.hdf5")
    assert message.endswith("name one with --task NAME.")
    offlow("convert", source, tmp_path / "x.hdf5", "--task", name)
    own, original = read_own_file(tmp_path / "x.hdf5"), load(name, source)
    index = np.arange(len(original))
    assert len(own) == len(original)
    for field in ("observations", "next_observations", "actions", "rewards", "masks"):
        np.testing.assert_array_equal(own.gather(index)[field], original.gather(index)[field])


def test_a_cached_dataset_by_its_name(offlow, cube, home, tmp_path):
    (home / ".ogbench").mkdir()
    cube.rename(home / ".ogbench" / "data")
    text = offlow("convert", "cube-single-play-singletask-v0", tmp_path / "x.npz")
    assert "  transitions  247 -> 247\n" in text


def test_there_and_back_through_minari(offlow, hopper, tmp_path):
    text = offlow("convert", hopper, tmp_path / "hopper-v0")
    assert "  the last action and reward of 1 cut-off episodes are left out: what followed is not known\n" in text
    text = offlow("convert", tmp_path / "hopper-v0", tmp_path / "back.hdf5", "--to", "d4rl")
    assert "  transitions  99 -> 99\n" in text
    back, original = load("hopper-medium-v2", tmp_path / "back.hdf5"), load("hopper-medium-v2", hopper)
    index = np.flatnonzero(original.masks)  # a terminal row's successor is another episode's first state, or its own
    for name, values in original.gather(index).items():
        np.testing.assert_array_equal(back.gather(index)[name], values)


def test_actions_of_minari_come_into_their_range(offlow, hopper, tmp_path):
    offlow("convert", hopper, tmp_path / "x-v0")
    metadata = tmp_path / "x-v0" / "data" / "metadata.json"
    metadata.write_text(metadata.read_text().replace("-1.0", "-2.0").replace("[1.0, 1.0, 1.0]", "[2.0, 2.0, 2.0]"))
    offlow("convert", tmp_path / "x-v0", tmp_path / "x.npz")
    with h5py.File(hopper) as file:
        np.testing.assert_allclose(np.load(tmp_path / "x.npz")["actions"], file["actions"][:99] / 2, atol=1e-6)


def test_nothing_is_overwritten_unless_asked(offlow, failure, hopper, tmp_path):
    target = tmp_path / "x.npz"
    target.write_bytes(b"a thesis")
    _, message = failure("convert", hopper, target)
    assert message == f"offlow data convert: {target} exists; give --overwrite to replace it, or another name."
    assert target.read_bytes() == b"a thesis"
    offlow("convert", hopper, target, "--overwrite")
    assert len(read_own_file(target)) == 99


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.npz", "--to", "ogbench"], "there is no `qvel`"),
        (["x.hdf5", "--to", "d4rl"], "is in the format d4rl already"),
        (["x.csv"], "needs a name with the ending"),
        (["x-v0", "--to", "own"], "needs a name with the ending"),
    ],
)
def test_what_is_impossible_is_refused(failure, hopper, tmp_path, words, message):
    before = sorted(tmp_path.iterdir())
    _, got = failure("convert", hopper, tmp_path / words[0], *words[1:])
    assert message in got
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_source(failure, hopper, tmp_path):
    hopper.write_bytes(hopper.read_bytes()[:5000])
    _, message = failure("convert", hopper, tmp_path / "x.npz")
    assert f"{hopper}: the file cannot be read" in message
    assert not (tmp_path / "x.npz").exists()


def test_numbers_that_are_not_finite_are_not_passed_on(failure, hopper, tmp_path):
    with h5py.File(hopper, "a") as file:
        file["rewards"][7] = np.nan
    _, message = failure("convert", hopper, tmp_path / "x.npz")
    assert "`rewards` must hold finite numbers, but row 7 holds nan" in message


def test_a_converted_dataset_is_a_task_of_minari(offlow, hopper, home):
    folder = home / ".minari" / "datasets" / "mine" / "hopper-v0"
    offlow("convert", hopper, folder)
    text = offlow("info", "mine/hopper-v0")
    assert text.startswith(f"mine/hopper-v0 (minari)\n  metadata  {folder / 'data' / 'metadata.json'} (")
    assert "  transitions   99 in 2 trajectories\n" in text
    assert "OK    can be loaded as mine/hopper-v0\n" in offlow("validate", "mine/hopper-v0")
