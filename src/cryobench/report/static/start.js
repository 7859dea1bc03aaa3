// Runs last, when all data have been received.
"use strict";

cryobench.setUpBoard();
cryobench.setUpSlices();
cryobench.setUpLinks();
for (const element of document.querySelectorAll(".plot[data-plot]")) {
  cryobench.drawInView(element, cryobench.plots[element.dataset.plot]);
}
cryobench.setUpSurfaces();
for (const [id, kinds] of Object.entries({
  "forest-metric": ["forest", "cost"], "cost-kind": ["cost"], "fsc-mask": ["fsc"], "fsc-single": ["fsc"],
  "latent-colour": ["latents"], "latent-plane": ["latents"],
})) {
  document.getElementById(id)?.addEventListener("change", () => cryobench.redraw(kinds));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cryobench.redraw());
document.documentElement.dataset.ready = "yes";
