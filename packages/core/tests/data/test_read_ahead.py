"""Reading in the background: begun before it is asked for, raised where it is needed, kept by nobody."""

import gc
import threading
import weakref

import pytest

from offlow_core.data.read_ahead import ReadAhead
from offlow_core.data.validation import DatasetError

WAIT_S = 20.0  # for what happens at once, unless it never does


class Part:
    """What is read; the thread that read it is known."""

    def __init__(self, number: int):
        if number == 13:
            raise DatasetError("shard 13 is damaged")
        self.number, self.thread = number, threading.current_thread()


@pytest.fixture
def read():
    """Events by part: set when its reading has begun."""
    return {number: threading.Event() for number in (*range(5), 13)}


@pytest.fixture
def reader(read):
    def load(number: int) -> Part:
        read[number].set()
        return Part(number)

    reader = ReadAhead(load)
    yield reader
    reader.close()


def test_what_is_expected_is_read_before_it_is_asked_for(reader, read):
    reader.expect(3)
    assert read[3].wait(WAIT_S)
    part = reader.take(3)
    assert part.number == 3
    assert part.thread is not threading.current_thread()


def test_one_part_at_a_time_is_read_ahead(reader, read):
    reader.expect(1)
    reader.expect(1)
    reader.expect(2)
    assert reader.take(1).number == 1
    assert not read[2].is_set()


def test_a_part_that_nobody_expected_is_read_when_it_is_asked_for(reader):
    assert reader.take(4).number == 4
    reader.expect(1)
    assert reader.take(2).number == 2
    assert reader.take(1).number == 1


def test_an_error_is_raised_where_the_part_is_taken(reader, read):
    reader.expect(13)
    assert read[13].wait(WAIT_S)
    with pytest.raises(DatasetError, match="shard 13 is damaged"):
        reader.take(13)
    assert reader.take(2).number == 2  # and the thread goes on


def test_a_part_that_was_taken_is_not_kept(reader):
    reader.expect(1)
    part = weakref.ref(reader.take(1))
    reader.expect(2)
    reader.take(2)  # the thread has let go of what it did before
    gc.collect()
    assert part() is None


def test_closing_lets_go_of_what_was_read(read):
    reader = ReadAhead(Part)
    reader.expect(1)
    reader.close()
    with pytest.raises(RuntimeError, match="shutdown"):
        reader.take(1)
