"""The documentation in tests: the code that it names, the commands that it shows, the pages that it links to."""

import ast
import re
import shlex
from collections.abc import Sequence
from pathlib import Path


def references(page: Path) -> list[tuple[str, str]]:
    """Every `file.py::name` or `file.py::Class.method` of a page, as (file, name)."""
    return re.findall(r"`([\w/]+\.py)::([\w.]+)`", page.read_text())


def defines(sources: Sequence[Path], file: str, name: str) -> bool:
    """Whether the file, in the first of the folders that has it, defines the name."""
    path = next(folder / file for folder in sources if (folder / file).exists())
    body = ast.parse(path.read_text()).body
    for part in name.split("."):
        found = [node for node in body if getattr(node, "name", None) == part]
        if not found:
            return False
        body = getattr(found[0], "body", [])
    return True


def commands(page: Path, package: str, program: str) -> list[list[str]]:
    """The words after the program's name in every training command of a page."""
    lines = re.findall(rf"^uv run --package {package} (?:--extra \w+ )?{program} (--.*)$", page.read_text(), re.M)
    return [shlex.split(line) for line in lines]


def links(pages: Sequence[Path]) -> list[tuple[Path, str]]:
    """Every relative link of the pages, as (page, target)."""
    return [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())]
