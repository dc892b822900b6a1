"""The log of a job, which attempts continue that know nothing of each other."""

from offlow_core.sweeps.job_log import AttemptEnd, JobLog


def test_an_attempt_begins_a_line_even_after_one_that_could_not_end_its_own(tmp_path):
    path = tmp_path / "log.txt"
    log = JobLog(path)
    with log.attempt("starts", ["toy"], {}):
        path.write_text(path.read_text() + "loading data ... ")  # and then its machine lost power
    assert log.last_end() is None
    with log.attempt("starts", ["toy"], {}) as second:
        second.end(AttemptEnd("failed", -9), 0.0)
    assert second.number == 2
    lines = path.read_text().splitlines()
    assert lines[2] == "loading data ... "
    assert lines[3].startswith("=== offlow: attempt 2 on ")
    assert log.last_end() == AttemptEnd("failed", -9)
    with log.attempt("starts", ["toy"], {}) as third:
        assert third.number == 3
    assert "" not in path.read_text().splitlines()  # nothing is added where a line has its end
