// Runs last, when all data have been received.
"use strict";

cryobench.setUpBoard();
cryobench.setUpSlices();
cryobench.setUpLinks();
for (const element of document.querySelectorAll(".plot[data-plot]")) {
  cryobench.drawInView(element, cryobench.plots[element.dataset.plot]);
}
cryobench.setUpSurfaces();
document.getElementById("forest-metric")?.addEventListener("change", () => cryobench.redraw(["forest", "cost"]));
document.getElementById("fsc-mask")?.addEventListener("change", () => cryobench.redraw(["fsc"]));
document.getElementById("fsc-single")?.addEventListener("change", () => cryobench.redraw(["fsc"]));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cryobench.redraw());
document.documentElement.dataset.ready = "yes";
