"""Every link from the documentation to a line of code goes to the line where that code is defined."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("code_links", Path(__file__).with_name("code_links.py"))
code_links = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(code_links)

REFERENCES = [
    pytest.param(page, reference, id=f"{page.name}: {reference.file}::{reference.name}")
    for page in code_links.PAGES
    for reference in code_links.references(page.read_text())
]
EQUATIONS = ("fac.md", "deflow.md", "dac.md", "sacflow.md", "diffusion_ql.md")

CODE = """\
from functools import cache

@cache
def loss(x):
    return x


class Agent:
    def loss(self):
        return 0
"""


@pytest.fixture
def page(tmp_path):
    """A page beside code of its own."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code/losses.py").write_text(CODE)
    return tmp_path / "docs/page.md"


def problem_of(page, text):
    (reference,) = code_links.references(text)
    return code_links.problem(reference, page)


@pytest.mark.parametrize(("page", "reference"), REFERENCES)
def test_a_link_goes_to_its_line(page, reference):
    found = code_links.problem(reference, page)
    assert found is None, found


@pytest.mark.parametrize("name", EQUATIONS)
def test_every_equation_of_a_paper_has_its_line(name):
    text = (code_links.ROOT / "docs" / name).read_text()
    table = text.split("## Equation by equation")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    assert [row for row in rows if not code_links.references(row)] == []


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("[`losses.py::loss`](../code/losses.py#L3)", r"page\.md: .*losses\.py#L3.* #L4; run `python tests/code_links"),
        ("[`losses.py::loss`](../code/losses.py)", r"#L4; run `python tests/code_links"),
        ("[`losses.py::Agent.loss`](../code/losses.py#L4)", "#L9; run"),
        ("[`losses.py::Agent.update`](../code/losses.py#L9)", "defines no Agent.update"),
        ("[`losses.py::loss`](../code/critics.py#L4)", "there is no such file"),
        ("[`critics.py::loss`](../code/losses.py#L4)", "another file than critics.py"),
        ("`losses.py::loss`", "is no link"),
    ],
)
def test_a_wrong_link_is_named_with_what_to_do(page, link, message):
    with pytest.raises(AssertionError, match=message):
        assert problem_of(page, link) is None, problem_of(page, link)


def test_a_right_link_is_left_alone(page):
    assert problem_of(page, "[`losses.py::Agent`](../code/losses.py#L8)") is None


def test_line_numbers_are_put_right_and_nothing_else_is_touched(page):
    page.write_text(
        "| [`losses.py::loss`](../code/losses.py#L1), [`losses.py::Agent.loss`](../code/losses.py#L99) |\n"
        "[`losses.py::gone`](../code/losses.py#L1) and [`gone.py::loss`](../code/gone.py#L1), `losses.py::loss`\n"
    )
    assert code_links.corrected(page) == (
        "| [`losses.py::loss`](../code/losses.py#L4), [`losses.py::Agent.loss`](../code/losses.py#L9) |\n"
        "[`losses.py::gone`](../code/losses.py#L1) and [`gone.py::loss`](../code/gone.py#L1), `losses.py::loss`\n"
    )
