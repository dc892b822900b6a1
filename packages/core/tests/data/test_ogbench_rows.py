from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.ogbench_rows import compact_flags, read_ogbench_file, regular_rows, to_transitions
from offlow_core.data.validation import DatasetError


@dataclass
class Raw:
    """Two episodes of 3 and 2 rows; the state of row k is (k, k)."""

    path: Path

    def write(self, **changes) -> Path:
        arrays = {
            "observations": np.repeat(np.arange(5, dtype=np.float32)[:, None], 2, axis=1),
            "actions": np.array([[0], [-1], [9], [1], [9]], np.float32),
            "terminals": np.array([0, 0, 1, 0, 1], bool),
            "qpos": np.zeros((5, 3), np.float32),
            "qvel": np.zeros((5, 3), np.float32),
        } | changes
        np.savez_compressed(self.path, **{name: values for name, values in arrays.items() if values is not None})
        return self.path


@pytest.fixture
def raw(tmp_path) -> Raw:
    return Raw(tmp_path / "small.npz")


def read(path: Path, visual: bool = False, buttons: bool = False):
    return read_ogbench_file(path, visual=visual, buttons=buttons)


def test_rows_of_the_regular_layout():
    rows, next_rows, ends = regular_rows(np.array([0, 0, 1, 0, 1]))
    assert rows.tolist() == [0, 1, 3]
    assert next_rows.tolist() == [1, 2, 4]
    assert ends.tolist() == [0, 1, 1]
    assert (rows.dtype, next_rows.dtype, ends.dtype) == (np.int32, np.int32, np.float32)


def test_flags_of_the_compact_layout():
    valids, terminals = compact_flags(np.array([0, 0, 1, 0, 1]))
    assert valids.tolist() == [1, 1, 0, 1, 0]
    assert terminals.tolist() == [0, 1, 1, 1, 1]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_an_episode_of_l_rows_holds_l_minus_1_transitions_that_stay_inside(lengths):
    terminals = np.zeros(sum(lengths), bool)
    terminals[np.cumsum(lengths) - 1] = True
    episode = np.repeat(np.arange(len(lengths)), lengths)
    rows, next_rows, ends = regular_rows(terminals)
    assert len(rows) == sum(lengths) - len(lengths)
    assert (episode[rows] == episode[next_rows]).all()
    assert ends.sum() == sum(length > 1 for length in lengths)


def test_a_file_becomes_transitions_with_clipped_actions_and_observations_stored_once(raw):
    file = read(raw.write())
    transitions = to_transitions(file, np.array([-1, 0, -1], np.float32), np.array([1, 0, 1], np.float32))
    assert transitions.observations is file.observations
    assert transitions.rows.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(transitions.actions, np.array([[0], [-(1 - 1e-5)], [1 - 1e-5]], np.float32))
    assert transitions.terminals.tolist() == [0, 1, 1]


def test_button_states_are_read_where_the_environment_has_buttons(raw):
    buttons = np.arange(10).reshape(5, 2)
    assert read(raw.write(button_states=buttons), buttons=True).button_states.tolist() == buttons.tolist()
    with pytest.raises(DatasetError, match="`button_states` is missing; the file holds actions, observations, qpos"):
        read(raw.write(), buttons=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qpos": None}, "`qpos` is missing"),
        ({"actions": np.zeros((4, 1), np.float32)}, r"`actions` must have shape \(5, any\).*got \(4, 1\)"),
        ({"observations": np.zeros((5, 2, 2), np.float32)}, r"`observations` must have shape \(5, any\)"),
        ({"observations": np.zeros((5, 2), np.uint8)}, "`observations` must hold floating-point numbers, got uint8"),
        ({"terminals": np.zeros((5, 1), bool)}, r"`terminals` must have shape \(any,\), got \(5, 1\)"),
        ({"terminals": np.array([0, 0, 1, 0, 0], bool)}, r"`terminals` must be true on the last row \(4\)"),
        ({"actions": np.array([[0], [0], [np.nan], [0], [0]], np.float32)}, "`actions` .* but row 2 holds"),
        ({"observations": np.array([[0], [0], [0], [np.inf], [0]])}, r"`observations` .* but row 3 holds \[inf\]"),
        ({"actions": np.array([["a"]] * 5, object)}, "`actions` cannot be read .*allow_pickle"),
    ],
)
def test_a_faulty_file_is_refused_with_file_field_and_row(raw, change, message):
    with pytest.raises(DatasetError, match=message) as error:
        read(raw.write(**change))
    assert str(raw.path) in str(error.value)


def test_visual_files_must_hold_uint8_images(raw):
    frames = np.zeros((5, 4, 4, 3), np.uint8)
    assert read(raw.write(observations=frames), visual=True).observations.dtype == np.uint8
    with pytest.raises(DatasetError, match="must be uint8 images, got float32"):
        read(raw.write(), visual=True)


def test_a_truncated_file_is_refused(raw):
    path = raw.write()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetError, match=r"small.npz: the archive cannot be read .*cut off"):
        read(path)


def test_a_flipped_bit_is_found_by_the_checksum(raw):
    arrays = {"observations": np.zeros((5, 2000), np.float32)}
    path = raw.write(**arrays)
    np.savez(path, **dict(np.load(path)))  # stored without compression, where only the checksum shows a changed value
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"`observations` cannot be read \(Bad CRC-32"):
        read(path)


def test_other_files_are_refused(raw):
    raw.path.write_text("<html>not found</html>")
    with pytest.raises(DatasetError, match="the archive cannot be read"):
        read(raw.path)
    with pytest.raises(DatasetError, match="there is no such file"):
        read(raw.path.with_name("absent.npz"))
