"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const trials = JSON.parse(document.getElementById("trials").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const touch = matchMedia("(pointer: coarse)").matches;
const settings = { displayModeBar: false, responsive: true, scrollZoom: false };

// Colours that begin with $ are the page's own: they differ between light and dark.
function coloured(value, style) {
  if (typeof value === "string" && value.startsWith("$")) return style.getPropertyValue("--" + value.slice(1)).trim();
  if (Array.isArray(value)) return value.map((one) => coloured(one, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, style)]));
  }
  return value;
}

function layoutOf(layout, style) {
  const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, zeroline: false, fixedrange: touch };
  const own = coloured(layout, style);
  return {
    ...own,
    autosize: true,
    margin: { l: 56, r: 16, t: 36, b: 48, ...own.margin },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, size: 13, family: getComputedStyle(document.body).fontFamily },
    xaxis: { ...axis, ...own.xaxis },
    yaxis: { ...axis, ...own.yaxis },
    shapes: (own.shapes || []).map((shape) => ({ layer: "below", ...shape, line: { color: line, ...shape.line } })),
    hovermode: "closest",
    hoverlabel: { align: "left" },
    dragmode: touch ? false : "zoom",
    showlegend: own.showlegend ?? true,
  };
}

function tracesOf(data, style) {
  return data.map((trace) => {
    const own = coloured(trace, style);
    if (!own.customdata) return { showlegend: Boolean(own.name), ...own };
    const text = own.customdata.map((number) => trials[number]?.label ?? "");
    const y = own.hovertemplate ? "" : "<br>%{y:.4f}";
    return { ...own, text, hovertemplate: "%{text}" + y + "<extra></extra>" };
  });
}

function draw(element) {
  const figure = figures[element.dataset.figure], style = getComputedStyle(document.documentElement);
  Plotly.react(element, tracesOf(figure.data, style), layoutOf(figure.layout, style), settings);
  if (!element.dataset.drawn) {
    element.on("plotly_click", (event) => show(event.points[0].customdata));
    element.dataset.drawn = "yes";
  }
}

function list(element, values) {
  element.replaceChildren(...Object.entries(values).flatMap(([key, value]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = key;
    text.textContent = value;
    return [term, text];
  }));
}

function curve(trial) {
  const element = document.getElementById("trial-curve"), style = getComputedStyle(document.documentElement);
  const epochs = trial.scores.map((_, place) => place + 1);
  const traces = [
    { x: epochs, y: trial.scores, name: "holdout mIoU", mode: "lines+markers", line: { color: "$blue" } },
    { x: epochs, y: trial.losses, name: "training loss", mode: "lines", yaxis: "y2", line: { color: "$muted", dash: "dot" } },
  ];
  const layout = {
    height: 230,
    legend: { orientation: "h", x: 0, y: 1.05, yanchor: "bottom" },
    margin: { r: 48 },
    xaxis: { title: { text: "epoch" } },
    yaxis2: { overlaying: "y", side: "right", showgrid: false, zeroline: false },
  };
  Plotly.react(element, tracesOf(traces, style), layoutOf(layout, style), settings);
}

function show(number) {
  const trial = trials[number];
  if (!trial) return;
  const text = (id, value) => (document.getElementById(id).textContent = value);
  text("trial-name", trial.name);
  text("trial-status", [trial.best, trial.status, trial.vote].filter(Boolean).join("; "));
  list(document.getElementById("trial-varied"), trial.varied);
  list(document.getElementById("trial-same"), trial.same);
  text("trial-command", trial.command);
  document.getElementById("trial-again").hidden = !trial.command;
  text("trial-run", trial.run ? "Run in MLflow: " + trial.run : "");
  const dialog = document.getElementById("trial");
  if (!dialog.open) dialog.showModal();
  curve(trial);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-trial]");
  if (button) show(button.dataset.trial);
  if (event.target.id === "trial") event.target.close(); // beside the dialog
});
document.getElementById("trial-copy").addEventListener("click", async (event) => {
  const command = document.getElementById("trial-command");
  try {
    await navigator.clipboard.writeText(command.textContent);
    event.target.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(command); // a page opened from disk may not write to the clipboard
    event.target.textContent = "Selected: copy it";
  }
  setTimeout(() => (event.target.textContent = "Copy the command"), 2000);
});

// Charts are drawn when they come near the screen, so that the page is there at once.
const charts = [...document.querySelectorAll(".chart")];
const near = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    near.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: "600px" });
charts.forEach((chart) => near.observe(chart));
dark.addEventListener("change", () => charts.filter((chart) => chart.dataset.drawn).forEach(draw));
addEventListener("beforeprint", () => charts.filter((chart) => !chart.dataset.drawn).forEach(draw));
