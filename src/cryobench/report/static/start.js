// Runs last, when all data have been received.
"use strict";

cryobench.setUpBoard();
cryobench.setUpTables();
cryobench.setUpSlices();
cryobench.setUpLinks();
cryobench.setUpPlots();
cryobench.setUpSurfaces();
document.documentElement.dataset.ready = "yes";
