"""How many cores one job takes: what its program is told so that jobs side by side do not get in each other's way."""

import os
from collections.abc import Mapping, Sequence

EVAL_WORKERS = "--eval_workers"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
"""The last one is what XLA's CPU client sizes its thread pools by."""
NO_PREALLOCATION = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""For jobs that share a GPU: JAX otherwise takes most of its memory at once."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables for a program that shall use so many threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def evaluation_words(arguments: Sequence[str], threads: int) -> list[str]:
    """The option that keeps evaluation to so many processes, for one thread to the program itself.

    It changes how evaluations are made, not their numbers; a job that has it keeps its own.
    """
    if any(word.startswith(f"{EVAL_WORKERS}=") for word in arguments):
        return []
    return [f"{EVAL_WORKERS}={threads if threads > 1 else 0}"]


def as_assignments(environment: Mapping[str, str]) -> list[str]:
    """`NAME=value` words as a shell takes them before a command."""
    return [f"{name}={value}" for name, value in environment.items()]
