"""What `offlow compare` prints and `offlow report` writes."""

import csv
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from offlow_core.command import main
from offlow_core.comparison.latex import LATEX_PACKAGES, latex
from offlow_core.comparison.table import Cell, Table, cells
from offlow_core.comparison.table_text import csv_text, markdown

ONE, TWO = (f"cube-single-play-singletask-task{n}-v0" for n in (1, 2))


@pytest.fixture
def runs(make_run, tmp_path):
    """Two methods on two tasks, two seeds each, and a run that does not count."""
    for agent, gain in (("fac", 1.0), ("fql", 0.5)):
        for task in (ONE, TWO):
            for seed in (0, 1):
                make_run(agent, task, seed, (0.0, 40 * gain, (80 + seed) * gain))
    make_run("dac", state="interrupted")
    return tmp_path / "runs"


def test_compare_prints_tables_and_names_what_is_left_out(runs, capsys):
    main(["compare", str(runs)])
    out, err = capsys.readouterr()
    assert f"| {ONE} (success) | **80.5 ± 0.7 (2)** | 40.2 ± 0.4 (2) |" in out
    assert "| fac (2 seeds) | **80.5 [80.0, 81.0]** |" in out
    assert "| fac |  | 100.0 [100.0, 100.0] |" in out
    assert "left out (1):" in err
    assert "interrupted; continue with --resume" in err


def test_what_only_an_older_version_differs_in_is_no_reason_to_refuse(make_run, tmp_path, capsys):
    make_run("fac", core="0.1.0", semantics={"settling": "none"})
    make_run("dac", core="0.2.0", semantics={"settling": "full"})
    main(["compare", str(tmp_path)])
    out, err = capsys.readouterr()
    assert "dac" in out
    assert "fac" not in out
    assert "made with offlow-core 0.1.0; other runs in ogbench with offlow-core 0.2.0" in err
    with pytest.raises(SystemExit, match="settling"):
        main(["compare", str(tmp_path), "--allow", "versions"])


@pytest.mark.parametrize("kind", ["csv", "latex"])
def test_compare_in_other_formats(runs, capsys, kind):
    main(["compare", str(runs), "--format", kind])
    out = capsys.readouterr().out
    expected = {
        "csv": f"task,method,suite,rule,mean,std,seeds\n{ONE},fac,ogbench,last,80.5,",
        "latex": "\\toprule\ntask & fac & fql \\\\",
    }
    assert expected[kind] in out


def test_compare_by_another_rule(runs, capsys):
    main(["compare", str(runs), "--rule", "mean", "--last_k", "2", "--tasks", "*task1*"])
    out = capsys.readouterr().out
    assert "rule “mean of last 2”" in out
    assert "60.2 ± 0.4 (2)" in out
    assert TWO not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name runs to compare"),
        (["missing"], "missing is no folder"),
        (["{runs}", "--rule", "median"], "no run has a score by the rule 'median'; there are: last, "),
        (["{runs}", "--rule", "mean", "--last_k", "4"], "for 'mean of last 4', --last_k takes fewer"),
        (["{runs}", "--rule", ""], "no run has a score by the rule ''"),
        (["{runs}", "--tasks", "nothing"], "no run is left to compare"),
        (["{runs}", "--last_k", "0"], "last_k must be at least 1"),
    ],
)
def test_what_cannot_be_compared_is_said(runs, words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compare", *(word.format(runs=runs) for word in words)])
    assert message in str(ended.value) + capsys.readouterr().err
    assert ended.value.code != 0


def test_incomparable_runs_end_the_command(runs, make_run, capsys):
    make_run("sac", ONE, total_steps=900)
    with pytest.raises(SystemExit, match="steps of training: 300"):
        main(["compare", str(runs)])
    main(["compare", str(runs), "--allow", "budget"])
    assert f"compared although these differ (1):\n  {ONE}: steps of training: 300" in capsys.readouterr().err
    main(["report", str(runs), "--allow", "budget", "--out", str(runs.parent / "out")])
    for name in ("report.md", "report.tex", "report.html"):
        assert "steps of training: 300" in (runs.parent / "out" / name).read_text()


def test_versions_that_were_allowed_to_differ_are_said(make_run, tmp_path, capsys):
    make_run("fac", seed=0)
    older = make_run("fac", seed=1, version="0.0.9")
    main(["compare", str(tmp_path), "--allow", "versions"])
    out, err = capsys.readouterr()
    assert "(2)" in out
    assert f"compared although these differ (1):\n  {older}: made with offlow-fac 0.0.9" in err


def test_names_that_are_no_file_names_stay_in_the_folder_and_apart(make_run, tmp_path):
    for task in ("own/a b", "own/a_b", "own/a_b-2"):
        make_run("fac", task, semantics={"suite": "../../escaped"})
    main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "deep" / "er" / "out")])
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "deep"}
    names = {path.name for path in (tmp_path / "deep" / "er" / "out" / "tables").iterdir()}
    assert names >= {"task-own_a_b.csv", "task-own_a_b-2.csv", "task-own_a_b-2-2.csv", ".._.._escaped-scores.csv"}


def test_a_task_may_be_named_without_its_default_number(runs, capsys):
    main(["compare", str(runs), "--tasks", "cube-single-play-singletask-v0"])
    out = capsys.readouterr().out
    assert TWO in out
    assert ONE not in out


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.text = [], []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


def test_report_writes_everything(runs, tmp_path, capsys):
    out = tmp_path / "out"
    main(["report", str(runs), "--out", str(out), "--title", "Cubes & <more>"])
    assert capsys.readouterr().out.startswith(str(out / "report.html"))
    names = {path.name for path in out.rglob("*") if path.is_file()}
    assert names >= {"report.html", "report.md", "report.tex", "ogbench-scores.csv", "ogbench-aggregates.csv"}
    assert names >= {"ogbench-curves.png", "ogbench-aggregates.png", "ogbench-profiles.png", "left-out.csv", "runs.csv"}
    page = _Page()
    page.feed((out / "report.html").read_text())
    assert page.links == ["#left-out"]  # nothing is fetched
    assert "Cubes & <more>" in page.text
    with (out / "tables" / "ogbench-scores.csv").open() as file:
        rows = {(row["task"], row["method"]): row for row in csv.DictReader(file)}
    assert (rows[ONE, "fql"]["mean"], rows[ONE, "fql"]["seeds"], rows[ONE, "fql"]["rule"]) == ("40.25", "2", "last")
    with (out / "tables" / "run-scores.csv").open() as file:
        scores = [row["last"] for row in csv.DictReader(file) if (row["method"], row["task"]) == ("fql", ONE)]
    assert scores == ["40.0", "40.5"]
    text = (out / "report.md").read_text()
    assert all((out / line.split("(")[1][:-1]).is_file() for line in text.splitlines() if line.startswith("!["))


def test_published_numbers_are_numbers_for_programs(make_run, tmp_path):
    make_run("dac", "hopper-medium-v2", scores=(50.0,), semantics={"suite": "d4rl"})
    main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    with (tmp_path / "out" / "tables" / "published.csv").open() as file:
        rows = list(csv.DictReader(file))
    (ours,) = [row for row in rows if row["our method"]]
    expected = {"tasks": "hopper-medium-v2", "method": "DAC", "phase": "offline", "offline steps": "2000000"}
    expected |= {"online steps": "", "mean": "101.2", "our method": "dac", "our rule": "last", "our mean": "50.0"}
    expected |= {"our offline steps": "100", "our online steps": "0", "our data": "own"}
    assert {name: ours[name] for name in expected} == expected
    for row in rows:
        float(row["mean"])
        float(row["spread"] or 0)
        assert bool(row["our method"]) is bool(row["our mean"])


def compiled(text: str, folder) -> str:
    """The log of LaTeX for a document with this text."""
    program = shutil.which("pdflatex")
    if program is None:
        message = "no pdflatex (Debian: apt-get install --no-install-recommends texlive-latex-recommended)"
        if os.environ.get("OFFLOW_LATEX") == "required":
            pytest.fail(message)
        pytest.skip(message)
    (folder / "body.tex").write_text(text)
    lines = [r"\documentclass{article}", *LATEX_PACKAGES, r"\begin{document}", r"\input{body}", r"\end{document}"]
    (folder / "main.tex").write_text("\n".join(lines))
    command = [program, "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "main"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-3_000:]
    return (folder / "main.log").read_text(errors="replace")


def too_wide(log: str) -> float:
    """By how many points the worst line exceeds the text."""
    return max((float(line.split("(")[1].split("pt")[0]) for line in log.splitlines() if "Overfull" in line), default=0)


def test_latex_sets_a_report(runs, tmp_path):
    main(["report", str(runs), "--out", str(tmp_path / "out"), "--last_k", "9"])
    text = (tmp_path / "out" / "report.tex").read_text()
    for package in LATEX_PACKAGES:
        assert f"% {package}\n" in text
    assert too_wide(compiled(text, tmp_path)) < 5


def test_latex_sets_large_and_odd_tables(tmp_path):
    numbers = cells("cube-single-play-singletask-task1-v0", *[Cell("100.0 ± 10.0 (8)", True)] * 12)
    texts = cells("a_b & 50% #1 {~} ^ \\ $ --last_k", "[in brackets] “quoted” — é…", "word " * 30)
    tables = [
        Table(
            "numbers", "Numbers_& more", ("task", *(f"diffusion_ql{i}" for i in range(12))), (numbers,) * 95, "", "x"
        ),
        Table("texts", "Texts", ("left", "middle", "right"), (texts,) * 90, "With --last_k."),
    ]
    assert too_wide(compiled("\n".join(map(latex, tables)), tmp_path)) < 5


def test_a_suite_without_anything_to_aggregate_says_why(make_run, tmp_path, capsys):
    make_run("flow_t", "Hopper-v4", semantics={"suite": "gymnasium", "score": "return"})
    main(["compare", str(tmp_path / "runs")])
    assert "Nothing to aggregate. Left out: Hopper-v4: returns have no common scale." in capsys.readouterr().out


def test_an_earlier_report_leaves_nothing_behind(runs, tmp_path):
    main(["report", str(runs), "--out", str(tmp_path / "out")])
    main(["report", str(runs), "--out", str(tmp_path / "out"), "--tasks", "*task1*"])
    assert not list((tmp_path / "out").rglob("*task2*"))


def test_a_report_that_cannot_be_written_says_so(runs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="the report cannot be written to"):
        main(["report", str(runs), "--out", str(tmp_path / "file")])


def test_the_same_runs_give_the_same_report(runs, tmp_path):
    for name in ("a", "b"):
        main(["report", str(runs), "--out", str(tmp_path / name)])
    for first in (tmp_path / "a").rglob("*.*"):
        assert first.read_bytes() == (tmp_path / "b" / first.relative_to(tmp_path / "a")).read_bytes(), first.name


def test_comparing_imports_no_backend_and_no_simulator(runs):
    program = (
        "import sys; from offlow_core.command import main; main(['compare', sys.argv[1]]); "
        "assert not {'jax', 'torch', 'mujoco', 'gymnasium_robotics'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, runs], check=True, capture_output=True)


class TestTable:
    table = Table("t", "100% & more", ("a_b", "x|y"), (cells("50%", "é ± 1"), cells("#1", "{~}")), "A $ note")

    def test_markdown(self):
        assert markdown(self.table) == (
            "### 100% & more\n\n| a_b | x\\|y |\n| --- | --- |\n| 50% | é ± 1 |\n| #1 | {~} |\n\nA $ note\n"
        )

    def test_csv(self):
        assert csv_text(self.table) == "a_b,x|y\n50%,é ± 1\n#1,{~}\n"

    def test_latex_escapes_what_it_gives_a_meaning(self):
        text = latex(self.table)
        assert r"\caption{100\% \& more. A \$ note}" in text
        assert r"a\_b & x|y \\" in text
        assert r"50\% & é $\pm$ 1 \\" in text
        assert r"\#1 & \{\textasciitilde{}\} \\" in text

    def test_latex_splits_what_is_no_page(self):
        row = cells("task", *["10.0 ± 1.0 (8)"] * 9)  # 4 letters and 14 for each of nine: six in a row of 100
        table = Table("t", "Title", tuple("abcdefghij"), (row,) * 41, "", "method")
        parts = latex(table).split(r"\begin{table}")[1:]
        assert [part.count("10.0 ±".replace("±", r"$\pm$")) for part in parts] == [21 * 6, 21 * 3, 20 * 6, 20 * 3]
        assert [r"a & b & c & d & e & f & g \\" in part for part in parts] == [True, False, True, False]
        assert r"\caption{Title, part 4 of 4. }" in parts[3]
        assert r"\label{tab:t}" in parts[0]
        assert r"\label{tab:t-4}" in parts[3]

    def test_latex_has_columns_of_text_that_wrap_over_pages(self):
        table = Table("t", "Title", ("a", "b"), (cells(Cell("long", brief="in short"), "--flag"),))
        text = latex(table)
        assert r"\begin{longtable}{>{\raggedright\arraybackslash}p{" in text
        assert r"in short & -{}-flag \\\addlinespace" in text

    def test_csv_has_the_records(self):
        table = Table("t", "", ("a",), (cells("x ± 1"),), records=({"mean": 1.5, "of": "x"}, {"mean": None, "of": "y"}))
        assert csv_text(table) == "mean,of\n1.5,x\n,y\n"

    def test_a_row_of_another_length_is_refused(self):
        with pytest.raises(ValueError, match="expected 2 cells, got 1"):
            Table("t", "", ("a", "b"), (cells("1"),))
