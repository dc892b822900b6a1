"""CSV tables: late columns, exact numbers, torn tails, full disks, killed writers."""

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offlow_core.training.tables import Table, TableError, read_table


def test_a_late_column_is_empty_before_it_appeared(tmp_path):
    table = Table(tmp_path / "train.csv")
    table.append(1, [{"loss": 0.5}])
    table.append(2, [{"loss": 0.25, "penalty": 3}])
    table.append(3, [{"penalty": 4.0}])
    assert (tmp_path / "train.csv").read_text() == "step,loss,penalty\n1,0.5,\n2,0.25,3\n3,,4.0\n"
    columns = read_table(tmp_path / "train.csv")
    assert columns["step"].tolist() == [1, 2, 3]
    assert columns["step"].dtype == np.int64
    np.testing.assert_array_equal(columns["loss"], [0.5, 0.25, np.nan])
    np.testing.assert_array_equal(columns["penalty"], [np.nan, 3, 4])


def test_several_rows_of_one_step(tmp_path):
    table = Table(tmp_path / "episodes.csv")
    table.append(10, [{"episode": 0, "success": True}, {"episode": 1, "success": False, "goal": 2}])
    assert (tmp_path / "episodes.csv").read_text() == "step,episode,success,goal\n10,0,1,\n10,1,0,2\n"


def test_scalars_of_numpy_are_numbers_and_missing_ones_are_empty(tmp_path):
    table = Table(tmp_path / "t.csv")
    row = {"a": np.float32(0.1), "b": np.array(2), "c": None, "d": float("nan"), "e": np.float64("inf"), "f": -0.0}
    table.append(np.int64(7), [row])
    assert (tmp_path / "t.csv").read_text() == "step,a,b,c,d,e,f\n7,0.10000000149011612,2,,,inf,-0.0\n"
    assert np.isposinf(read_table(tmp_path / "t.csv")["e"][0])


def test_another_process_continues_the_columns(tmp_path):
    Table(tmp_path / "t.csv").append(1, [{"a": 1, "b": 2}])
    Table(tmp_path / "t.csv").append(2, [{"b": 3, "c": 4}])
    assert (tmp_path / "t.csv").read_text() == "step,a,b,c\n1,1,2,\n2,,3,4\n"


@pytest.mark.parametrize("torn", ["2", "2,0.", "2,0.5"])
def test_a_torn_last_line_is_not_read_and_not_continued(tmp_path, torn):
    path = tmp_path / "t.csv"
    path.write_text("step,a\n1,1.0\n" + torn)
    assert read_table(path)["step"].tolist() == [1]
    Table(path).append(3, [{"a": 3.0}])
    assert path.read_text() == "step,a\n1,1.0\n3,3.0\n"


def test_a_torn_header_counts_as_an_empty_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("step,los")
    assert {name: len(values) for name, values in read_table(path).items()} == {"step": 0}
    Table(path).append(1, [{"loss": 2}])
    assert path.read_text() == "step,loss\n1,2\n"


def test_truncation_keeps_the_step_itself_and_the_places_of_columns(tmp_path):
    table = Table(tmp_path / "t.csv")
    for step in (10, 20, 30):
        table.append(step, [{"a": step}] if step < 30 else [{"b": step}])
    table.truncate_after(20)
    assert (tmp_path / "t.csv").read_text() == "step,a,b\n10,10,\n20,20,\n"
    table.append(30, [{"a": 1, "b": 2}])
    assert (tmp_path / "t.csv").read_text() == "step,a,b\n10,10,\n20,20,\n30,1,2\n"
    table.truncate_after(0)
    assert (tmp_path / "t.csv").read_text() == "step,a,b\n"


def test_truncating_a_table_that_was_never_written_makes_none(tmp_path):
    Table(tmp_path / "t.csv").truncate_after(5)
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"a": "text"}, "'a': expected one number, got 'text'"),
        ({"a": np.zeros(2)}, "'a': expected one number"),
        ({"a,b": 1}, "free of commas"),
        ({"": 1}, "free of commas"),
        ({"step": 1}, "the column 'step' holds the step itself"),
    ],
)
def test_rows_that_no_table_can_hold_leave_the_file_alone(tmp_path, row, says):
    table = Table(tmp_path / "t.csv")
    table.append(1, [{"a": 1}])
    with pytest.raises(TableError, match=says):
        table.append(2, [row])
    table.append(3, [{"a": 3}])
    assert (tmp_path / "t.csv").read_text() == "step,a\n1,1\n3,3\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"step,a\n1,2\n2\n", "line 3: expected 2 cells, got 1"),
        (b"step,a\n1,x\n", "column 'a'"),
        (b"step,a\n\x00\x00,1\n", "column 'step'"),
        (b"step,a\n9999999999999999999999999,1\n", "column 'step'.*the file is damaged"),
        (b"time,a\n1,2\n", "expected a first column 'step', got 'time'"),
        (b"step,a\n1,\xff\n", "expected text"),
    ],
)
def test_damage_is_named(tmp_path, content, says):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableError, match=says) as caught:
        read_table(tmp_path / "t.csv")
    assert "t.csv" in str(caught.value)


def test_a_failed_append_leaves_no_part_of_a_line(tmp_path):
    code = """
import resource, sys
from pathlib import Path
from offlow_core.training.tables import Table
table = Table(Path(sys.argv[1]))
table.append(1, [{"a": 1.0}])
resource.setrlimit(resource.RLIMIT_FSIZE, (15, 15))  # the kernel cuts the next line in the middle
try:
    table.append(2, [{"a": 2.5}])
except OSError:
    print("refused")
"""
    path = tmp_path / "t.csv"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert path.read_text() == "step,a\n1,1.0\n"


def test_a_killed_writer_loses_nothing_that_it_wrote(tmp_path):
    code = """
import sys
from pathlib import Path
from offlow_core.training.tables import Table
table = Table(Path(sys.argv[1]))
step = 0
while True:
    step += 1
    table.append(step, [{"a": step / 7} | {f"late{step // 50}": step}])
    print(step, flush=True)
"""
    path = tmp_path / "t.csv"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        seen = [int(writer.stdout.readline())]
        time.sleep(0.3)
        os.kill(writer.pid, signal.SIGKILL)
        seen += [int(line) for line in writer.stdout.read().splitlines() if line]
    steps = read_table(path)["step"]
    np.testing.assert_array_equal(steps, np.arange(1, len(steps) + 1))
    assert len(steps) >= seen[-1] > 100


numbers = st.one_of(st.none(), st.floats(), st.integers(-(2**53), 2**53), st.booleans())
rows = st.dictionaries(st.sampled_from(["loss", "q/mean", "é", "late col", "x"]), numbers)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(rows, max_size=3), max_size=8), st.data())
def test_what_is_written_is_read_whatever_columns_come_when(blocks, data):
    cut = data.draw(st.integers(0, len(blocks)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        table = Table(path)
        for step, block in enumerate(blocks):
            table.append(step, block)
        table.truncate_after(cut)
        columns = read_table(path) if path.exists() else {"step": []}
    expected = [(step, row) for step, block in enumerate(blocks) for row in block if step <= cut]
    assert list(columns["step"]) == [step for step, _ in expected]
    assert set(columns) == {"step"} | {name for block in blocks for row in block for name in row}
    for name in set(columns) - {"step"}:
        wanted = [math.nan if row.get(name) is None else float(row[name]) for _, row in expected]
        np.testing.assert_array_equal(columns[name], wanted)


def test_line_ends_of_a_spreadsheet_are_read(tmp_path):
    path = tmp_path / "eval.csv"
    path.write_bytes(b"step,score\r\n10,1.5\r\n20,2.5\r\n3")
    table = read_table(path)
    assert table["step"].tolist() == [10, 20]
    assert table["score"].tolist() == [1.5, 2.5]
