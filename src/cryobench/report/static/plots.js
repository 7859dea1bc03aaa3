// Plots: Vega-Lite specifications from the page's data, drawn by vega-embed, and the controls that select them.
"use strict";

// Key of a plot's specification: {name} is replaced by the value of the control with that id.
cryobench.keyOf = (element) => element.dataset.spec.replace(/\{([\w-]+)\}/g, (_, id) => {
  const control = document.getElementById(id);
  if (control.tagName === "FIELDSET") return control.querySelector("input:checked").value;
  return control.type === "checkbox" && !control.checked ? "" : control.value;
});

// Panels, and charts with one scale on both axes, cannot adapt to the width of their element by themselves.
cryobench.sized = (spec, width) => {
  if (spec.facet) {
    const columns = Math.min(spec.columns, width < 620 ? 2 : 4);
    const side = Math.floor((width - 90) / columns) - spec.spacing;
    return { ...spec, columns, spec: { ...spec.spec, width: side, height: Math.min(side, 200) } };
  }
  const side = Math.max(120, Math.min(360, width - 75));
  return spec.usermeta?.square ? { ...spec, width: side, height: side } : spec;
};

cryobench.drawPlot = async (element) => {
  const { specs, datasets, config } = cryobench.data;
  const key = cryobench.keyOf(element);
  if (!(key in specs)) throw new Error(`there is no chart named ${key}`);
  element.legends?.disconnect();
  element.chart?.finalize();
  const { ariaLabel } = element; // which Vega replaces
  element.chart = await vegaEmbed(element, { ...cryobench.sized(specs[key], element.clientWidth), datasets }, {
    config, actions: false, renderer: "svg", defaultStyle: false, ast: false, tooltip: { disableDefaultStyle: true, id: "tooltip" },
  });
  element.ariaLabel = ariaLabel;
  cryobench.setUpLegend(element);
};

// Legends that hide and show runs are buttons for the keyboard too. An empty selection shows everything.
cryobench.setUpLegend = (element) => {
  const { view, vgSpec } = element.chart;
  if (!vgSpec.data.some(({ name }) => name === "shown_store")) return;
  element.setAttribute("role", "group"); // the parts of an image have no roles
  const update = () => {
    const shown = view.data("shown_store").map(({ values }) => values[0]);
    for (const name of element.querySelectorAll(".role-legend-label text")) {
      const pressed = !shown.length || shown.includes(name.__data__.datum.value);
      for (let part = name; part !== element; part = part.parentNode) part.removeAttribute("aria-hidden");
      for (const [key, value] of Object.entries({ tabindex: 0, role: "button", "aria-pressed": pressed })) name.setAttribute(key, value);
      name.onkeydown = (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        name.dispatchEvent(new MouseEvent("click", { bubbles: true }));
      };
    }
  };
  view.addDataListener("shown_store", update);
  // Vega hides legends from screen readers, and does so again whenever it draws them.
  element.legends = new MutationObserver(update);
  element.legends.observe(element, { subtree: true, childList: true, attributeFilter: ["aria-hidden"] });
  update();
};

cryobench.setUpPlots = () => {
  const plots = [...document.querySelectorAll(".plot[data-spec]")];
  for (const element of plots) cryobench.drawInView(element, cryobench.drawPlot);
  const redraw = (chosen) => {
    for (const element of plots.filter((each) => each.dataset.drawn && chosen(each))) cryobench.attempt(element, cryobench.drawPlot);
  };
  for (const id of new Set(plots.flatMap((element) => [...element.dataset.spec.matchAll(/\{([\w-]+)\}/g)].map((found) => found[1])))) {
    document.getElementById(id).addEventListener("change", () => redraw((element) => element.dataset.spec.includes(`{${id}}`)));
  }
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    redraw((element) => !element.chart?.spec.autosize);
  });
};
