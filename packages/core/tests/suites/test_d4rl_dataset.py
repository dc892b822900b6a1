"""Loading hand-made files of D4RL's layout: which rows count, where the file comes from, and what is refused."""

import hashlib
import json
import multiprocessing
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest

from offlow_core.data import download
from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.data.validation import DatasetError
from offlow_core.suites import SuiteOptions, d4rl_download, resolve
from offlow_core.suites.d4rl_names import parse
from offlow_core.suites.d4rl_rules import RULES

HOPPER = "hopper-medium-v2"
ANTMAZE = "antmaze-umaze-v2"
GOLDEN = Path(__file__).parents[1] / "golden" / "core"
# Episodes of rows 0 1 2 (cut off), 3 4 (terminal) and 5 6 7 (the file ends).
ROWS, CUT_OFF, TERMINAL = 8, 2, 4


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path) -> None:
    """Neither the network nor the data of whoever runs the tests."""
    monkeypatch.setenv("OFFLOW_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("D4RL_DATASET_DIR", raising=False)
    monkeypatch.delenv("OFFLOW_D4RL_MIRRORS", raising=False)


def arrays(name: str, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Row i observes i in every place, and nothing ever returns to where it was."""
    family = parse(name).family
    flags = np.zeros((2, rows), bool)
    flags[0, TERMINAL], flags[1, CUT_OFF] = True, True
    return {
        "observations": np.repeat(np.arange(rows, dtype=np.float32)[:, None], family.observation_width, axis=1),
        "actions": np.tile(np.linspace(-1, 1, family.action_width, dtype=np.float32), (rows, 1)),
        "rewards": np.arange(rows, dtype=np.float32) / 10,
        "terminals": flags[0],
        "timeouts": flags[1],
        "infos/qpos": np.zeros((rows, 3), np.float32),
    }


def write(path: Path, name: str = HOPPER, rows: int = ROWS, **changes) -> Path:
    """A file with some arrays changed, or left out (None)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for field, values in (arrays(name, rows) | changes).items():
            if values is not None:
                file[field] = values
    return path


def load(name: str = HOPPER, **options) -> Dataset:
    return resolve(name, SuiteOptions(**options)).load_dataset()


def train(path: Path, name: str = HOPPER, rules: str = "fql") -> Transitions:
    return load(name, dataset_path=str(path), d4rl_rules=rules).train


def test_rows_of_the_three_episodes(tmp_path):
    transitions = train(write(tmp_path / "data.hdf5"))
    # Row 2 is cut off, row 7 has no successor.
    assert transitions.rows.tolist() == [0, 1, 3, 4, 5, 6]
    assert transitions.next_rows.tolist() == [1, 2, 4, 5, 6, 7]
    assert transitions.terminals.tolist() == [0, 1, 0, 1, 0, 1]  # a jump, the terminal row, the last row
    assert transitions.masks.tolist() == [1, 1, 1, 0, 1, 1]
    np.testing.assert_array_equal(transitions.rewards, np.float32([0, 0.1, 0.3, 0.4, 0.5, 0.6]))
    batch = transitions.gather(np.array([3]))
    assert batch["observations"][0, 0] == 4
    assert batch["next_observations"][0, 0] == 5  # of the next episode: masked
    assert np.abs(transitions.actions).max() == np.float32(1 - 1e-5)


@pytest.mark.parametrize(
    ("name", "rules", "ends", "shift", "largest_action"),
    [
        (HOPPER, "fql", [1, 3, 5], 0, 1 - 1e-5),
        (HOPPER, "dac", [1, 3, 5], 0, 1 - 1e-5),
        (HOPPER, "diffusion_ql", [1, 3, 5], 0, 1),
        ("kitchen-mixed-v0", "fql", [1, 3, 5], 0, 1 - 1e-5),
        ("pen-human-v1", "fql", [1, 3, 5], 0, 1 - 1e-5),
        (ANTMAZE, "fql", [1, 5], -1, 1 - 1e-5),
        ("antmaze-large-diverse-v0", "fql", [1, 5], -1, 1 - 1e-5),
        (ANTMAZE, "dac", [1, 3, 5], 0, 1 - 1e-5),
        (ANTMAZE, "diffusion_ql", [1, 3, 5], 0, 1),
    ],
)
def test_rules_of_the_methods(tmp_path, name, rules, ends, shift, largest_action):
    path = write(tmp_path / "data.hdf5", name)
    transitions = train(path, name, rules)
    assert np.flatnonzero(transitions.terminals).tolist() == ends
    assert transitions.masks.tolist() == [1, 1, 1, 0, 1, 1]
    np.testing.assert_allclose(transitions.rewards - shift, [0, 0.1, 0.3, 0.4, 0.5, 0.6], atol=1e-7)
    assert transitions.actions.max() == -transitions.actions.min() == np.float32(largest_action)


@pytest.mark.parametrize(("file", "name"), [("d4rl_locomotion", HOPPER), ("d4rl_antmaze", ANTMAZE)])
def test_the_rules_of_fql_reproduce_its_recorded_transitions(file, name):
    with np.load(GOLDEN / f"{file}.npz") as recorded:
        raw = {field: recorded[f"raw/{field}"] for field in arrays(name) if f"raw/{field}" in recorded}
        prefix = "fql_transitions/"
        expected = {field.removeprefix(prefix): recorded[field] for field in recorded if field.startswith(prefix)}
    transitions = RULES["fql"].transitions(raw, parse(name).family)
    expected["actions"] = np.clip(expected["actions"], -1 + 1e-5, 1 - 1e-5)
    batch = transitions.gather(np.arange(len(transitions)))
    assert expected.keys() == batch.keys()
    for field, values in expected.items():
        np.testing.assert_array_equal(batch[field], values, err_msg=field)


def test_a_row_that_is_terminal_and_cut_off_is_dropped(tmp_path):
    flags = np.zeros(ROWS, bool)
    flags[2] = True
    transitions = train(write(tmp_path / "data.hdf5", terminals=flags, timeouts=flags))
    assert transitions.rows.tolist() == [0, 1, 3, 4, 5, 6]
    assert transitions.masks.tolist() == [1] * 6


def test_without_timeouts_episodes_end_at_the_time_limit(tmp_path):
    path = write(tmp_path / "data.hdf5", "pen-human-v1", 250, timeouts=None, terminals=np.zeros(250, bool))
    transitions = train(path, "pen-human-v1")
    assert sorted(set(range(250)) - set(transitions.rows.tolist())) == [99, 199, 249]
    assert transitions.rows[transitions.terminals > 0].tolist() == [98, 198, 248]


def test_columns_and_other_number_types_are_read_alike(tmp_path):
    plain = train(write(tmp_path / "plain.hdf5"))
    given = arrays(HOPPER)
    changes = {
        "observations": given["observations"].astype(np.float64),
        "rewards": given["rewards"][:, None],
        "terminals": given["terminals"].astype(np.float32)[:, None],
        "timeouts": given["timeouts"].astype(np.uint8)[:, None],
    }
    assert train(write(tmp_path / "other.hdf5", **changes)).checksum() == plain.checksum()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observations": None}, r"the field `observations` is missing; the file holds actions, infos/qpos, rewards"),
        ({"actions": None}, "the field `actions` is missing"),
        ({"rewards": None}, "the field `rewards` is missing"),
        ({"terminals": None}, "the field `terminals` is missing"),
        (
            {"observations": np.zeros((ROWS, 17), np.float32)},
            r"`observations` must have shape \(any, 11\) as hopper has it, got \(8, 17\)",
        ),
        (
            {"actions": np.zeros((ROWS, 6), np.float32)},
            r"`actions` must have shape \(8, 3\) as hopper has it, got \(8, 6\)",
        ),
        ({"actions": np.zeros((ROWS - 1, 3), np.float32)}, r"`actions` must have shape \(8, 3\)"),
        (
            {"rewards": np.zeros(ROWS + 1, np.float32)},
            r"`rewards` must have shape \(8,\) \(one row per observation\), got \(9,\)",
        ),
        ({"terminals": np.zeros((ROWS, 2), bool)}, r"`terminals` must have shape \(8,\)"),
        ({"timeouts": np.zeros(ROWS - 1, bool)}, r"`timeouts` must have shape \(8,\)"),
        ({"actions": np.zeros((ROWS, 3), np.int64)}, "`actions` must hold floating-point numbers, got int64"),
        ({"rewards": np.array(["a"] * ROWS, dtype=object)}, "`rewards` must hold numbers or truth values, got object"),
        ({"timeouts": np.full(ROWS, 2, np.int8)}, "`timeouts` must hold 0 and 1, but row 0 holds 2"),
        ({"rewards": np.float32([0, 0, 0, 0, 0, 0, np.nan, 0])}, "`rewards` .* row 6 holds nan"),
        ({"observations": np.full((ROWS, 11), np.inf, np.float32)}, "`observations` .* row 0 holds"),
        ({"timeouts": np.ones(ROWS, bool)}, "holds no transition"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, changes, message):
    path = write(tmp_path / "data.hdf5", **changes)
    with pytest.raises(DatasetError, match=message) as error:
        train(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("flags", [{}, {"timeouts": None}])
def test_a_file_without_a_transition_is_refused(tmp_path, rows, flags):
    changes = {field: values[:rows] for field, values in arrays(HOPPER).items()} | flags
    with pytest.raises(DatasetError, match=rf"data\.hdf5: an episode needs at least two rows, got {rows} rows in all"):
        train(write(tmp_path / "data.hdf5", **changes))


def test_a_truncated_file_is_refused(tmp_path):
    path = write(tmp_path / "data.hdf5", rows=1000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DatasetError, match=r"data\.hdf5: the file cannot be read .* cut off"):
        train(path)


def test_an_own_file_may_have_validation_data_beside_it(tmp_path):
    path = write(tmp_path / "mine.hdf5")
    assert load(dataset_path=str(path)).validation is None
    write(tmp_path / "mine-val.hdf5", rows=20)
    dataset = load(dataset_path=str(path))
    assert dataset.origin["transitions"] == {"train": 6, "validation": 18}
    assert len(dataset.validation) == 18


def test_an_own_file_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.hdf5: there is no such file"):
        load(dataset_path=str(tmp_path / "absent.hdf5"))


def test_the_origin_names_size_and_checksum(tmp_path):
    path = write(tmp_path / "mine.hdf5")
    assert json.loads(json.dumps(load(dataset_path=str(path)).origin)) == {
        "source": "dataset_path",
        "files": [
            {
                "role": "train",
                "name": "mine.hdf5",
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        ],
        "transitions": {"train": 6},
    }


def test_folders_are_searched_in_their_order(tmp_path, monkeypatch):
    """The folder of the command line, that of D4RL's variable, D4RL's usual one; each file has another length."""
    file = parse(HOPPER).file
    usual = tmp_path / "home" / ".d4rl" / "datasets"
    write(usual / file, rows=10)
    write(tmp_path / "variable" / file, rows=20)
    write(tmp_path / "option" / file, rows=30)

    def found(**options) -> int:
        dataset = load(**options)
        assert dataset.origin["source"] == "cache"
        return len(dataset.train)

    assert found() == 10 - 2
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "variable"))
    assert found() == 20 - 2
    assert found(dataset_dir=str(tmp_path / "option")) == 30 - 2
    monkeypatch.setenv("D4RL_DATASET_DIR", "")
    assert found() == 10 - 2


def test_files_are_named_before_they_exist(tmp_path):
    task = resolve(HOPPER, SuiteOptions(dataset_dir=str(tmp_path)))
    assert task.files() == {"train": tmp_path / "hopper_medium-v2.hdf5"}
    assert not any(tmp_path.iterdir())


class Server:
    """Serves a folder on this machine and records what it is asked for."""

    def __init__(self, folder: Path):
        self.folder, self.requests, self.delay_s = folder, [], 0.0
        folder.mkdir()
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=folder)

            def do_GET(self):
                server.requests.append(self.path)
                threading.Event().wait(server.delay_s)
                super().do_GET()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Server]:
    """The only place where files can be had, in D4RL's folders."""
    state = Server(tmp_path / "server")
    monkeypatch.setenv("OFFLOW_OFFLINE", "0")
    monkeypatch.setattr(d4rl_download, "ROOTS", (state.address,))
    monkeypatch.setattr(d4rl_download, "FLAT_ROOTS", ())
    yield state
    state.close()


@pytest.fixture
def mirror(tmp_path, monkeypatch, server) -> Iterator[Server]:
    """A second server, asked first, with all files in one folder."""
    state = Server(tmp_path / "mirror")
    monkeypatch.setenv("OFFLOW_D4RL_MIRRORS", f" {state.address}/ ,")
    yield state
    state.close()


PATH = "gym_mujoco_v2/hopper_medium-v2.hdf5"
FILE = "hopper_medium-v2.hdf5"


def test_a_missing_file_is_downloaded_once_and_then_found(server, tmp_path):
    original = write(server.folder / PATH)
    dataset = load(dataset_dir=str(tmp_path / "cache"))
    assert (dataset.origin["source"], len(dataset.train)) == ("download", 6)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [FILE]
    assert (tmp_path / "cache" / FILE).read_bytes() == original.read_bytes()
    assert load(dataset_dir=str(tmp_path / "cache")).origin["source"] == "cache"
    assert server.requests == [f"/{PATH}"]


def test_fetching_loads_nothing(server, tmp_path):
    write(server.folder / PATH, observations=None)
    task = resolve(HOPPER, SuiteOptions(dataset_dir=str(tmp_path / "cache")))
    assert task.fetch() == [tmp_path / "cache" / FILE]


def test_the_users_mirror_is_asked_first_with_and_without_folders(server, mirror, tmp_path):
    write(mirror.folder / FILE)
    assert load(dataset_dir=str(tmp_path / "cache")).origin["source"] == "download"
    assert mirror.requests == [f"/{PATH}", f"/{FILE}"]
    assert server.requests == []


@pytest.mark.parametrize("content", [b"<html>log in</html>", b"cut off"], ids=["web page", "cut off"])
def test_a_damaged_download_does_not_stay_and_the_next_address_is_tried(server, mirror, tmp_path, content):
    whole = write(server.folder / PATH, rows=1000)
    (mirror.folder / FILE).write_bytes(whole.read_bytes()[:20_000] if content == b"cut off" else content)
    assert load(dataset_dir=str(tmp_path / "cache")).origin["source"] == "download"
    assert server.requests == [f"/{PATH}"]
    server.requests.clear()
    shutil.rmtree(tmp_path / "cache")
    whole.write_bytes(content)
    with pytest.raises(DatasetError, match="arrived damaged and was removed") as error:
        load(dataset_dir=str(tmp_path / "cache"))
    assert server.requests == [f"/{PATH}"]
    assert str(error.value).count("arrived damaged") == 2
    assert not any(tmp_path.joinpath("cache").iterdir())


def test_the_error_names_every_address_its_fault_and_the_target(server, mirror, tmp_path):
    with pytest.raises(DatasetError) as error:
        load(dataset_dir=str(tmp_path / "cache"))
    lines = str(error.value).splitlines()
    assert lines[0] == f"{FILE} could not be downloaded:"
    tried = [f"  {mirror.address}/{PATH}", f"  {mirror.address}/{FILE}", f"  {server.address}/{PATH}"]
    assert lines[1:7:2] == tried
    assert lines[2:7:2] == ["    the server answers 404 File not found"] * 3
    assert f"  {tmp_path / 'cache' / FILE}" in lines
    assert "OFFLOW_D4RL_MIRRORS" in lines[-1]


def test_a_file_has_its_name_only_after_its_check(server, tmp_path, monkeypatch):
    write(server.folder / PATH)
    target = tmp_path / "cache" / FILE
    checked = []
    monkeypatch.setattr(d4rl_download, "require_hdf5", lambda path: checked.append((path.name, target.exists())))
    load(dataset_dir=str(tmp_path / "cache"))
    assert checked == [(f"{FILE}.part", False)]


def test_after_a_failure_of_encryption_nothing_is_fetched_without(server, tmp_path, monkeypatch):
    """The server here has no encryption, so that https to it fails; the same address by http would have the file."""
    write(server.folder / PATH)
    encrypted = server.address.replace("http:", "https:")
    monkeypatch.setattr(d4rl_download, "ROOTS", (encrypted, server.address))
    with pytest.raises(DatasetError) as error:
        load(dataset_dir=str(tmp_path / "cache"))
    lines = str(error.value).splitlines()
    assert lines[1] == f"  {encrypted}/{PATH}"
    assert lines[3:5] == [
        f"  {server.address}/{PATH}",
        "    not tried: it has no encryption, and that of an address above failed",
    ]
    assert server.requests == []


def test_a_download_without_encryption_is_announced(server, tmp_path, monkeypatch, capsys):
    """Here after an https address at which nobody is, which says nothing about encryption."""
    monkeypatch.setattr(d4rl_download, "ROOTS", ("https://127.0.0.1:9", server.address))
    write(server.folder / PATH)
    load(dataset_dir=str(tmp_path / "cache"))
    said = f"{server.address}/{PATH}: fetched over plain http, and no checksum is published"
    assert capsys.readouterr().err.count(said) == 1
    load(dataset_dir=str(tmp_path / "cache"))
    assert capsys.readouterr().err == ""


def test_without_room_no_other_address_is_asked(server, mirror, tmp_path, monkeypatch):
    for folder, name in ((server.folder, PATH), (mirror.folder, FILE)):
        write(folder / name)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(DatasetError, match="the disk is full"):
        load(dataset_dir=str(tmp_path / "cache"))
    assert server.requests == []
    assert not (tmp_path / "cache" / FILE).exists()


def test_offline_the_error_names_the_official_addresses_and_the_target(tmp_path):
    with pytest.raises(DatasetError, match="downloads are switched off") as error:
        load(ANTMAZE, dataset_dir=str(tmp_path))
    name = "Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse_fixed.hdf5"
    message = str(error.value)
    assert f"http://rail.eecs.berkeley.edu/datasets/offline_rl/ant_maze_v2/{name}\n" in message
    assert f"https://huggingface.co/datasets/imone/D4RL/resolve/main/{name}\n" in message
    assert f"\n  {tmp_path / name}\n" in message


def test_two_processes_at_once_download_once(server, mirror, tmp_path):
    write(mirror.folder / PATH, rows=1000)
    mirror.delay_s = 0.5
    context = multiprocessing.get_context("spawn")
    task = resolve(HOPPER, SuiteOptions(dataset_dir=str(tmp_path / "cache")))
    processes = [context.Process(target=task.load_dataset) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert mirror.requests == [f"/{PATH}"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [FILE]
    assert len(task.load_dataset().train) == 998
