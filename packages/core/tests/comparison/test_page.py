"""The report's page in a real browser."""

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise

import pytest

from offlow_core.commands.compared_runs import ComparedRuns, compared
from offlow_core.comparison.page import render

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run"]
ONE, TWO = (f"cube-single-play-singletask-task{n}-v0" for n in (1, 2))


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Headless Chromium; OFFLOW_BROWSER=required makes its absence a failure."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        message = f"no browser: install one of {', '.join(BROWSERS)} (Debian: apt-get install chromium)"
        if os.environ.get("OFFLOW_BROWSER") == "required":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser, tmp_path) -> Iterator:
    """Opens the page of a report of the test's runs, offline; whatever the browser remarks on it fails the test."""
    opened = []

    def show(runs: str = str(tmp_path / "runs"), title: str = "Comparison"):
        file = tmp_path / "report.html"
        file.write_text(render(compared(ComparedRuns(runs=(runs,), resamples=50), title)), encoding="utf-8")
        page = browser.new_context(offline=True, viewport={"width": 1200, "height": 900}).new_page()
        opened.append((page, faults := []))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.goto(file.as_uri())
        return page

    yield show
    for page, faults in opened:
        page.context.close()
        assert faults == []


@pytest.fixture
def page(open_page, make_run):
    """The page of a report of two methods on two tasks."""
    for agent, gain in (("fac", 1.0), ("fql", 0.5)):
        for task in (ONE, TWO):
            for seed in (0, 1):
                make_run(agent, task, seed, (0.0, 40 * gain, (80 + seed) * gain))
    make_run("dac", state="interrupted")
    return open_page(title="</script><b>Cubes</b>")


def drawn(page, selector: str):
    """A chart, once it is in view."""
    chart = page.locator(selector).first
    chart.scroll_into_view_if_needed()
    page.wait_for_function("chart => chart.data !== undefined", arg=chart.element_handle())
    return chart


def lines(page, task: str) -> list[str]:
    """Names of the curves that are drawn for a task."""
    chart = drawn(page, f"#curves .chart[data-task='{task}']")
    return chart.evaluate("chart => chart.data.filter(trace => trace.name).map(trace => trace.name)")


def test_the_page_shows_tables_and_curves(page):
    assert page.title() == "</script><b>Cubes</b>"
    assert page.locator("#ogbench-scores tbody tr").count() == 2
    assert "80.5 ± 0.7 (2)" in page.locator("#ogbench-scores td.best").first.text_content()
    assert "interrupted" in page.locator("#left-out").text_content()
    assert lines(page, ONE) == ["fac (2)", "fql (2)"]


def test_pointing_at_a_curve_shows_its_numbers(page):
    lines(page, ONE)
    box = page.locator(f"#curves .chart[data-task='{ONE}'] .nsewdrag").first.bounding_box()
    right, middle = box["x"] + box["width"] - 20, box["y"] + box["height"] / 2
    page.mouse.move(right - 100, middle)
    page.mouse.move(right, middle, steps=5)
    page.wait_for_selector("#curves .hoverlayer .legend", timeout=10_000)
    shown = page.locator("#curves .hoverlayer").first.text_content()
    assert "fac (2) : 80.5 [80.0, 81.0]" in shown
    assert "fql (2) : 40.3 [40.0, 40.5]" in shown


def test_names_are_shown_as_they_are(open_page, make_run, tmp_path):
    make_run()
    page = open_page(f"a<b>&c={tmp_path / 'runs'}")
    assert lines(page, ONE) == ["a&lt;b>&amp;c (1)"]
    label = page.locator("#suites .chart .ytick text").first
    label.scroll_into_view_if_needed()
    assert label.text_content() == "a<b>&c"


def test_statistics_have_a_panel_each(page):
    chart = drawn(page, "#suites .chart")
    panels = chart.evaluate(
        "chart => Object.entries(chart.layout).filter(([name]) => name.startsWith('xaxis'))"
        ".map(([, axis]) => [axis.title.text, ...axis.domain])"
    )
    assert [name for name, *_ in panels] == ["IQM", "mean", "median", "optimality gap"]
    assert all(end < start for (_, _, end), (_, start, _) in pairwise(panels))


def test_a_method_can_be_left_out_everywhere(page):
    lines(page, ONE)
    page.get_by_label("fql", exact=True).uncheck()
    assert lines(page, ONE) == ["fac (2)"]
    heads = page.locator("#ogbench-scores thead th")
    assert [heads.nth(i).is_visible() for i in range(3)] == [True, True, False]
    assert page.locator("#ogbench-aggregates tbody tr:visible").count() == 1
    page.get_by_label("fql", exact=True).check()
    assert lines(page, ONE) == ["fac (2)", "fql (2)"]
    assert page.locator("#ogbench-aggregates tbody tr:visible").count() == 2


def test_tasks_are_filtered_by_part_of_their_name(page):
    page.get_by_role("searchbox", name="Tasks").fill("task2")
    assert page.locator("#curves .chart:visible").count() == 1
    assert page.locator("#ogbench-scores tbody tr:visible").count() == 1
    assert not page.locator(f"#task-{ONE}").is_visible()
    assert page.locator(f"#task-{TWO}").is_visible()


def test_what_the_task_filter_leaves_unfiltered_says_so(page):
    notes = page.locator(".unfiltered")
    assert notes.count() == 3  # aggregates, probability of improvement, charts
    assert page.locator("#ogbench-aggregates .unfiltered").count() == 1
    assert page.locator(".unfiltered:visible").count() == 0
    page.get_by_role("searchbox", name="Tasks").fill("task2")
    assert page.locator(".unfiltered:visible").count() == 3
    assert "--tasks" in notes.first.text_content()
    page.get_by_role("searchbox", name="Tasks").fill("cube")
    assert page.locator(".unfiltered:visible").count() == 0


def test_curves_over_time(page):
    lines(page, TWO)
    page.get_by_label("time of training").check()
    chart = page.locator(f"#curves .chart[data-task='{TWO}']")
    assert chart.evaluate("chart => chart.data[1].x") == [2, 4, 6]  # 300 steps at 50 per second
    assert chart.evaluate("chart => chart.layout.xaxis.title.text") == "seconds of training"


def test_long_times_are_in_hours_and_curves_without_times_are_counted(open_page, make_run):
    make_run("fac", rate=0.02)
    make_run("fql", rate=None)
    page = open_page()
    page.get_by_label("time of training").check()
    assert lines(page, ONE) == ["fac (1)"]
    chart = page.locator("#curves .chart")
    assert chart.evaluate("chart => chart.data[1].x.map(value => Math.round(value * 3600))") == [5_000, 10_000, 15_000]
    title = chart.evaluate("chart => chart.layout.xaxis.title.text")
    assert title == "hours of training (left out: 1 without times)"
    page.get_by_label("fac", exact=True).uncheck()
    assert "no times are known" in chart.text_content()


def test_nothing_can_be_uploaded(page):
    chart = drawn(page, "#curves .chart")
    buttons = chart.locator(".modebar-btn").evaluate_all("all => all.map(button => button.dataset.title)")
    assert "Download plot as a PNG" in buttons
    assert not [title for title in buttons if any(word in title.lower() for word in ("share", "cloud", "edit"))]
    assert chart.evaluate("chart => [chart._context.showSendToCloud, chart._context.plotlyServerURL]") == [False, ""]


@pytest.mark.parametrize("selector", ["#curves .chart", "#suites .chart"])
def test_the_buttons_of_a_chart_cover_neither_title_nor_lines(page, selector):
    chart = drawn(page, selector)
    chart.hover(force=True)
    title, bar = chart.locator(".gtitle").bounding_box(), chart.locator(".modebar").bounding_box()
    area = chart.locator(".nsewdrag").first.bounding_box()
    assert title["y"] + title["height"] <= bar["y"]
    assert bar["y"] + bar["height"] <= area["y"]


def test_error_bars_have_the_colour_of_their_method(page):
    chart = drawn(page, "#suites .chart")
    colours = chart.locator(".xerror").evaluate_all("bars => bars.map(bar => getComputedStyle(bar).stroke)")
    assert len(colours) == 8  # two methods, four statistics
    assert set(colours) == {"rgb(0, 114, 178)", "rgb(213, 94, 0)"}


def test_the_rule_of_the_scores_is_named(page):
    assert "points by the rule “last”" in drawn(page, "#suites .chart").locator(".gtitle").text_content()
    profile = drawn(page, "#suites .chart:nth-child(2)")
    assert profile.locator(".xtitle").text_content() == "score in points, by the rule “last”"


def test_many_methods_leave_room_to_read(open_page, make_run):
    for i in range(30):
        make_run("fac", agent_options={"hidden_dims": [i] * 8, "widths": [i] * 10})
    make_run("dac", state="failed")
    page = open_page()
    assert page.locator("#methods input").count() == 30
    for width, height in ((1400, 900), (800, 900), (500, 700)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.locator("#filters").bounding_box()["height"] < 0.4 * height
        page.locator("#methods input").last.click()  # scrolled to inside the filters
        assert page.locator("#filters").bounding_box()["height"] < 0.4 * height
        page.get_by_role("link", name="1 left out").click()
        page.wait_for_timeout(1_000)  # charts that come into view are drawn
        bar, heading = page.locator("#filters").bounding_box(), page.locator("#left-out h2").bounding_box()
        assert bar["y"] == 0
        assert bar["height"] <= heading["y"] < height - heading["height"]


def test_a_swatch_shows_the_line_of_the_charts(open_page, make_run):
    for i in range(30):
        make_run(f"agent{i:02}")
    page = open_page()
    drawn(page, "#curves .chart")
    traces = page.locator("#curves .chart").evaluate(
        "chart => chart.data.filter(trace => trace.name).map(({ line, marker: { symbol } }) => ({ ...line, symbol }))"
    )
    dashes = page.locator(".swatch path:first-child").evaluate_all(
        "all => all.map(path => [path.getAttribute('stroke'), path.getAttribute('stroke-dasharray')])"
    )
    assert [[line["color"], line["dash"].replace("solid", "none")] for line in traces] == dashes
    shapes = page.locator(".swatch path:last-child").evaluate_all("all => all.map(path => path.getAttribute('d'))")
    assert len(set(shapes)) == len({line["symbol"] for line in traces}) == 2
    assert len({tuple(line.values()) for line in traces}) == 30


def test_all_methods_are_ticked_or_none(page):
    charts = [drawn(page, f"#suites .chart:nth-child({n})") for n in (1, 2)] + [drawn(page, "#curves .chart")]
    page.get_by_role("button", name="none").click()
    assert page.locator("#methods input:checked").count() == 0
    for chart in charts:
        assert "no method is ticked" in chart.text_content()
        assert chart.locator(".xtick, .ytick").count() == 0
    page.get_by_label("fql", exact=True).check()
    assert lines(page, ONE) == ["fql (2)"]
    page.get_by_role("button", name="all", exact=True).click()
    assert page.locator("#methods input:checked").count() == 2
    assert lines(page, ONE) == ["fac (2)", "fql (2)"]
    assert "no method" not in "".join(chart.text_content() for chart in charts)


def test_what_has_no_rows_is_not_filtered_away(open_page, make_run):
    make_run("flow_t", "Hopper-v4", semantics={"suite": "gymnasium", "score": "return"})
    page = open_page()
    section = page.locator("#gymnasium-aggregates")
    for words in ("Hopper", "nothing", ""):
        page.get_by_role("searchbox", name="Tasks").fill(words)
        assert "Nothing to aggregate." in section.text_content()
        assert section.is_visible()
    page.get_by_role("button", name="none").click()
    assert section.is_visible()


def test_the_task_filter_knows_all_tables_and_no_capitals(page):
    page.get_by_role("searchbox", name="Tasks").fill("TASK2")
    assert page.locator("#curves .chart:visible").count() == 1
    assert page.locator("#runs tbody tr:visible").count() == 4
    assert page.locator("#runs tbody tr").count() == 8
    published = page.locator("#published tbody tr:visible th").all_text_contents()
    assert TWO in published
    assert ONE not in published
    assert "cube-single-play-singletask-task{1..5}-v0" in published
    page.get_by_role("searchbox", name="Tasks").fill("success")
    assert page.locator("#ogbench-scores").is_hidden()  # what a score is, is no name of a task


def test_headers_stand_above_their_columns(page):
    for name in ("left-out", "runs", "published", "run-scores", "ogbench-scores"):
        head, row = (f"#{name} {part} tr:first-child > *" for part in ("thead", "tbody"))
        align = "all => all.map(cell => getComputedStyle(cell).textAlign)"
        assert page.locator(head).evaluate_all(align) == page.locator(row).evaluate_all(align)
    assert page.locator("#runs thead th").nth(1).evaluate("cell => getComputedStyle(cell).textAlign") == "left"
