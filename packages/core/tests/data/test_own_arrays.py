import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.own_arrays import read_own_file, transitions_from_arrays
from offlow_core.data.transitions import Transitions
from offlow_core.data.validation import DatasetError

STEPS = st.lists(st.sampled_from(["goes on", "terminal", "cut off", "both"]), min_size=2, max_size=25)


def steps(kinds: list[str], images: bool = False) -> dict[str, np.ndarray]:
    """One row per entry, with numbers that say which row they are from."""
    n = len(kinds)
    rng = np.random.default_rng(n)
    states = rng.integers(0, 256, (n, 2, 3, 1), np.uint8) if images else rng.normal(size=(n, 3))
    return {
        "observations": states,
        "actions": rng.uniform(-1, 1, (n, 2)),
        "rewards": rng.normal(size=n),
        "terminals": np.array([kind in ("terminal", "both") for kind in kinds]),
        "timeouts": np.array([kind in ("cut off", "both") for kind in kinds]),
    }


@pytest.fixture
def file() -> dict[str, np.ndarray]:
    """States 0 1 2 | 10 11 12 | 20: the first episode ends at row 2, the second one is cut off at row 5."""
    return {
        "observations": np.array([[0], [1], [2], [10], [11], [12], [20]], np.float32),
        "actions": np.linspace(-0.6, 0.6, 7, dtype=np.float32)[:, None],
        "rewards": np.arange(7),
        "terminals": np.array([0, 0, 1, 0, 0, 0, 0], bool),
        "timeouts": np.array([0, 0, 0, 0, 0, 1, 0], bool),
    }


def assert_equal(one: Transitions, other: Transitions) -> None:
    everything = np.arange(len(one))
    for field, values in one.gather(everything).items():
        np.testing.assert_array_equal(values, other.gather(np.arange(len(other)))[field], err_msg=field)


def test_rows_without_successors_follow_each_other(file):
    batch = transitions_from_arrays(file, "mine").gather(np.arange(5))
    assert batch["observations"].ravel().tolist() == [0, 1, 2, 10, 11]  # row 5 is cut off, row 6 is the last
    assert batch["next_observations"].ravel().tolist() == [1, 2, 10, 11, 12]
    assert batch["rewards"].tolist() == [0, 1, 2, 3, 4]
    assert batch["masks"].tolist() == [1, 1, 0, 1, 1]  # the 10 that follows 2 is masked
    assert batch["terminals"].tolist() == [0, 0, 1, 0, 1]
    assert batch["observations"].dtype == batch["rewards"].dtype == np.float32


def test_without_timeouts_only_terminals_separate_episodes(file):
    del file["timeouts"]
    transitions = transitions_from_arrays(file, "mine")
    assert transitions.terminals.tolist() == [0, 0, 1, 0, 0, 1]


def test_with_successors_every_row_is_a_transition(file):
    successors = file["observations"] + 0.5
    successors[[0, 3]] = file["observations"][[1, 4]]
    batch = transitions_from_arrays(file | {"next_observations": successors}, "mine").gather(np.arange(7))
    np.testing.assert_array_equal(batch["observations"], file["observations"])
    np.testing.assert_array_equal(batch["next_observations"], successors)
    assert batch["masks"].tolist() == [1, 1, 0, 1, 1, 1, 1]
    assert batch["terminals"].tolist() == [0, 1, 1, 0, 1, 1, 1]  # jumps after rows 1 and 4


def test_a_step_that_ends_and_is_cut_off_counts_as_ended(file):
    file["timeouts"][2] = True
    assert transitions_from_arrays(file, "mine").masks.tolist() == [1, 1, 0, 1, 1]


@given(STEPS, st.booleans())
def test_both_layouts_agree(kinds, images):
    """The same transitions, given as consecutive rows and as pairs."""
    rows = steps([*kinds, "goes on"], images)
    cut_off = rows["timeouts"] & ~rows["terminals"]
    kept = np.flatnonzero(~cut_off[:-1])
    if not kept.size:
        return
    pairs = {name: rows[name][kept] for name in ("observations", "actions", "rewards", "terminals")}
    pairs["next_observations"] = rows["observations"][kept + 1]
    pairs["timeouts"] = cut_off[kept + 1]  # the last kept step of an episode whose next row is dropped
    assert_equal(transitions_from_arrays(rows, "rows"), transitions_from_arrays(pairs, "pairs"))


@pytest.mark.parametrize("ending", [".npz", ".hdf5", ".h5"])
@pytest.mark.parametrize("images", [False, True])
def test_files_hold_what_the_arrays_hold(tmp_path, ending, images):
    arrays = steps(["goes on", "cut off", "goes on", "terminal", "goes on", "goes on"], images)
    path = write(tmp_path / f"mine{ending}", arrays | {"infos/qpos": np.zeros(2)})
    assert_equal(read_own_file(path), transitions_from_arrays(arrays, "mine"))


@given(STEPS)
def test_a_round_trip_through_npz_changes_nothing(tmp_path_factory, kinds):
    arrays = steps(["goes on", *kinds])
    path = write(tmp_path_factory.mktemp("own") / "mine.npz", arrays)
    assert read_own_file(path).checksum() == transitions_from_arrays(arrays, "mine").checksum()


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as out:
            for name, values in arrays.items():
                out[name] = values
    return path


def test_numbers_become_float32_and_actions_stay_off_the_border(file):
    file |= {
        "observations": file["observations"].astype(np.float64),
        "actions": np.where(np.arange(7) % 2, 1.0, -1.0)[:, None],
        "rewards": np.arange(7, dtype=np.int64)[:, None],
        "terminals": file["terminals"].astype(float)[:, None],
        "timeouts": file["timeouts"].astype(np.uint8),
    }
    transitions = transitions_from_arrays(file, "mine")
    assert {transitions.observations.dtype, transitions.actions.dtype, transitions.rewards.dtype} == {np.dtype("f4")}
    assert np.abs(transitions.actions).max() == np.float32(1 - 1e-5)
    assert transitions.rewards.tolist() == [0, 1, 2, 3, 4]


def test_arrays_that_need_no_change_are_not_copied(file):
    assert transitions_from_arrays(file, "mine").observations is file["observations"]


def replaced(values: np.ndarray, row: int, value: float) -> np.ndarray:
    copy = values.astype(np.result_type(values, type(value)))
    copy[row] = value
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: {"observations": replaced(f["observations"], 3, np.nan)}, "`observations` must hold finite.*row 3"),
        (
            lambda f: {"observations": replaced(f["observations"].astype(np.float64), 4, 1e39)},
            r"`observations` must fit into float32, but row 4 holds \[1.e\+39\]",
        ),
        (lambda f: {"observations": np.zeros((7, 1), int)}, "states.*or uint8.*got int64; convert them.*float32"),
        (lambda f: {"observations": np.zeros((7, 1), np.uint8)}, "`observations` must have shape .*images"),
        (lambda f: {"observations": np.zeros((7, 2, 2), np.float32)}, "`observations` must have shape .*state vector"),
        (lambda f: {"observations": np.zeros(7)}, r"`observations` must have shape \(7, any\).*got \(7,\)"),
        (lambda f: {"observations": np.zeros((0, 1))}, "`observations` must have at least one row"),
        (lambda f: {"actions": replaced(f["actions"], 5, 2.0)}, r"`actions` must lie in \[-1, 1\], but row 5.*Scale"),
        (lambda f: {"actions": np.zeros((7, 1), int)}, "`actions` must hold floating-point numbers, got int64"),
        (lambda f: {"actions": np.zeros(7)}, r"`actions` must have shape \(7, any\)"),
        (lambda f: {"actions": f["actions"][1:]}, r"`actions` must have shape \(7, any\).*got \(6, 1\)"),
        (lambda f: {"rewards": replaced(f["rewards"], 6, np.inf)}, "`rewards` must hold finite numbers, but row 6"),
        (lambda f: {"rewards": np.zeros((7, 2))}, r"`rewards` must have shape \(7,\)"),
        (lambda f: {"rewards": np.array(list("abcdefg"))}, "`rewards` must hold numbers, got <U1"),
        (lambda f: {"terminals": replaced(f["terminals"], 2, 0.5)}, "`terminals` must hold true and .*row 2 holds 0.5"),
        (lambda f: {"timeouts": np.full(7, np.nan)}, "`timeouts` must hold true and false.*row 0 holds nan"),
        (lambda f: {"timeouts": f["timeouts"][:3]}, r"`timeouts` must have shape \(7,\).*got \(3,\)"),
        (lambda f: {"next_observations": np.zeros((7, 2))}, r"`next_observations` must have shape \(7, 1\).*\(7, 2\)"),
        (lambda f: {"next_obs": f["observations"]}, "no field `next_obs`; expected observations, .*`infos/next_obs`"),
        (lambda f: {"timeouts": np.ones(7, bool), "terminals": np.zeros(7, bool)}, "holds no transition"),
    ],
)
def test_what_does_not_fit_is_refused(file, change, message):
    with pytest.raises(DatasetError, match=f"^mine: .*{message}"):
        transitions_from_arrays(file | change(file), "mine")


def test_successors_of_another_type_are_refused():
    images = steps(["goes on"] * 3, images=True)
    floats = images | {"next_observations": np.zeros((3, 2), np.float32)}
    with pytest.raises(DatasetError, match="`next_observations` must have shape"):
        transitions_from_arrays(floats, "mine")


def test_missing_fields_and_strange_files_are_refused(file, tmp_path):
    del file["rewards"]
    with pytest.raises(DatasetError, match=r"the field `rewards` is missing; expected observations, .*; got actions, "):
        transitions_from_arrays(file, "mine")
    path = write(tmp_path / "mine.npz", file)
    with pytest.raises(DatasetError, match=f"^{path}: the field `rewards` is missing"):
        read_own_file(path)
    with pytest.raises(DatasetError, match=r"must be in a file called .npz, .hdf5, .h5, got '.pkl'"):
        read_own_file(tmp_path / "mine.pkl")


def test_objects_are_never_unpickled(file, tmp_path):
    path = write(tmp_path / "mine.npz", file | {"rewards": np.array([None] * 7)})
    with pytest.raises(DatasetError, match="`rewards` cannot be read"):
        read_own_file(path)
