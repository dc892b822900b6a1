"""The links from the pages of docs/ to lines of code; `python tests/code_links.py` puts their line numbers right.

A link reads [`file.py::name`](../packages/.../file.py#L37). The name is that of a function, a class or `Class.method`;
the line is that of its `def` or `class`.
"""

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
COMMAND = "python tests/code_links.py"

REFERENCE = re.compile(r"`(?P<file>[\w/]+\.py)::(?P<name>[\w.]+)`(?:\]\((?P<target>[^)#]*)(?:#(?P<anchor>[^)]*))?\))?")
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Reference(NamedTuple):
    """Code that a page names, and where its link goes; no target where it is no link."""

    file: str
    name: str
    target: str | None
    anchor: str | None

    def __str__(self) -> str:
        code = f"`{self.file}::{self.name}`"
        return code if self.target is None else f"[{code}]({self.target}#{self.anchor or ''})"


def references(text: str) -> list[Reference]:
    """All that a page's text names as `file.py::name`."""
    return [Reference(**found.groupdict()) for found in REFERENCE.finditer(text)]


def line_of(source: Path, name: str) -> int | None:
    """The line of the `def` or `class` of a name; None where the file does not define it.

    The last definition counts: those before it are overloads.
    """
    node: ast.AST = ast.parse(source.read_text())
    for part in name.split("."):
        body = getattr(node, "body", [])
        found = [child for child in body if isinstance(child, DEFINITIONS) and child.name == part]
        if not found:
            return None
        node = found[-1]
    return node.lineno


def problem(reference: Reference, page: Path) -> str | None:
    """What is wrong with a reference of a page, in a sentence that says what to do; None if nothing is."""
    where = f"{page.name}: {reference}"
    if reference.target is None:
        return f"{where} is no link: write [`{reference.file}::{reference.name}`](../packages/.../{reference.file}#L1)"
    source = _source(reference, page)
    if not source.is_file():
        return f"{where}: there is no such file; correct the link's path"
    if not source.as_posix().endswith(f"/{reference.file}"):
        return f"{where} goes to another file than {reference.file}; correct the link's path"
    line = line_of(source, reference.name)
    if line is None:
        return f"{where}: {reference.file} defines no {reference.name}; correct the name"
    if reference.anchor != f"L{line}":
        return f"{where} must end with #L{line}; run `{COMMAND}`"
    return None


def corrected(page: Path) -> str:
    """The page's text with the right line numbers, where files and names are right."""

    def with_line(found: re.Match[str]) -> str:
        reference = Reference(**found.groupdict())
        if reference.target is None or not _source(reference, page).is_file():
            return found[0]
        line = line_of(_source(reference, page), reference.name)
        code = f"`{reference.file}::{reference.name}`"
        return found[0] if line is None else f"{code}]({reference.target}#L{line})"

    return REFERENCE.sub(with_line, page.read_text())


def problems(pages: list[Path]) -> Iterator[str]:
    """Of all references of these pages."""
    for page in pages:
        yield from filter(None, (problem(reference, page) for reference in references(page.read_text())))


def main() -> int:
    """Rewrite the pages whose line numbers are wrong; 1 if something is left that this cannot put right."""
    for page in PAGES:
        text = corrected(page)
        if text != page.read_text():
            page.write_text(text)
            print(f"written: {page.relative_to(ROOT)}")
    left = list(problems(PAGES))
    print(*left, sep="\n", end="\n" if left else "")
    return 1 if left else 0


def _source(reference: Reference, page: Path) -> Path:
    return Path(os.path.normpath(page.parent / (reference.target or "")))


if __name__ == "__main__":
    sys.exit(main())
