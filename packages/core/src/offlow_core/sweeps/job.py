"""A job: one training command of one package, as a value that a JSON file can hold."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from offlow_core.sweeps.errors import SweepError

LONGEST_NAME = 160  # folders hold up to 255 bytes


@dataclass(frozen=True)
class Job:
    """One program that trains one seed or, in one go, several consecutive ones."""

    name: str
    """Of its folder, unique in a sweep."""
    package: str
    """As under `packages/`, such as diffusion_ql."""
    command: str
    """The package's program, such as diffusion-ql."""
    arguments: tuple[str, ...]
    """Words after it, without seeds, `--save_dir` and `--resume`."""
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.seeds or list(self.seeds) != list(range(self.seeds[0], self.seeds[0] + len(self.seeds))):
            raise SweepError(f"{self.name}: seeds of one program must be consecutive, got {list(self.seeds)}")

    @property
    def words(self) -> list[str]:
        """All that decides about the result."""
        return [*self.arguments, f"--seed={self.seeds[0]}", f"--num_seeds={len(self.seeds)}"]

    def to_json(self) -> dict[str, Any]:
        """JSON values from which `from_json` makes an equal job."""
        return {**asdict(self), "arguments": list(self.arguments), "seeds": list(self.seeds)}

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """The job that `to_json` described; SweepError for anything else."""
        names = {field.name for field in fields(cls)}
        if not isinstance(content, Mapping) or set(content) != names:
            raise SweepError(f"expected a job, which is {', '.join(sorted(names))}, got {_short(content)}")
        if not (_all_are(str, content["arguments"]) and _all_are(int, content["seeds"])):
            raise SweepError(f"expected lists of words and of seeds, got {_short(content)}")
        if not _all_are(str, [content[name] for name in ("name", "package", "command")]):
            raise SweepError(f"expected names, got {_short(content)}")
        words: dict[str, Any] = {"arguments": tuple(content["arguments"]), "seeds": tuple(content["seeds"])}
        return cls(**{**content, **words})


def job_name(task: str, label: str, changes: Mapping[str, str], seeds: Sequence[int]) -> str:
    """What tells a job apart, readable and fit for a folder.

    A name that had to be altered or cut gets a few digits of its original's hash.
    """
    varied = [f"{option.removeprefix('agent.')}={text.strip('[]()')}" for option, text in changes.items()]
    seed = f"seed{seeds[0]}" if len(seeds) == 1 else f"seeds{seeds[0]}-{seeds[-1]}"
    plain = "--".join([task, label, *varied, seed])
    name = re.sub(r"[^\w.+=,-]|^\.+", "_", plain, flags=re.ASCII)[:LONGEST_NAME]
    return name if name == plain else f"{name}--{hashlib.sha256(plain.encode()).hexdigest()[:6]}"


def difference(first: Job, second: Job) -> str:
    """What tells two jobs apart, in words."""
    ours, theirs = ([job.package, *job.words] for job in (first, second))
    only = [
        " ".join(word for word in ours if word not in theirs),
        " ".join(word for word in theirs if word not in ours),
    ]
    return f"{only[0] or 'nothing'} in the one, {only[1] or 'nothing'} in the other"


def _all_are(kind: type, values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _short(content: Any) -> str:
    text = repr(content)
    return text if len(text) < 200 else f"{text[:200]}..."
