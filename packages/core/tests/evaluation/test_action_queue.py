import numpy as np
import pytest

from offlow_core.evaluation import ActionQueue


def test_a_chunk_is_handed_out_action_by_action():
    queue = ActionQueue()
    queue.add(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert len(queue) == 2
    assert queue.pop().tolist() == [1.0, 2.0]
    assert queue.pop().tolist() == [3.0, 4.0]
    assert not queue


def test_a_single_action_is_a_chunk_of_one():
    queue = ActionQueue()
    queue.add(np.array([1.0, 2.0]))
    assert len(queue) == 1
    assert queue.pop().tolist() == [1.0, 2.0]


def test_clearing_forgets_the_rest_of_a_chunk():
    queue = ActionQueue()
    queue.add(np.ones((3, 1)))
    queue.pop()
    queue.clear()
    assert len(queue) == 0
    with pytest.raises(IndexError):
        queue.pop()


def test_a_batch_of_chunks_is_refused():
    with pytest.raises(ValueError, match=r"chunk \[h, A\], got an array of shape \(4, 3, 2\)"):
        ActionQueue().add(np.ones((4, 3, 2)))
