// Forest plot, quality against cost, FSC curves, classes along the truth.
"use strict";

(() => {
  const chosen = (id) => document.getElementById(id);
  const format = (value, decimals) => (value === null ? "not measured" : value.toFixed(decimals));

  const metricNow = () => {
    const choice = chosen("forest-metric");
    return cryobench.data.metrics.find((metric) => metric.name === choice.value);
  };

  // Runs with a value of this metric, best first. A resolution most curves never reach has no value.
  const measured = (metric) => {
    const usable = ([value, , , n, never]) => value !== null && !(never > 0 && 2 * never >= n);
    const rows = Object.entries(metric.values).filter(([, row]) => usable(row));
    return rows.sort(([, a], [, b]) => (metric.lower ? a[0] - b[0] : b[0] - a[0]));
  };

  const axisTitle = (metric) => (metric.unit ? `${metric.title} / ${metric.unit}` : metric.title);

  const points = (metric, rows, place) => rows.map(([slug, [value, low, high, n]]) => {
    const run = cryobench.data.runs[slug];
    const along = low === null ? [0] : [high - value];
    const back = low === null ? [0] : [value - low];
    const words = `${cryobench.escape(run.label)}<br>${format(value, metric.decimals)} [${format(low, metric.decimals)}, ` +
      `${format(high, metric.decimals)}] ${metric.unit}<br>${n} items`;
    const [x, y, errors] = place(slug, value, along, back);
    return {
      type: "scatter", mode: "markers", name: cryobench.shorten(run.label, 28), x, y, ...errors,
      hovertemplate: `${words}<extra></extra>`,
      marker: {
        symbol: run.control ? "circle-open" : run.marker, size: 10, color: run.colour, line: { width: run.control ? 2.2 : 0, color: run.colour },
      },
    };
  });

  const bar = (slug, array, arrayminus) => ({
    type: "data", symmetric: false, array, arrayminus, color: cryobench.data.runs[slug].colour, thickness: 2, width: 0,
  });

  cryobench.plots.forest = (element) => {
    const metric = metricNow();
    const rows = measured(metric);
    const names = rows.map(([slug]) => cryobench.shorten(cryobench.data.runs[slug].label, 24));
    const traces = points(metric, rows, (slug, value, array, minus) => {
      const height = rows.findIndex(([other]) => other === slug);
      return [[value], [height], { error_x: bar(slug, array, minus) }];
    });
    const absent = Object.keys(cryobench.data.runs).length - rows.length;
    element.style.height = `${Math.max(190, 92 + 34 * rows.length)}px`;
    const layout = cryobench.layout({
      xaxis: cryobench.axis(axisTitle(metric)),
      yaxis: cryobench.axis("", {
        range: [rows.length - 0.4, -0.6], tickvals: rows.map((_, i) => i), ticktext: names, ticks: "", gridcolor: "rgba(0,0,0,0)",
      }),
      annotations: absent ? [{
        text: `not measured, never crossed or failed: ${absent}`, xref: "paper", yref: "paper", x: 1, y: 1.0, xanchor: "right",
        yanchor: "bottom", showarrow: false, font: { size: 11, color: cryobench.colour("muted") },
      }] : [],
      margin: { l: 20, r: 20, t: 24, b: 48 },
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  cryobench.plots.cost = (element) => {
    const metric = metricNow();
    const choice = chosen("cost-kind");
    const cost = cryobench.data.costs.find(({ name }) => !choice || name === choice.value);
    const rows = measured(metric).filter(([slug]) => cost.values[slug] > 0);
    const traces = points(metric, rows, (slug, value, array, minus) => [
      [cost.values[slug]], [value], { error_y: bar(slug, array, minus) },
    ]);
    traces.forEach((trace) => { trace.showlegend = true; });
    const labels = rows.map(([slug]) => cryobench.data.runs[slug].label.slice(0, 28));
    const layout = cryobench.layout({
      ...cryobench.legendBelow(element, labels, 300),
      xaxis: cryobench.axis(cost.title, { type: "log", dtick: 1 }),
      yaxis: cryobench.axis(axisTitle(metric)),
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  const fade = (colour, alpha) => {
    const number = parseInt(colour.slice(1), 16);
    return `rgba(${number >> 16},${(number >> 8) & 255},${number & 255},${alpha})`;
  };

  const single = (run, curve) => {
    const [x, y, customdata] = [[], [], []];
    curve.curves.forEach((values, row) => {
      x.push(...curve.frequency, null);
      y.push(...values, null);
      customdata.push(...values.map(() => curve.particles[row]), null);
    });
    return {
      type: "scatter", mode: "lines", x, y, customdata, legendgroup: run.label, showlegend: false,
      line: { color: fade(run.colour, 0.45), width: 0.8 },
      hovertemplate: `${cryobench.shorten(run.label, 40)}<br>query particle %{customdata}: %{y:.3f}<extra></extra>`,
    };
  };

  const band = (run, curve) => ({
    type: "scatter", mode: "lines", legendgroup: run.label, showlegend: false, hoverinfo: "skip", fill: "toself",
    x: [...curve.frequency, ...curve.frequency.toReversed()], y: [...curve.high, ...curve.low.toReversed()],
    line: { width: 0 }, fillcolor: fade(run.colour, 0.13),
  });

  cryobench.plots.fsc = (element) => {
    const { fsc, runs } = cryobench.data;
    const mask = document.querySelector("#fsc-mask input:checked").value;
    const showSingle = chosen("fsc-single").checked;
    const traces = [];
    for (const [slug, run] of Object.entries(runs)) {
      const curve = (fsc.runs[slug] || {})[mask];
      if (!curve) continue;
      traces.push(showSingle ? single(run, curve) : band(run, curve));
      traces.push({
        type: "scatter", mode: "lines", x: curve.frequency, y: curve.mean, name: cryobench.shorten(run.label, 28),
        legendgroup: run.label, line: { color: run.colour, width: 2.4, dash: run.dash },
        hovertemplate: "%{y:.3f}",
      });
    }
    // An axis is drawn only if something lies on it.
    traces.push({ type: "scatter", x: [0, 0.5], y: [null, null], xaxis: "x2", hoverinfo: "skip", showlegend: false });
    const ticks = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5];
    const phone = element.clientWidth < 520;
    const line = (level) => ({
      type: "line", x0: 0, x1: 1, xref: "paper", y0: level, y1: level, line: { color: cryobench.colour("muted"), width: 1, dash: "2px,3px" },
    });
    const mark = (level) => ({
      text: String(level), x: 1, xref: "paper", y: level, xanchor: "right", yanchor: "bottom", showarrow: false,
      font: { size: 11, color: cryobench.colour("muted") },
    });
    const lows = traces.flatMap((trace) => (trace.y || []).filter((value) => value !== null));
    const labels = Object.entries(runs).filter(([slug]) => (fsc.runs[slug] || {})[mask]).map(([, run]) => run.label.slice(0, 28));
    const below = cryobench.legendBelow(element, labels, phone ? 380 : 440);
    const layout = cryobench.layout({
      ...below,
      hovermode: showSingle ? "closest" : "x unified",
      hoverlabel: { align: "left", namelength: -1, bgcolor: cryobench.colour("card"), bordercolor: cryobench.colour("line"), font: { color: cryobench.colour("ink") } },
      xaxis: cryobench.axis("spatial frequency / cycles per px", { range: [0, 0.5], hoverformat: ".3f", unifiedhovertitle: { text: "%{x:.3f} cycles/px" } }),
      xaxis2: cryobench.axis("resolution / Å", {
        overlaying: "x", side: "top", range: [0, 0.5], showgrid: false, tickvals: phone ? ticks.filter((_, i) => i % 2) : ticks,
        ticktext: (phone ? ticks.filter((_, i) => i % 2) : ticks).map((tick) => (fsc.pixel_size / tick).toFixed(1)),
      }),
      yaxis: cryobench.axis("Fourier shell correlation", { range: [Math.min(0, ...lows.map((v) => v * 1.05)), 1.03] }),
      shapes: [line(0.5), line(0.143)], annotations: [mark(0.5), mark(0.143)],
      margin: { ...below.margin, t: 52 },
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  cryobench.plots.classes = (element) => {
    const table = cryobench.data.classes[element.dataset.run];
    if (table.names.length > 24) element.style.height = "420px";
    const trace = {
      type: "heatmap", x: table.truth, y: table.names.map((_, i) => i), colorscale: "Cividis", zmin: 0, zmax: 1,
      z: table.share, colorbar: cryobench.colourBar("share"), xgap: 0.5, ygap: 0.5,
      customdata: table.names.map((name) => table.truth.map((_, i) => [name, table.particles[i]])),
      hovertemplate: `class %{customdata[0]}<br>${cryobench.escape(cryobench.data.truth.title)}: %{x}<br>%{z:.2f} of %{customdata[1]} particles<extra></extra>`,
    };
    const step = Math.max(1, Math.ceil(table.names.length / 16));
    const shown = table.names.map((_, i) => i).filter((i) => i % step === 0);
    const layout = cryobench.layout({
      xaxis: cryobench.axis(`true ${cryobench.escape(cryobench.data.truth.title)}`, { showgrid: false, dtick: cryobench.data.truth.period === 360 ? 90 : undefined }),
      yaxis: cryobench.axis("class", { showgrid: false, tickvals: shown, ticktext: shown.map((i) => table.names[i]) }),
      margin: { l: 50, r: 8, t: 12, b: 48 },
    });
    return Plotly.react(element, [trace], layout, cryobench.config);
  };
})();
