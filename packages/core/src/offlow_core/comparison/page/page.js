// Draws the charts of a report, and lets methods and tasks be left out of charts and tables.
"use strict";

const data = JSON.parse(document.getElementById("report-data").textContent);
const looks = new Map(data.methods.map((method) => [method.name, method]));
const shown = new Set(looks.keys());
const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
let axis = "steps";

const layout = (title, x, y) => ({
  title: { text: title, font: { size: 13 }, x: 0, xanchor: "left" },
  margin: { l: 55, r: 10, t: 40, b: 45 },
  height: 320,
  showlegend: false,
  hovermode: "x unified",
  xaxis: { title: { text: x, font: { size: 11 } }, gridcolor: "#eee", zeroline: false },
  yaxis: { title: { text: y, font: { size: 11 } }, gridcolor: "#eee", zeroline: false },
});

// Plotly reads labels as HTML.
const literal = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

// Names with many options would cover the chart that is pointed at.
const short = (name) => literal(name.length > 40 ? `${name.slice(0, 39)}…` : name);

// A line with a band around it, as two traces; the band takes no part in hovering.
function lineAndBand(method, x, line, low, high, text) {
  const { colour, dash } = looks.get(method);
  return [
    {
      x: [...x, ...[...x].reverse()], y: [...high, ...[...low].reverse()], fill: "toself", fillcolor: colour,
      opacity: 0.15, line: { width: 0 }, mode: "lines", hoverinfo: "skip",
    },
    {
      x, y: line, name: text ?? short(method), mode: "lines+markers", line: { color: colour, width: 2, dash }, marker: { size: 4 },
      customdata: low.map((value, i) => [value, high[i]]),
      hovertemplate: "%{y:.1f} [%{customdata[0]:.1f}, %{customdata[1]:.1f}]",
    },
  ];
}

function drawCurves(chart, task) {
  const traces = task.curves
    .filter((curve) => shown.has(curve.method) && !curve[axis].includes(null))
    .flatMap((curve) => lineAndBand(
      curve.method, curve[axis], curve.mean, curve.low, curve.high, `${short(curve.method)} (${curve.seeds})`,
    ));
  const label = axis === "steps" ? "steps" : "seconds of training";
  const nothing = traces.length ? [] : [{ text: "nothing to show", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }];
  Plotly.react(chart, traces, { ...layout(literal(task.name), label, task.score), annotations: nothing }, config);
}

function drawStatistics(chart, suite) {
  const methods = Object.keys(suite.statistics).filter((name) => shown.has(name)).reverse();
  const names = methods.length ? Object.keys(suite.statistics[methods[0]]) : [];
  const traces = names.map((name, i) => {
    const found = methods.map((method) => suite.statistics[method][name]);
    return {
      type: "scatter", mode: "markers", x: found.map((f) => f[0]), y: methods.map(literal), xaxis: i ? `x${i + 1}` : "x", yaxis: "y",
      marker: { size: 10, color: methods.map((method) => looks.get(method).colour) },
      error_x: { type: "data", symmetric: false, array: found.map((f) => f[2] - f[0]), arrayminus: found.map((f) => f[0] - f[1]) },
      customdata: found.map((f) => [f[1], f[2]]),
      hovertemplate: `${name}, %{y}: %{x:.1f} [%{customdata[0]:.1f}, %{customdata[1]:.1f}]<extra></extra>`,
    };
  });
  const width = 1 / Math.max(names.length, 1);
  const axes = Object.fromEntries(names.map((name, i) => [
    i ? `xaxis${i + 1}` : "xaxis", { title: { text: name }, domain: [i * width + 0.02, (i + 1) * width - 0.02], gridcolor: "#eee" },
  ]));
  Plotly.react(chart, traces, {
    ...layout(`${suite.name}: statistics over all tasks, 95% intervals`, "", ""), ...axes, hovermode: "closest",
    height: 130 + 34 * methods.length, yaxis: { automargin: true, type: "category" },
  }, config);
}

function drawProfiles(chart, suite) {
  const traces = Object.entries(suite.profiles)
    .filter(([method]) => shown.has(method))
    .flatMap(([method, profile]) => lineAndBand(method, suite.thresholds, profile.value, profile.low, profile.high));
  for (const trace of traces) if (trace.hovertemplate) {
    trace.mode = "lines";
    trace.hovertemplate = "%{y:.0%} [%{customdata[0]:.0%}, %{customdata[1]:.0%}]";
  }
  Plotly.react(chart, traces, layout(`${suite.name}: performance profile`, "score", "share of runs above it"), config);
}

// Charts are drawn when they come into view: a page may have a hundred.
const charts = [];
const visible = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    const chart = charts.find(({ element }) => element === target);
    if (!chart.drawn) { chart.draw(); chart.drawn = true; }
  }
}, { rootMargin: "300px" });

function addChart(parent, task, draw) {
  const element = document.createElement("div");
  element.className = "chart";
  if (task !== null) element.dataset.task = task;
  parent.append(element);
  charts.push({ element, drawn: false, draw: () => draw(element) });
  visible.observe(element);
}

// Columns and rows that are headed by a method, alone or with its number of seeds, go with it.
const methodOf = (text) => [...looks.keys()].find((name) => text === name || text.startsWith(`${name} (`) && /^ \(\d+ seeds?\)$/.test(text.slice(name.length)));

function filterTables(words) {
  for (const section of document.querySelectorAll("section.table")) {
    const heads = [...section.querySelectorAll("thead th")].map((cell) => methodOf(cell.textContent));
    let rows = 0;
    for (const row of section.querySelectorAll("tr")) {
      const cells = [...row.children];
      cells.forEach((cell, i) => cell.classList.toggle("hidden", heads[i] !== undefined && !shown.has(heads[i])));
      if (cells[0].closest("thead")) continue;
      const method = methodOf(cells[0].textContent);
      const isTask = data.tasks.some(({ name }) => cells[0].textContent.startsWith(name));
      const hide = (method !== undefined && !shown.has(method)) || (isTask && !cells[0].textContent.includes(words));
      row.classList.toggle("hidden", hide);
      rows += !hide;
    }
    const isTask = data.tasks.some(({ name }) => name === section.dataset.title);
    section.classList.toggle("hidden", rows === 0 || (isTask && !section.dataset.title.includes(words)));
  }
}

function update() {
  const words = document.getElementById("task-filter").value.trim();
  filterTables(words);
  for (const chart of charts) {
    const task = chart.element.dataset.task;
    chart.element.classList.toggle("hidden", task !== undefined && !task.includes(words));
    if (chart.drawn) chart.draw();
  }
}

for (const { name, colour } of data.methods) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true, value: name });
  const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
  swatch.style.background = colour;
  label.append(box, swatch, name);
  box.addEventListener("change", () => { shown[box.checked ? "add" : "delete"](name); update(); });
  document.getElementById("methods").append(label);
}
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("task-filter").addEventListener("input", update);
for (const radio of document.querySelectorAll("input[name=axis]")) {
  radio.disabled = data.tasks.every(({ curves }) => curves.every((curve) => curve[radio.value].includes(null)));
  radio.addEventListener("change", () => { axis = radio.value; update(); });
}
for (const suite of data.suites) {
  addChart(document.getElementById("suites"), null, (element) => drawStatistics(element, suite));
  addChart(document.getElementById("suites"), null, (element) => drawProfiles(element, suite));
}
for (const task of data.tasks) addChart(document.getElementById("curves"), task.name, (element) => drawCurves(element, task));
