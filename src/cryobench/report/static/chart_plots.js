// Charts of what metrics measured and runs found: curves, dots with intervals, planes, grids, densities and snapshots, from cryobench.data.charts.
"use strict";

(() => {
  const chartOf = (element) => cryobench.data.charts[element.dataset.item];
  const runOf = (slug) => cryobench.data.runs[slug];
  const fade = (colour, alpha) => {
    const number = parseInt(colour.slice(1), 16);
    return `rgba(${number >> 16},${(number >> 8) & 255},${number & 255},${alpha})`;
  };
  const MOST_AT_ONCE = 5;
  const labelsOf = (slugs) => slugs.map((slug) => runOf(slug).label.slice(0, 28));

  // Runs of a crowded chart that are shown at first: the best methods by the ranking score. Others wait in the legend.
  const firstOf = (slugs) => {
    const methods = slugs.filter((slug) => !runOf(slug).control);
    if (slugs.length <= MOST_AT_ONCE || !methods.length) return new Set(slugs);
    const ranking = cryobench.data.metrics[0];
    const place = (slug) => {
      const value = ranking && ranking.values[slug] ? ranking.values[slug][0] : null;
      return value === null ? Infinity : ranking.lower ? value : -value;
    };
    return new Set(methods.sort((one, other) => place(one) - place(other)).slice(0, MOST_AT_ONCE));
  };

  const axisOf = (axis, extra) => {
    const end = (value) => (axis.logarithmic && value !== null ? Math.log10(value) : value);
    const range = axis.low === null && axis.high === null ? {} : {
      range: [end(axis.low), end(axis.high)], autorange: axis.low === null ? "min" : axis.high === null ? "max" : false,
    };
    const scale = axis.logarithmic ? { type: "log", exponentformat: "power", nticks: 6 } : {};
    return cryobench.axis(cryobench.escape(axis.title), { ...scale, ...range, ...(axis.degrees ? { dtick: 90 } : {}), ...extra });
  };

  // A second axis above that shows one over the first, such as Å over 1/Å.
  const inverseOf = (axis) => {
    const ticks = [1, 2, 3, 4, 5].map((i) => (i * axis.high) / 5);
    return cryobench.axis(cryobench.escape(axis.inverse), {
      overlaying: "x", side: "top", range: [axis.low, axis.high], showgrid: false, tickvals: ticks, ticktext: ticks.map((tick) => String(Number((1 / tick).toPrecision(3)))),
    });
  };

  const markerOf = (slug, size) => {
    const run = runOf(slug);
    return {
      symbol: run.control ? "circle-open" : run.marker, size, color: run.colour,
      line: { width: run.control ? 1.8 : 0, color: run.colour },
    };
  };

  const barsOf = (values, low, high, colour) => (low === null ? undefined : {
    type: "data", symmetric: false, thickness: 1.4, width: 0, color: colour,
    array: values.map((value, i) => (value === null || high[i] === null ? 0 : high[i] - value)),
    arrayminus: values.map((value, i) => (value === null || low[i] === null ? 0 : value - low[i])),
  });

  const stepOf = (places) => {
    const gaps = places.slice(1).map((place, i) => place - places[i]).sort((a, b) => a - b);
    return gaps.length ? gaps[gaps.length >> 1] : 1;
  };

  const referenceLine = (reference, shape) => (reference.shape === "bars"
    ? {
      type: "bar", name: reference.label, x: reference.x, y: reference.y, width: 0.92 * stepOf(reference.x), marker: { color: cryobench.colour("bars") },
      hovertemplate: `${reference.label}: %{y:.4g}<extra></extra>`,
    }
    : {
      type: "scatter", mode: "lines", name: reference.label, x: reference.x, y: reference.y, hovertemplate: `${reference.label}: %{y:.4g}<extra></extra>`,
      line: { color: cryobench.colour("muted"), width: 1.5, dash: reference.shape === "dotted" ? "2px,3px" : "solid", shape: shape === "steps" ? "hvh" : "linear" },
    });

  const bandOf = (series, run, shown) => ({
    type: "scatter", mode: "lines", legendgroup: series.run, showlegend: false, hoverinfo: "skip", fill: "toself", visible: shown,
    x: [...series.x, ...series.x.toReversed()], y: [...series.high, ...series.low.toReversed()], line: { width: 0 }, fillcolor: fade(run.colour, 0.14),
  });

  cryobench.plots.lines = (element) => {
    const chart = chartOf(element);
    const slugs = chart.series.map((series) => series.run);
    const first = chart.shape === "line" ? new Set(slugs) : firstOf([...slugs]);
    const traces = chart.references.map((reference) => referenceLine(reference, chart.shape));
    const step = stepOf((chart.references[0] || chart.series[0]).x);
    chart.series.forEach((series, place) => {
      const run = runOf(series.run);
      const shown = first.has(series.run) ? true : "legendonly";
      const common = { type: "scatter", name: cryobench.shorten(run.label, 28), legendgroup: series.run, visible: shown };
      const words = `${cryobench.shorten(run.label, 40)}<br>%{x:.4g}: %{y:.4g}<extra></extra>`;
      if (chart.shape === "points") {
        const offset = 0.7 * step * ((place + 0.5) / slugs.length - 0.5);
        traces.push({
          ...common, mode: "markers", x: series.x.map((x) => x + offset), y: series.y, marker: markerOf(series.run, 7), customdata: series.x,
          error_y: barsOf(series.y, series.low, series.high, run.colour), hovertemplate: words.replace("%{x:.4g}", "%{customdata}"),
        });
        return;
      }
      if (series.low !== null) traces.push(bandOf(series, run, shown));
      const sparse = chart.x.whole && series.x.length < 40;
      traces.push({
        ...common, mode: sparse ? "lines+markers" : "lines", x: series.x, y: series.y, hovertemplate: words, marker: markerOf(series.run, 5),
        line: { color: run.colour, width: 2, dash: run.dash, shape: chart.shape === "steps" ? "hvh" : "linear" },
      });
    });
    const labels = [...chart.references.map(({ label }) => label), ...labelsOf(slugs)];
    const below = cryobench.legendBelow(element, labels, 300);
    const few = chart.x.whole && Math.max(...chart.series.flatMap(({ x }) => x)) <= 12 ? { dtick: 1 } : {};
    const layout = cryobench.layout({ ...below, xaxis: axisOf(chart.x, { showgrid: false, ...few }), yaxis: axisOf(chart.y, {}) });
    if (chart.x.inverse) {
      // An axis is drawn only if something lies on it.
      traces.push({ type: "scatter", x: [chart.x.low, chart.x.high], y: [null, null], xaxis: "x2", hoverinfo: "skip", showlegend: false });
      Object.assign(layout, { xaxis2: inverseOf(chart.x), margin: { ...below.margin, t: 52 } });
    }
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  cryobench.plots.dots = (element) => {
    const chart = chartOf(element);
    const slugs = chart.series.map((series) => series.run);
    const rows = chart.names.length;
    const labels = [...chart.references.map(({ label }) => label), ...labelsOf(slugs)];
    const { legend, margin } = cryobench.legendBelow(element, labels, 90 + rows * (rows > 12 ? 22 : Math.min(66, 16 + 9 * slugs.length)));
    const traces = chart.references.map((reference) => ({
      type: "scatter", mode: "markers", name: reference.label, x: reference.x, y: reference.y, hovertemplate: `${reference.label}: %{x:.4g}<extra></extra>`,
      marker: { symbol: "line-ns", size: rows > 12 ? 12 : 22, line: { width: 2, color: cryobench.colour("muted") } },
    }));
    chart.series.forEach((series, place) => {
      const run = runOf(series.run);
      const offset = 0.7 * ((place + 0.5) / slugs.length - 0.5);
      traces.push({
        type: "scatter", mode: "markers", name: cryobench.shorten(run.label, 28), x: series.x, y: series.y.map((y) => y + offset), marker: markerOf(series.run, 8),
        error_x: barsOf(series.x, series.low, series.high, run.colour), text: series.y.map((y) => cryobench.escape(chart.names[y])),
        hovertemplate: `${cryobench.shorten(run.label, 40)}<br>%{text}: %{x:.4g}<extra></extra>`,
      });
    });
    const layout = cryobench.layout({
      showlegend: true, legend: { ...legend, itemsizing: "constant" }, margin: { ...margin, l: 20 }, xaxis: axisOf(chart.x, {}),
      yaxis: cryobench.axis("", {
        range: [rows - 0.5, -0.5], tickvals: chart.names.map((_, i) => i), ticktext: chart.names.map((name) => cryobench.shorten(name, 22)), ticks: "", showgrid: false,
      }),
      shapes: chart.names.slice(1).map((_, i) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: i + 0.5, y1: i + 0.5, line: { width: 1, color: cryobench.colour("grid") } })),
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  cryobench.plots.plane = (element) => {
    const chart = chartOf(element);
    const labels = chart.points.map(({ run }) => runOf(run).label.slice(0, 18));
    const below = cryobench.legendBelow(element, labels, Math.min(430, 0.9 * element.clientWidth) + 30);
    const traces = chart.points.map((point) => {
      const run = runOf(point.run);
      const spread = (place) => (point.spread[place] > 0 ? { type: "data", array: [point.spread[place]], color: run.colour, thickness: 1.4, width: 0 } : undefined);
      return {
        type: "scatter", mode: "markers", name: cryobench.shorten(run.label, 18), x: [point.x], y: [point.y], marker: markerOf(point.run, 10),
        error_x: spread(0), error_y: spread(1), hovertemplate: `${cryobench.shorten(run.label, 40)}<br>%{x:.3f}, %{y:.3f}<extra></extra>`,
      };
    });
    traces.unshift({
      type: "scatter", mode: "markers", showlegend: false, x: chart.marks.map((mark) => mark.x), y: chart.marks.map((mark) => mark.y), cliponaxis: false,
      marker: { symbol: "cross-thin", size: 13, line: { width: 1.6, color: cryobench.colour("muted") } }, hoverinfo: "skip",
    });
    const low = Math.min(chart.x.low, chart.y.low);
    const high = Math.max(chart.x.high, chart.y.high);
    const layout = cryobench.layout({
      ...below,
      xaxis: axisOf(chart.x, { constrain: "domain" }), yaxis: axisOf(chart.y, { scaleanchor: "x", constrain: "domain" }),
      shapes: [{ type: "line", x0: low, y0: low, x1: high, y1: high, layer: "below", line: { width: 1, color: cryobench.colour("line") } }],
      annotations: chart.marks.map((mark) => ({
        x: mark.x, y: mark.y, text: mark.run, showarrow: false, xanchor: 2 * mark.x > low + high ? "right" : "left", yanchor: "top",
        xshift: 2 * mark.x > low + high ? -8 : 7, yshift: -1, font: { size: 11, color: cryobench.colour("muted") },
      })),
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  cryobench.plots.grid = (element) => {
    const chart = chartOf(element);
    const ticks = (names, most) => {
      const step = Math.max(1, Math.ceil(names.length / most));
      const places = names.map((_, i) => i).filter((i) => i % step === 0);
      return { tickvals: places, ticktext: places.map((i) => cryobench.shorten(names[i], 16)), showgrid: false };
    };
    element.style.height = chart.rows.length > 24 ? "430px" : "360px";
    const trace = {
      type: "heatmap", z: chart.shares, colorscale: "Cividis", zmin: 0, zmax: 1, colorbar: cryobench.colourBar("share of the row"),
      xgap: chart.columns.length > 40 ? 0 : 0.5, ygap: chart.rows.length > 40 ? 0 : 0.5,
      text: chart.counts.map((row, i) => row.map((count, j) => `state ${cryobench.escape(chart.rows[i])}, class ${cryobench.escape(chart.columns[j])}: ${count} particles`)),
      hovertemplate: "%{text}<br>%{z:.2f} of the state<extra></extra>",
    };
    const layout = cryobench.layout({
      xaxis: axisOf(chart.x, { ...ticks(chart.columns, 14), tickangle: 0 }), yaxis: axisOf(chart.y, { ...ticks(chart.rows, 16), autorange: "reversed" }),
      margin: { l: 50, r: 8, t: 12, b: 48 },
    });
    return Plotly.react(element, [trace], layout, cryobench.config);
  };

  cryobench.plots.density = (element) => {
    const chart = chartOf(element);
    element.style.height = "360px";
    const traces = [{
      type: "heatmap", x: chart.columns, y: chart.rows, z: chart.values, colorscale: "Cividis", zmin: 0, colorbar: cryobench.colourBar("density"),
      hovertemplate: "%{x:.3g}, %{y:.3g}<br>density %{z:.3g}<extra></extra>",
    }];
    if (chart.points !== null) {
      traces.push({
        type: "scatter", mode: "markers", x: chart.points[0], y: chart.points[1], hoverinfo: "skip", marker: { size: 2.5, color: "#ffffff", opacity: 0.35 },
      });
    }
    if (chart.path !== null) {
      const [x, y] = chart.path;
      const line = (color, width) => ({ type: "scatter", mode: "lines", x, y, hoverinfo: "skip", line: { color, width } });
      traces.push(line("#000000", 5), line("#ffffff", 2.5), {
        type: "scatter", mode: "markers", x, y, marker: { size: x.map((_, i) => (i ? 3 : 10)), color: x.map((_, i) => (i ? "#ffffff" : "#000000")), line: { width: x.map((_, i) => (i ? 0 : 2)), color: "#ffffff" } },
        customdata: x.map((_, i) => i + 1), hovertemplate: "path, volume %{customdata}<br>%{x:.3g}, %{y:.3g}<extra></extra>",
      });
    }
    const ends = (places) => [places[0], places[places.length - 1]];
    const layout = cryobench.layout({
      xaxis: axisOf(chart.x, { range: ends(chart.columns), showgrid: false }), yaxis: axisOf(chart.y, { range: ends(chart.rows), showgrid: false }),
      margin: { l: 50, r: 8, t: 12, b: 48 },
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  // Small panels of the same particles at several times, on the same axes.
  cryobench.plots.snapshots = (element) => {
    const chart = chartOf(element);
    const { colouring, particles, places, titles } = chart;
    const columns = Math.min(titles.length, element.clientWidth < 620 ? 2 : 4);
    const rows = Math.ceil(titles.length / columns);
    element.style.height = `${60 + 190 * rows}px`;
    const values = colouring ? colouring.values : particles.map(() => null);
    const all = particles.map((_, i) => i);
    const known = all.filter((i) => values[i] !== null);
    const unknown = all.filter((i) => values[i] === null);
    const layout = { margin: { l: 30, r: 14, t: 26, b: 44 }, annotations: [] };
    const traces = titles.flatMap((title, i) => {
      const number = i ? String(i + 1) : "";
      const left = (i % columns) / columns;
      const top = 1 - Math.floor(i / columns) / rows;
      const bare = { showgrid: false, showticklabels: false, ticks: "", showline: true, mirror: true };
      layout[`xaxis${number}`] = axisOf({ ...chart.x, title: "" }, { ...bare, domain: [left, left + 0.94 / columns], anchor: `y${number}` });
      layout[`yaxis${number}`] = axisOf({ ...chart.y, title: "" }, { ...bare, domain: [top - 0.86 / rows, top], anchor: `x${number}` });
      layout.annotations.push({ text: title, xref: "paper", yref: "paper", x: left, y: top, xanchor: "left", yanchor: "bottom", showarrow: false });
      const [x, y] = places[i];
      const part = (chosen, marker, words) => ({
        type: "scatter", mode: "markers", xaxis: `x${number}`, yaxis: `y${number}`, x: chosen.map((at) => x[at]), y: chosen.map((at) => y[at]), marker: { size: 3, ...marker },
        customdata: chosen.map((at) => [particles[at], values[at]]), hovertemplate: `particle %{customdata[0]}${words}<extra></extra>`,
      });
      const coloured = colouring ? [part(known, { color: known.map((at) => values[at]), coloraxis: "coloraxis" }, `<br>${cryobench.escape(colouring.title)}: %{customdata[1]:.4g}`)] : [];
      return [part(unknown, { color: cryobench.colour("muted"), opacity: 0.5 }, ""), ...coloured].filter((trace) => trace.x.length);
    });
    const side = { xref: "paper", yref: "paper", showarrow: false, font: { size: 12.5 } };
    layout.annotations.push({ ...side, text: chart.x.title, x: 0.5, y: 0, yanchor: "top", yshift: -6 });
    layout.annotations.push({ ...side, text: chart.y.title, x: 0, y: 0.5, xanchor: "right", xshift: -4, textangle: -90 });
    if (colouring) {
      layout.coloraxis = { colorscale: cryobench.scaleOf(colouring), cmin: colouring.limits[0], cmax: colouring.limits[1], colorbar: cryobench.barOf(colouring) };
    }
    return Plotly.react(element, traces, cryobench.layout(layout), cryobench.config);
  };
})();
