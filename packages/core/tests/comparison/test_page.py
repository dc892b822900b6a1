"""The report's page in a real browser."""

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise

import pytest

from offlow_core.command import main

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
def page(browser, make_run, tmp_path) -> Iterator:
    """The page of a report of two methods on two tasks, offline; what goes wrong in it fails the test."""
    for agent, gain in (("fac", 1.0), ("fql", 0.5)):
        for task in (ONE, TWO):
            for seed in (0, 1):
                make_run(agent, task, seed, (0.0, 40 * gain, (80 + seed) * gain))
    make_run("dac", state="interrupted")
    main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--title", "</script><b>Cubes</b>"])
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    opened, faults = context.new_page(), []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.on("requestfailed", lambda request: faults.append(request.url))
    opened.goto((tmp_path / "out" / "report.html").as_uri())
    yield opened
    context.close()
    assert faults == []


def lines(page, task: str) -> list[str]:
    """Names of the curves that are drawn for a task, once its chart is in view."""
    chart = page.locator(f"#curves .chart[data-task='{task}']")
    chart.scroll_into_view_if_needed()
    page.wait_for_function("chart => chart.data !== undefined", arg=chart.element_handle())
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


def test_names_are_shown_as_they_are(browser, make_run, tmp_path):
    make_run()
    main(["report", f"a<b>&c={tmp_path / 'runs'}", "--out", str(tmp_path / "out")])
    page = browser.new_page()
    page.goto((tmp_path / "out" / "report.html").as_uri())
    assert lines(page, ONE) == ["a&lt;b>&amp;c (1)"]
    label = page.locator("#suites .chart .ytick text").first
    label.scroll_into_view_if_needed()
    assert label.text_content() == "a<b>&c"
    page.close()


def test_statistics_have_a_panel_each(page):
    chart = page.locator("#suites .chart").first
    chart.scroll_into_view_if_needed()
    page.wait_for_function("chart => chart.data !== undefined", arg=chart.element_handle())
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


def test_curves_over_time(page):
    lines(page, TWO)
    page.get_by_label("time of training").check()
    chart = page.locator(f"#curves .chart[data-task='{TWO}']")
    assert chart.evaluate("chart => chart.data[1].x") == [2, 4, 6]  # 300 steps at 50 per second
    assert chart.evaluate("chart => chart.layout.xaxis.title.text") == "seconds of training"
