// Draws the charts of a report, and lets methods and tasks be left out of charts and tables.
"use strict";

const data = JSON.parse(document.getElementById("report-data").textContent);
const looks = new Map(data.methods.map((method) => [method.name, method]));
const shown = new Set(looks.keys());
let axis = "steps";

// Nothing of a report leaves the machine: without the button that uploads a chart, nor an address to upload it to.
const config = {
  displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"],
  showSendToCloud: false, plotlyServerURL: "",
};

// Below the title, the upper margin has room for the buttons.
const layout = (title, x, y) => ({
  title: { text: title, font: { size: 13 }, x: 0, xanchor: "left", y: 1, yanchor: "top", pad: { t: 6 } },
  margin: { l: 55, r: 10, t: 52, b: 45 },
  height: 340,
  showlegend: false,
  hovermode: "x unified",
  xaxis: { title: { text: x, font: { size: 11 } }, gridcolor: "#eee", zeroline: false },
  yaxis: { title: { text: y, font: { size: 11 } }, gridcolor: "#eee", zeroline: false },
});

// Plotly reads labels as HTML.
const literal = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

// Names with many options would cover the chart that is pointed at.
const short = (name) => literal(name.length > 40 ? `${name.slice(0, 39)}…` : name);

// A name in lines of so many letters, as far as its words allow.
function wrapped(name, letters) {
  const lines = [];
  for (const word of name.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length && longer.length <= letters) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.map(literal);
}

function drawNothing(chart, title, why) {
  const reason = shown.size ? why : "no method is ticked";
  Plotly.react(chart, [], {
    ...layout(title, "", ""), height: 160, xaxis: { visible: false }, yaxis: { visible: false },
    annotations: [{ text: reason, showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }],
  }, config);
}

// A line with a band around it, as two traces; the band takes no part in hovering.
function lineAndBand(method, x, line, low, high, text) {
  const { colour, dash, symbol } = looks.get(method);
  return [
    {
      x: [...x, ...[...x].reverse()], y: [...high, ...[...low].reverse()], fill: "toself", fillcolor: colour,
      opacity: 0.15, line: { width: 0 }, mode: "lines", hoverinfo: "skip",
    },
    {
      x, y: line, name: text ?? short(method), mode: "lines+markers", line: { color: colour, width: 2, dash },
      marker: { color: colour, symbol, size: symbol === "circle" ? 4 : 8 },
      customdata: low.map((value, i) => [value, high[i]]),
      hovertemplate: "%{y:.1f} [%{customdata[0]:.1f}, %{customdata[1]:.1f}]",
    },
  ];
}

function drawCurves(chart, task) {
  const ticked = task.curves.filter((curve) => shown.has(curve.method));
  const known = ticked.filter((curve) => !curve[axis].includes(null));
  if (!known.length) {
    drawNothing(chart, literal(task.name), ticked.length ? "no times are known" : "no ticked method has a curve here");
    return;
  }
  const traces = known.flatMap((curve) => lineAndBand(
    curve.method, curve[axis], curve.mean, curve.low, curve.high, `${short(curve.method)} (${curve.seeds})`,
  ));
  const missing = ticked.length - known.length;
  const label = axis === "steps" ? "steps" : `${task.unit} of training${missing ? ` (left out: ${missing} without times)` : ""}`;
  const found = layout(literal(task.name), label, task.score);
  if (axis === "time") found.xaxis.rangemode = "tozero";
  Plotly.react(chart, traces, found, config);
}

// One trace per point: error bars have the colour of their trace.
function estimate([value, low, high], method, row, name, i) {
  return {
    type: "scatter", mode: "markers", x: [value], y: [row], xaxis: i ? `x${i + 1}` : "x", yaxis: "y",
    marker: { size: 10, color: looks.get(method).colour },
    error_x: { type: "data", symmetric: false, array: [high - value], arrayminus: [value - low] },
    customdata: [[low, high]], text: [short(method)],
    hovertemplate: `${name}, %{text}: %{x:.1f} [%{customdata[0]:.1f}, %{customdata[1]:.1f}]<extra></extra>`,
  };
}

function drawStatistics(chart, suite) {
  const title = `${suite.name}: over ${suite.tasks}, in points by the rule “${literal(data.rule)}”, 95% intervals`;
  const methods = Object.keys(suite.statistics).filter((name) => shown.has(name)).reverse();
  if (!methods.length) {
    drawNothing(chart, title, "no ticked method has a score on each of these tasks");
    return;
  }
  const names = Object.keys(suite.statistics[methods[0]]);
  // A row is as high as the name beside it.
  const labels = methods.map((method) => wrapped(method, chart.clientWidth < 900 ? 24 : 36));
  const ends = labels.map((_, row) => labels.slice(0, row + 1).reduce((sum, lines) => sum + 16 * lines.length + 18, 0));
  const rows = ends.map((end, row) => (end + (ends[row - 1] ?? 0)) / 2);
  const traces = names.flatMap((name, i) => methods.map(
    (method, row) => estimate(suite.statistics[method][name], method, rows[row], name, i),
  ));
  const width = 1 / names.length;
  const axes = Object.fromEntries(names.map((name, i) => [
    i ? `xaxis${i + 1}` : "xaxis", { title: { text: name }, domain: [i * width + 0.02, (i + 1) * width - 0.02], gridcolor: "#eee" },
  ]));
  const found = layout(title, "", "");
  Plotly.react(chart, traces, {
    ...found, ...axes, hovermode: "closest", margin: { ...found.margin, b: 60 }, height: 112 + ends.at(-1),
    yaxis: {
      automargin: true, zeroline: false, gridcolor: "#eee", range: [0, ends.at(-1)],
      tickvals: rows, ticktext: labels.map((lines) => lines.join("<br>")),
    },
  }, config);
}

function drawProfiles(chart, suite) {
  const title = `${suite.name}: performance profile over ${suite.tasks}`;
  const traces = Object.entries(suite.profiles)
    .filter(([method]) => shown.has(method))
    .flatMap(([method, profile]) => lineAndBand(method, suite.thresholds, profile.value, profile.low, profile.high));
  if (!traces.length) {
    drawNothing(chart, title, "no ticked method has a score on each of these tasks");
    return;
  }
  for (const trace of traces) if (trace.hovertemplate) {
    trace.marker.maxdisplayed = 12;
    trace.hovertemplate = "%{y:.0%} [%{customdata[0]:.0%}, %{customdata[1]:.0%}]";
  }
  const label = `score in points, by the rule “${literal(data.rule)}”`;
  Plotly.react(chart, traces, layout(title, label, "share of runs above it"), config);
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

// The tasks that a cell is about: one, with or without what its score is, or those of a published number.
const tasksOf = (text) => data.groups[text] ?? data.tasks
  .filter(({ name, score }) => text === name || text === `${name} (${score})`).map(({ name }) => name);

function filterTables(isWanted) {
  for (const section of document.querySelectorAll("section.table")) {
    const names = [...section.querySelectorAll("thead th")].map((cell) => cell.textContent);
    const heads = names.map(methodOf);
    const column = names.findIndex((name) => name === "task" || name === "tasks");
    const rows = [...section.querySelectorAll("tbody tr")];
    for (const row of section.querySelectorAll("tr")) {
      [...row.children].forEach((cell, i) => cell.classList.toggle("hidden", heads[i] !== undefined && !shown.has(heads[i])));
    }
    for (const row of rows) {
      const method = methodOf(row.cells[0].textContent);
      const tasks = column < 0 ? [] : tasksOf(row.cells[column].textContent);
      const isOut = (method !== undefined && !shown.has(method)) || (tasks.length > 0 && !tasks.some(isWanted));
      row.classList.toggle("hidden", isOut);
    }
    const isEmptied = rows.length > 0 && rows.every((row) => row.classList.contains("hidden"));
    section.classList.toggle("hidden", isEmptied || !tasksOf(section.dataset.title).every(isWanted));
  }
}

function update() {
  const words = document.getElementById("task-filter").value.trim().toLowerCase();
  const isWanted = (task) => task.toLowerCase().includes(words);
  filterTables(isWanted);
  const isFiltered = !data.tasks.every(({ name }) => isWanted(name));
  for (const note of document.querySelectorAll(".unfiltered")) note.classList.toggle("hidden", !isFiltered);
  for (const { element, drawn, draw } of charts) {
    const isOut = element.dataset.task !== undefined && !isWanted(element.dataset.task);
    element.classList.toggle("hidden", isOut);
    if (drawn && !isOut) draw();
  }
}

// The line of a method as the charts draw it.
function swatch({ colour, dash, symbol }) {
  const shape = { circle: "M15,5a2,2 0 1,0 4,0a2,2 0 1,0 -4,0z", square: "M13,1h8v8h-8z", "triangle-up": "M17,0l5,9h-10z" }[symbol];
  const found = document.createElement("template");
  found.innerHTML = `<svg class="swatch" width="34" height="10" aria-hidden="true">
    <path d="M0,5h34" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash === "solid" ? "none" : dash}"/>
    <path d="${shape}" fill="${colour}"/></svg>`;
  return found.content;
}

function addMethod(method) {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true, value: method.name });
  label.append(box, swatch(method), method.name);
  box.addEventListener("change", () => { shown[box.checked ? "add" : "delete"](method.name); update(); });
  document.getElementById("methods").append(label);
}

function tickAll(isTicked) {
  for (const box of document.querySelectorAll("#methods input")) {
    box.checked = isTicked;
    shown[isTicked ? "add" : "delete"](box.value);
  }
  update();
}

data.methods.forEach(addMethod);
document.getElementById("all-methods").addEventListener("click", () => tickAll(true));
document.getElementById("no-methods").addEventListener("click", () => tickAll(false));
const filters = document.getElementById("filters");
filters.addEventListener("submit", (event) => event.preventDefault());
new ResizeObserver(() => document.documentElement.style.setProperty("--filters", `${filters.offsetHeight}px`)).observe(filters);
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
