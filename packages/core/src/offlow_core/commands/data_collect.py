"""`offlow data collect`: genuine OGBench-protocol data without a data set host."""

import contextlib
import operator
import os
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from offlow_core.data.collect.collection import Collection, Outcome, collect
from offlow_core.data.collect.protocol import CollectError, Protocol, find_protocol
from offlow_core.errors import UserError

CACHE = Path("~/.ogbench/data")


@dataclass(frozen=True)
class Options:
    """Collect an OGBench data set with the benchmark's own scripted oracles and protocol.

    Can be stopped at any time: the same command continues. With --policy RUN (and --help for its options) a trained
    policy collects instead, in D4RL's format.
    """

    dataset: Annotated[str, tyro.conf.Positional, arg(metavar="DATASET")]
    """cube-{single,double,triple,quadruple}-{play,noisy}, scene-{play,noisy}, puzzle-{3x3,4x4,4x5,4x6}-{play,noisy},
    each also as visual-... (rendered frames), or pointmaze-{medium,large,giant,teleport}-{navigate,stitch}"""
    episodes: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: as the official set)")] = None
    """training episodes"""
    val_episodes: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: a tenth of --episodes)")] = None
    """validation episodes"""
    episode_steps: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: as the official set)")] = None
    """rows per episode, one more than its transitions"""
    out: Annotated[Path | None, arg(metavar="PATH", help_behavior_hint=f"(default: {CACHE})")] = None
    """file or folder to write to; the default, where the ogbench package looks, takes only full-size sets"""
    seed: int = 0
    """equal seeds give equal data, whatever the number of workers"""
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one per processor)")] = None
    """worker processes"""
    shadow_size: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 4096, the official one)")] = None
    """resolution of the shadows in rendered frames; 1024 renders almost twice as fast and looks nearly the same"""
    overwrite: bool = False
    """replace existing files, and discard what an interrupted call with other settings has left"""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments`, collect, and report; errors that a user can mend end in one message and status 1."""
    if any(word.partition("=")[0] == "--policy" for word in arguments):
        from offlow_core.commands import data_rollout

        return data_rollout.main(arguments, program)
    options = tyro.cli(
        Options, args=arguments, prog=program, config=(tyro.conf.FlagCreatePairsOff,), use_underscores=True
    )
    try:
        run(options)
    except UserError as error:
        sys.exit(f"{program}: {error}")
    return None


def run(options: Options) -> None:
    """Collect what the options ask for and print what came of it."""
    protocol = find_protocol(options.dataset)
    collection = _collection(options, protocol)
    workers = options.workers if options.workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise CollectError(f"--workers must be at least 1, got {workers}")
    with _stoppable(collection):
        outcome = collect(collection, workers=workers, overwrite=options.overwrite)
    print(_report(collection, outcome))


def _collection(options: Options, protocol: Protocol) -> Collection:
    episodes = protocol.episodes if options.episodes is None else options.episodes
    val_episodes = max(1, episodes // 10) if options.val_episodes is None else options.val_episodes
    rows = protocol.episode_rows if options.episode_steps is None else options.episode_steps
    official = (protocol.episodes, protocol.episodes // 10, protocol.episode_rows)
    smaller = any(map(operator.lt, (episodes, val_episodes, rows), official))
    return Collection(
        protocol=protocol,
        out=_out(options, protocol, smaller),
        episodes=episodes,
        val_episodes=val_episodes,
        episode_rows=rows,
        seed=options.seed,
        shadow_size=options.shadow_size,
    )


def _out(options: Options, protocol: Protocol, smaller: bool) -> Path:
    cached = CACHE.expanduser() / f"{protocol.dataset}.npz"
    if options.out is None:
        if smaller:
            raise CollectError(
                f"the official set has {protocol.episodes} episodes of {protocol.episode_rows} rows; a smaller one in "
                f"{cached} would pass for it. Give a file of your own with --out."
            )
        return cached
    out = options.out.expanduser()
    return out / cached.name if out.is_dir() else out


@contextlib.contextmanager
def _stoppable(collection: Collection) -> Generator[None]:
    """Answer Ctrl-C and SIGTERM with one line on how to go on."""

    def stop(number: int, _frame) -> None:
        raise KeyboardInterrupt(number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt as stopped:
        kept = len(collection.parts.episode_files())
        print(
            f"stopped; {kept} finished episodes are kept in {collection.parts.path}, the same command continues",
            file=sys.stderr,
        )
        sys.exit(128 + stopped.args[0])
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _report(collection: Collection, outcome: Outcome) -> str:
    minutes, seconds = divmod(round(outcome.elapsed_s), 60)
    there = f" ({outcome.continued_from} episodes were already there)" if outcome.continued_from else ""
    lines = [
        f"{collection.protocol.dataset}: {outcome.rows:,} rows, {outcome.transitions:,} transitions "
        f"({collection.episodes:,} + {collection.val_episodes:,} episodes of {collection.episode_rows:,} rows)",
        *_success_lines(collection, outcome),
        f"time: {minutes} min {seconds} s{there}",
        *(f"{path}  {path.stat().st_size / 1e6:,.1f} MB" for path in (collection.out, collection.val_out)),
        str(collection.provenance_file),
        "train on it:",
        f"  {_training_command(collection)}",
    ]
    return "\n".join(lines)


def _success_lines(collection: Collection, outcome: Outcome) -> list[str]:
    counts = outcome.counts
    if collection.protocol.family == "pointmaze":
        rate = 1000 * counts["goals"] / outcome.transitions
        return [f"goals reached: {counts['goals']:,}, {rate:.1f} per 1000 steps"]
    kinds = sorted(key.removesuffix(" attempted") for key in counts if key.endswith(" attempted"))
    shares = [_share(kind, counts) for kind in kinds] or ["none was finished"]
    rejected = [f"episodes rejected and repeated: {counts['rejected']}"] if counts["rejected"] else []
    return [f"sub-tasks achieved: {', '.join(shares)}", *rejected]


def _share(kind: str, counts: Counter[str]) -> str:
    achieved, attempted = counts[f"{kind} achieved"], counts[f"{kind} attempted"]
    return f"{kind} {achieved:,}/{attempted:,} ({100 * achieved / attempted:.1f}%)"


def _training_command(collection: Collection) -> str:
    # The published settings of the visual tasks.
    visual = " --agent.encoder=impala_small --p_aug=0.5 --frame_stack=3" if collection.protocol.visual else ""
    return f"fac --env_name={collection.protocol.task} --dataset_path={shlex.quote(str(collection.out))}{visual}"
