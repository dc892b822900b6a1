"""Every command that a page of the documentation shows is one that its program understands.

Needs all packages in one environment: `uvx nox -s docs`.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import tyro

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "results").glob("*.md"))]
PROGRAMS = {
    script.name: script for script in entry_points(group="console_scripts") if script.value.startswith("offlow_")
}
EXTRAS = {
    project["name"]: set(project.get("optional-dependencies", ()))
    for project in (tomllib.loads(path.read_text())["project"] for path in ROOT.glob("packages/*/pyproject.toml"))
}
ASSIGNMENT = re.compile(r"\w+=\S*")


class ParsedError(BaseException):
    """Raised in the place of what a command would do."""


def shown_lines(page: Path) -> Iterator[str]:
    """The lines of a page's blocks without a language; where some have a prompt, only those, without it."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S):
        if language:
            continue
        lines = re.sub(r"\\\n\s*", "", block).splitlines()
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        yield from prompted or lines


def inline_lines(page: Path) -> list[str]:
    """The commands with options within a page's text; not those with placeholders such as RUN."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    found = [" ".join(line.split()) for line in re.findall(r"`([^`]+)`", text)]
    return [line for line in found if line.partition(" ")[0] in PROGRAMS and _is_complete(line)]


def _is_complete(line: str) -> bool:
    return " --" in line and not re.search(r"\b[A-Z]{3,}\b|\.\.\.|\|", line)


def command_of(line: str) -> tuple[str, list[str]] | None:
    """The program and its words, without variables and `uv run`; None for a line that calls none of the programs."""
    if not re.match(r"[\w./-]+(=\S+)?( |$)", line):
        return None
    words = [word for word in shlex.split(line, comments=True) if word != "..."]
    while words and ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    if words[:2] == ["uv", "run"]:
        words = _without_uv(words[2:])
    return (words[0], words[1:]) if words and words[0] in PROGRAMS else None


def _without_uv(words: list[str]) -> list[str]:
    package, extras = "", set()
    while words[0].startswith("--"):
        option, *words = words
        if option == "--all-packages":
            package, extras = "no package", set().union(*EXTRAS.values())
            continue
        value, *words = words
        if option == "--package":
            assert value in EXTRAS, f"there is no package {value}"
            package, extras = value, EXTRAS[value]
        else:
            assert option == "--extra", f"uv run {option}"
            assert value in extras, f"{package} has no extra {value}"
    assert words[0] in PROGRAMS, f"{package} has no command {words[0]}"
    return words


COMMANDS = [
    pytest.param(*found, id=f"{page.name}: {' '.join([found[0], *found[1]])[:100]}")
    for page in PAGES
    for line in [*shown_lines(page), *inline_lines(page)]
    if (found := command_of(line)) is not None
]


@pytest.fixture(autouse=True)
def parse_only(monkeypatch, tmp_path):
    """Programs stop where their options are read."""
    read = tyro.cli

    def stop(*arguments, **named):
        read(*arguments, **named)
        raise ParsedError

    monkeypatch.setattr(tyro, "cli", stop)
    monkeypatch.chdir(tmp_path)


def understands(program: str, words: list[str]) -> bool:
    """Whether the program reads these words to their end."""
    try:
        PROGRAMS[program].load()(words)
    except ParsedError:
        return True
    except SystemExit as end:
        return end.code in (0, None)
    return False


@pytest.mark.parametrize(("program", "words"), COMMANDS)
def test_a_shown_command_is_understood(program, words):
    assert understands(program, words)


def test_the_pages_show_every_program():
    assert {command.values[0] for command in COMMANDS} == set(PROGRAMS)


@pytest.mark.parametrize(
    "line",
    [
        "fac --env_name=cube-single-play-singletask-v0 --agent.fac_alphas=1",
        "offlow compare runs --every_rules",
        "X=1 diffusion-ql toy --figures bc",
        "uv run --package offlow-fac fac --agent sac",
    ],
)
def test_a_wrong_command_is_found(line):
    found = command_of(line)
    assert found is not None
    assert not understands(*found)


@pytest.mark.parametrize(
    "line",
    [
        "uv run --package offlow-fax fac",
        "uv run --package offlow-fac --extra gpu fac",
        "uv run --all-packages --extra gpu fac",
    ],
)
def test_a_wrong_environment_is_found(line):
    with pytest.raises(AssertionError, match=r"there is no package|has no extra"):
        command_of(line)
