// The data set's card: CTF, poses, particles of each state.
"use strict";

(() => {
  const BLUE = "#3b8bc4";
  const data = () => cryobench.data;

  const bars = (element, table, title, words, dtick) => Plotly.react(element, [{
    type: "bar", x: table.middle, y: table.count, width: table.width, marker: { color: BLUE, line: { width: 0.6, color: cryobench.colour("card") } },
    hovertemplate: `${words}<br>%{y} particles<extra></extra>`,
  }], cryobench.layout({ xaxis: cryobench.axis(title, { showgrid: false, dtick }), yaxis: cryobench.axis("particles") }), cryobench.config);

  cryobench.plots.defocus = (element) => bars(element, data().ctf.defocus, "defocus / µm", "%{x:.2f} µm");
  cryobench.plots.astigmatism = (element) => bars(element, data().ctf.astigmatism, "astigmatism / nm", "%{x:.0f} nm");
  cryobench.plots.psi = (element) => bars(element, data().poses.psi, "in-plane angle / °", "%{x:.0f}°", 90);

  cryobench.plots.ctf = (element) => {
    const colours = ["#E69F00", "#009E73", BLUE];
    const traces = data().ctf.curves.map((curve, row) => ({
      type: "scatter", mode: "lines", x: curve.frequency, y: curve.value, name: `${curve.defocus.toFixed(2)} µm`,
      line: { width: 1.4, color: colours[row] },
      hovertemplate: `particle ${curve.particle}, ${curve.defocus.toFixed(2)} µm<br>%{x:.4f} Å⁻¹: %{y:.2f}<extra></extra>`,
    }));
    const middle = data().ctf.curves[Math.floor(data().ctf.curves.length / 2)];
    if (middle.envelope.at(-1) < 1) {
      for (const sign of [1, -1]) {
        traces.push({
          type: "scatter", mode: "lines", x: middle.frequency, y: middle.envelope.map((value) => sign * value), hoverinfo: "skip",
          showlegend: false, line: { width: 1, dash: "dot", color: cryobench.colour("muted") },
        });
      }
    }
    const layout = cryobench.layout({
      showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 11.5 } },
      xaxis: cryobench.axis("spatial frequency / Å⁻¹"), yaxis: cryobench.axis("CTF", { range: [-1.05, 1.05] }),
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  cryobench.plots.conventions = (element) => {
    const colours = [BLUE, "#E69F00", cryobench.colour("muted")];
    const traces = data().conventions.map((curve, row) => ({
      type: "scatter", mode: "lines", x: curve.frequency, y: curve.fsc, name: curve.name,
      line: { width: 1.6, color: colours[row] }, hovertemplate: `${curve.name}<br>%{x:.4f} Å⁻¹: %{y:.3f}<extra></extra>`,
    }));
    const layout = cryobench.layout({
      showlegend: true, legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 11.5 } },
      xaxis: cryobench.axis("spatial frequency / Å⁻¹"), yaxis: cryobench.axis("FSC of half-maps", { range: [-0.3, 1.05] }),
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };

  cryobench.plots.directions = (element) => {
    const poses = data().poses;
    const trace = {
      type: "heatmap", x: poses.x, y: poses.y, z: poses.count, customdata: poses.angles, colorscale: "Cividis", zmin: 0, zmax: Math.max(...poses.count.flat().filter((value) => value !== null)),
      colorbar: { ...cryobench.colourBar("particles per cell"), len: 0.8 }, hoverongaps: false,
      hovertemplate: "longitude, latitude %{customdata}<br>%{z} particles in this cell<extra></extra>",
    };
    const bare = { visible: false, fixedrange: true };
    const layout = cryobench.layout({
      xaxis: { ...bare, range: [-2.02, 2.02], constrain: "domain" }, yaxis: { ...bare, range: [-1.02, 1.02], scaleanchor: "x", constrain: "domain" },
      margin: { l: 6, r: 6, t: 6, b: 6 },
    });
    return Plotly.react(element, [trace], layout, cryobench.config);
  };

  cryobench.plots.shifts = (element) => {
    const poses = data().poses;
    const trace = {
      type: "scatter", mode: "markers", x: poses.shift_x, y: poses.shift_y, customdata: poses.particle,
      marker: { size: poses.particle.length > 1500 ? 3 : 4, color: BLUE, opacity: 0.65 },
      hovertemplate: "particle %{customdata}<br>%{x:.2f}, %{y:.2f} Å<extra></extra>",
    };
    const layout = cryobench.layout({
      xaxis: cryobench.axis("shift x / Å"), yaxis: cryobench.axis("shift y / Å", { scaleanchor: "x" }),
    });
    return Plotly.react(element, [trace], layout, cryobench.config);
  };

  cryobench.plots.states = (element) => {
    const states = data().states;
    const layout = cryobench.layout({ xaxis: cryobench.axis("state", { showgrid: false }), yaxis: cryobench.axis("particles") });
    return Plotly.react(element, [{
      type: "bar", x: states.state, y: states.particles, marker: { color: BLUE },
      hovertemplate: "state %{x}<br>%{y} particles<extra></extra>",
    }], layout, cryobench.config);
  };
})();
