// Latents in the plane, coloured by the truth, or by pose and defocus.
"use strict";

(() => {
  const chosen = (id) => document.getElementById(id);

  cryobench.scaleOf = (colouring) => {
    if (colouring.circular) return cryobench.data.cyclic;
    if (colouring.classes === null) return "Viridis";
    const n = colouring.classes;
    return cryobench.data.discrete.slice(0, n).flatMap((colour, i) => [[i / n, colour], [(i + 1) / n, colour]]);
  };

  cryobench.barOf = (colouring) => {
    const [low, high] = colouring.limits;
    const ticks = colouring.degrees ? { tickvals: [0, 1, 2, 3, 4].map((i) => low + (i * (high - low)) / 4) }
      : colouring.classes !== null ? { tickvals: [...Array(colouring.classes).keys()] } : {};
    return { ...cryobench.colourBar(cryobench.escape(colouring.title)), ...ticks };
  };

  cryobench.plots.latents = (element) => {
    const { latents } = cryobench.data;
    const view = latents.views[element.dataset.run];
    const wanted = document.querySelector("#latent-plane input:checked");
    const umap = view.umap !== null && (!wanted || wanted.value === "umap");
    const [x, y] = umap ? view.umap : view.components;
    const choice = chosen("latent-colour");
    const colouring = choice ? latents.colourings[Number(choice.value)] : null;
    const values = colouring ? view.rows.map((row) => colouring.values[row]) : [];
    const size = x.length > 1500 ? 3.4 : 5.5;
    const particles = view.rows.map((row) => latents.particles[row]);
    const traces = [];
    const part = (rows, marker, words) => ({
      type: "scatter", mode: "markers", x: rows.map((i) => x[i]), y: rows.map((i) => y[i]), marker, showlegend: false,
      customdata: rows.map((i) => [particles[i], values[i] === undefined ? null : values[i]]), hovertemplate: `particle %{customdata[0]}${words}<extra></extra>`,
    });
    const all = x.map((_, i) => i);
    const unknown = all.filter((i) => values[i] === null || values[i] === undefined);
    if (unknown.length) traces.push(part(unknown, { size, color: cryobench.colour("muted"), opacity: 0.5 }, ""));
    if (colouring) {
      const known = all.filter((i) => values[i] !== null);
      traces.push(part(known, {
        size, color: known.map((i) => values[i]), colorscale: cryobench.scaleOf(colouring), cmin: colouring.limits[0], cmax: colouring.limits[1],
        line: { width: size > 4 ? 0.4 : 0, color: cryobench.colour("muted") }, showscale: true, colorbar: cryobench.barOf(colouring),
      }, `<br>${cryobench.escape(colouring.title)}: %{customdata[1]:.4g}`));
    }
    view.series.forEach((series, place) => {
      const [left, right] = umap ? series.umap : series.components;
      const colour = cryobench.data.discrete[place % cryobench.data.discrete.length];
      traces.push({
        type: "scatter", mode: series.joined ? "lines+markers" : "markers", name: cryobench.escape(series.name), x: left, y: right,
        line: { color: colour, width: 2 }, marker: { size: 9, color: colour, symbol: "diamond", line: { width: 1.5, color: cryobench.colour("card") } },
        customdata: series.captions.map((caption, i) => [caption, series.particles[i]]),
        hovertemplate: `${cryobench.escape(series.name)}, volume %{customdata[0]}<br>nearest particle %{customdata[1]}<extra></extra>`,
      });
    });
    const share = (i) => ` (${(100 * view.explained[i]).toFixed(0)} % of variance)`;
    const bare = { showgrid: false, showticklabels: false, ticks: "", showline: true, mirror: true };
    const layout = cryobench.layout({
      ...(view.series.length ? cryobench.legendBelow(element, view.series.map(({ name }) => name), 360) : {}),
      xaxis: umap ? cryobench.axis("UMAP 1", bare) : cryobench.axis(`component 1${share(0)}`),
      yaxis: umap ? cryobench.axis("UMAP 2", bare) : cryobench.axis(`component 2${share(1)}`),
    });
    return Plotly.react(element, traces, layout, cryobench.config);
  };
})();
