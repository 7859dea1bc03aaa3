// How plots look: colours of the page in light and dark, shared layout, redrawing when the system's theme changes.
"use strict";

cryobench.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Labels are shown by plotly as a small markup language: show names as they are.
cryobench.escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
cryobench.shorten = (text, length) => cryobench.escape(text.length > length ? text.slice(0, length - 1) + "…" : text);
cryobench.config = { displaylogo: false, responsive: true, displayModeBar: false, plotlyServerURL: "" };

cryobench.axis = function (title, extra) {
  return {
    title: { text: title, font: { size: 12.5 }, standoff: 8 }, automargin: true, gridcolor: cryobench.colour("grid"),
    linecolor: cryobench.colour("line"), zeroline: false, ticks: "outside", ticklen: 4, tickcolor: cryobench.colour("line"),
    ...extra,
  };
};

cryobench.layout = function (extra) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: cryobench.colour("ink") },
    margin: { l: 56, r: 14, t: 12, b: 44 }, hoverlabel: { align: "left", namelength: -1, font: { family: getComputedStyle(document.body).fontFamily } }, showlegend: false,
    ...extra,
  };
};

// A legend below a plot that grows by its rows, so that many runs do not squeeze what is drawn.
cryobench.legendBelow = function (element, labels, height) {
  const widest = Math.max(0, ...labels.map((label) => label.length));
  const columns = Math.max(1, Math.floor((element.clientWidth - 75) / (46 + 6.4 * Math.min(widest, 28))));
  const rows = Math.ceil(labels.length / columns);
  element.style.height = `${height + 20 * rows}px`;
  return {
    showlegend: true, margin: { l: 56, r: 14, t: 12, b: 54 + 20 * rows },
    legend: { orientation: "h", y: 0, yref: "container", yanchor: "bottom", font: { size: 11.5 } },
  };
};

cryobench.colourBar = (title) => ({
  title: { text: title, side: "right", font: { size: 12 } }, thickness: 10, outlinewidth: 0, len: 0.95, tickfont: { size: 11 },
});

// Plots that are drawn again when something they depend on changes.
cryobench.redraw = function (kinds) {
  for (const element of document.querySelectorAll(".plot[data-drawn]")) {
    if (!kinds || kinds.includes(element.dataset.plot)) {
      cryobench.attempt(element, cryobench.plots[element.dataset.plot]);
    }
  }
};
