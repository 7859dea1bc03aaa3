// Spectra, collective variables and components on the data set's card.
"use strict";

(() => {
  const BLUE = "#3b8bc4";
  const data = () => cryobench.data;
  const frequency = () => cryobench.axis("spatial frequency / Å⁻¹");
  const logarithmic = (title) => cryobench.axis(title, { type: "log", exponentformat: "power", dtick: 1, tickfont: { size: 9.5 } });

  cryobench.plots.spectra = (element) => {
    const spectra = data().spectra;
    const curves = [
      ["images", "images", { color: BLUE }], ["noise", "noise", { color: cryobench.colour("muted"), dash: "dash" }],
      ["signal", spectra.from_truth ? "signal" : "images less noise", { color: "#E69F00" }],
    ];
    const traces = curves.map(([key, name, line]) => ({
      type: "scatter", mode: "lines", name, x: spectra.frequency, y: spectra[key], line: { width: 1.8, ...line },
      hovertemplate: `${name}<br>%{x:.4f} Å⁻¹: %{y:.3g}<extra></extra>`,
    }));
    const layout = cryobench.layout({
      showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 11.5 } },
      xaxis: frequency(), yaxis: logarithmic("power"),
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  cryobench.plots.snr = (element) => {
    const spectra = data().spectra;
    const trace = {
      type: "scatter", mode: "lines", x: spectra.frequency, y: spectra.snr, line: { width: 1.8, color: "#009E73" },
      hovertemplate: "%{x:.4f} Å⁻¹: %{y:.3g}<extra></extra>",
    };
    const one = { type: "line", xref: "paper", x0: 0, x1: 1, y0: 1, y1: 1, line: { width: 1, dash: "dot", color: cryobench.colour("muted") } };
    const layout = cryobench.layout({ shapes: [one], xaxis: frequency(), yaxis: logarithmic("signal-to-noise ratio") });
    return Plotly.react(element, [trace], layout, cryobench.config);
  };

  cryobench.plots.variable = (element) => {
    const table = data().variables[Number(element.dataset.item)];
    const turn = table.period === null ? {} : { range: table.range, dtick: table.period / 4, tick0: 0 };
    const layout = cryobench.layout({
      xaxis: cryobench.axis(cryobench.escape(table.title), { showgrid: false, ...turn }), yaxis: cryobench.axis("particles"),
    });
    return Plotly.react(element, [{
      type: "bar", x: table.middle, y: table.count, width: table.width, marker: { color: BLUE, line: { width: 0.6, color: cryobench.colour("card") } },
      hovertemplate: "%{x:.4g}<br>%{y} particles<extra></extra>",
    }], layout, cryobench.config);
  };

  cryobench.plots.pair = (element) => {
    const pair = data().pair;
    const [first, second] = pair.titles.map(cryobench.escape);
    const trace = {
      type: "scatter", mode: "markers", x: pair.first, y: pair.second, customdata: pair.particle,
      marker: { size: pair.particle.length > 1500 ? 3 : 4, color: BLUE, opacity: 0.65 },
      hovertemplate: "particle %{customdata}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
    };
    const layout = cryobench.layout({ xaxis: cryobench.axis(first), yaxis: cryobench.axis(second) });
    return Plotly.react(element, [trace], layout, cryobench.config);
  };

  cryobench.plots.occupancies = (element) => {
    const table = data().occupancies;
    const places = (names) => ({ tickvals: names.map((_, i) => i), ticktext: names.map((name) => cryobench.shorten(name, 18)), ticks: "", showgrid: false });
    element.style.height = `${Math.max(260, 140 + 17 * table.components.length)}px`;
    const trace = {
      type: "heatmap", z: table.values, colorscale: "Cividis", zmin: 0, zmax: 1, xgap: 1, ygap: 1, colorbar: cryobench.colourBar("occupancy"),
      text: table.values.map((row, i) => row.map((value, j) => `${cryobench.escape(table.components[i])} in ${cryobench.escape(table.states[j])}: ${value}`)),
      hovertemplate: "%{text}<extra></extra>",
    };
    const layout = cryobench.layout({
      xaxis: cryobench.axis("state", { ...places(table.states), tickangle: -90, tickfont: { size: 10.5 } }),
      yaxis: cryobench.axis("", { ...places(table.components), autorange: "reversed", tickfont: { size: 10.5 } }),
    });
    return Plotly.react(element, [trace], layout, cryobench.config);
  };

  cryobench.plots.assembly = (element) => {
    const graph = data().assembly;
    const most = Math.max(1, ...graph.particles);
    const [low, high] = [Math.min(...graph.y), Math.max(...graph.y)];
    element.style.height = `${Math.min(560, 210 + 75 * (high - low))}px`;
    const trace = {
      type: "scatter", mode: "markers+text", x: graph.x, y: graph.y, text: graph.name.map((name) => cryobench.shorten(name, 16)), textposition: "top center",
      textfont: { size: 10.5 }, customdata: graph.particles, cliponaxis: false,
      marker: { color: BLUE, size: graph.particles.map((count) => 8 + 18 * Math.sqrt(count / most)), opacity: 1 },
      hovertemplate: "%{text}<br>%{customdata} particles<br>%{x} components<extra></extra>",
    };
    const annotations = graph.edges.map(([from, to]) => ({
      ax: graph.x[from], ay: graph.y[from], x: graph.x[to], y: graph.y[to], xref: "x", yref: "y", axref: "x", ayref: "y",
      showarrow: true, arrowhead: 2, arrowsize: 1, arrowwidth: 1.2, arrowcolor: cryobench.colour("muted"), standoff: 9, startstandoff: 9, text: "",
    }));
    const layout = cryobench.layout({
      annotations, xaxis: cryobench.axis("components present", { showgrid: false }),
      yaxis: { visible: false, range: [low - 0.6, high + 0.8] },
    });
    return Plotly.react(element, [trace], layout, cryobench.config);
  };
})();
