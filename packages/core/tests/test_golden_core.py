"""Recorded outputs of the reference loaders and samplers, reproduced number by number.

The cases are the npz files in `$OFFLOW_GOLDEN/core`, or in `golden/core` beside this file. What a file is checked for
follows from the arrays in it, so that any other case in the same format runs unchanged.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from offlow_core.data.chunks import gather_chunks
from offlow_core.data.d4rl_rows import qlearning_rows, to_transitions
from offlow_core.data.frames import crop_batch
from offlow_core.data.ogbench_rows import compact_flags, read_ogbench_file, regular_rows
from offlow_core.data.transitions import Transitions

FOLDER = Path(os.environ.get("OFFLOW_GOLDEN") or Path(__file__).parent / "golden") / "core"
FILES = sorted(FOLDER.glob("*.npz"))
# The array that shows what a file is a case of.
KINDS = {
    "d4rl rows": "qlearning/observations",
    "d4rl flags": "fql_transitions/observations",
    "ogbench regular": "regular/observations",
    "ogbench compact": "compact/observations",
    "frame stack": "stacked/observations",
    "crop": "stacked_cropped/observations",
    "chunks": "sequence/observations",
}


def keys(path: Path) -> set[str]:
    with np.load(path, allow_pickle=False) as file:
        return set(file.files)


def cases(kind: str) -> list:
    return [pytest.param(path, id=path.stem) for path in FILES if KINDS[kind] in keys(path)]


def arrays(path: Path, group: str) -> dict[str, np.ndarray]:
    """The arrays of one group (`raw/...`), or those outside of any group for the empty name."""
    with np.load(path, allow_pickle=False) as file:
        inside = {name: name.rpartition("/") for name in file.files}
        return {last: file[name] for name, (first, _, last) in inside.items() if first == group}


def assert_equal(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, err_msg=name)


def test_there_are_cases_and_each_is_checked_for_something():
    assert FILES, f"no golden case in {FOLDER}"
    assert [path.name for path in FILES if keys(path).isdisjoint(KINDS.values())] == []


def test_the_packages_own_copy_has_a_case_of_every_kind():
    found = set().union(*(keys(path) for path in (Path(__file__).parent / "golden" / "core").glob("*.npz")))
    assert set(KINDS.values()) <= found


@pytest.mark.parametrize("path", cases("d4rl rows"))
def test_d4rl_rows(path):
    raw = arrays(path, "raw")
    groups = {name.split("/")[0] for name in keys(path) if name.startswith("qlearning")}
    for group in groups:
        limit = re.search(r"no_timeouts_key_max(\d+)", group)
        rows = qlearning_rows(
            raw["terminals"],
            None if limit else raw["timeouts"],
            max_episode_steps=int(limit[1]) if limit else None,
            terminate_on_end="terminate_on_end" in group,
        )
        got = {name: raw[name][rows] for name in ("observations", "actions", "rewards", "terminals")}
        assert_equal(got | {"next_observations": raw["observations"][rows + 1]}, arrays(path, group))


@pytest.mark.parametrize("path", cases("d4rl flags"))
def test_d4rl_flags(path):
    raw, expected = arrays(path, "raw"), arrays(path, "fql_transitions")
    rows = qlearning_rows(raw["terminals"], raw["timeouts"])
    # Only AntMaze is shifted by -1, and there a terminal row is no end of a trajectory.
    antmaze = not np.array_equal(arrays(path, "qlearning")["rewards"], expected["rewards"])
    transitions = to_transitions(raw, rows, terminal_ends_trajectory=not antmaze, reward_shift=-1.0 if antmaze else 0.0)
    assert_equal(transitions.gather(np.arange(len(rows))), expected)


@pytest.mark.parametrize("path", cases("ogbench regular"))
def test_ogbench_regular_layout(path, tmp_path):
    raw = arrays(path, "raw")
    np.savez(tmp_path / "raw.npz", **raw)
    visual = raw["observations"].dtype == np.uint8
    file = read_ogbench_file(tmp_path / "raw.npz", visual=visual, buttons="button_states" in raw)
    rows, next_rows, ends = regular_rows(file.terminals)
    got = {name: values[rows] for name, values in raw.items()}
    got |= {"actions": file.actions[rows], "qpos": file.qpos[rows], "observations": file.observations[rows]}
    assert_equal(got | {"next_observations": file.observations[next_rows], "terminals": ends}, arrays(path, "regular"))


@pytest.mark.parametrize("path", cases("ogbench compact"))
def test_ogbench_compact_layout(path):
    raw = arrays(path, "raw")
    valids, terminals = compact_flags(raw["terminals"])
    assert_equal({**raw, "valids": valids, "terminals": terminals}, arrays(path, "compact"))


@pytest.mark.parametrize("path", cases("frame stack"))
def test_frame_stack(path):
    case = arrays(path, "")
    transitions = Transitions.from_arrays(**arrays(path, "dataset"))
    batch = transitions.gather(case["idxs"], int(case["frame_stack"]))
    assert_equal(batch, arrays(path, "stacked"))
    assert batch["observations"].dtype == transitions.observations.dtype


@pytest.mark.parametrize("path", cases("crop"))
def test_crop_of_stacked_frames(path):
    case = arrays(path, "")
    batch = Transitions.from_arrays(**arrays(path, "dataset")).gather(case["idxs"], int(case["frame_stack"]))
    assert_equal(crop_batch(batch, case["crop_offsets"], int(case["padding"])), arrays(path, "stacked_cropped"))


@pytest.mark.parametrize("path", cases("chunks"))
def test_chunks(path):
    case, expected = arrays(path, ""), arrays(path, "sequence")
    transitions = Transitions.from_arrays(**arrays(path, "dataset"))
    chunks = gather_chunks(transitions, case["idxs"], int(case["sequence_length"]), float(case["discount"]))
    np.testing.assert_allclose(chunks["rewards"], expected.pop("rewards"), rtol=1e-6)
    assert_equal(chunks, expected)
