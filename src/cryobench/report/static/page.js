// The page itself: what data scripts call, plots drawn when they come into view, sorting, selectors, links.
"use strict";

window.cryobench = {
  data: null,
  surfaces: [],
  moved: [], // surfaces of means moved along components
  receiveData(value) { this.data = value; },
  receiveSurfaces(value) { this.surfaces = value; },
  receiveMoved(value) { this.moved = value; },
};

// Draw a plot once, when it is near the viewport; if it cannot be drawn, show the error instead.
cryobench.waiting = new Map();
cryobench.drawInView = function (element, draw) {
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) drawNow();
  }, { rootMargin: "300px" });
  const drawNow = () => {
    observer.disconnect();
    cryobench.waiting.delete(element);
    return cryobench.attempt(element, draw);
  };
  cryobench.waiting.set(element, drawNow);
  observer.observe(element);
};

// Before printing, draw everything that was not near the viewport.
cryobench.drawAll = () => Promise.all([...cryobench.waiting.values()].map((drawNow) => drawNow()));
addEventListener("beforeprint", cryobench.drawAll);

cryobench.attempt = async function (element, draw) {
  try {
    await draw(element);
    element.dataset.drawn = "yes";
  } catch (error) {
    console.error(`cryobench: ${element.dataset.plot || "surface"} could not be drawn:`, error);
    const note = document.createElement("p");
    note.className = "failed";
    note.textContent = `This plot could not be drawn: ${error.message}`;
    element.replaceChildren(note);
  }
};

// Sort the rows of every body of a board by a column; unmeasured cells, and scores of failed runs, stay last.
cryobench.sortBoard = function (header, order) {
  const column = header.cellIndex;
  const table = header.closest("table");
  const direction = order === "ascending" ? 1 : -1;
  const read = (row) => {
    const cell = row.cells[column];
    if (!cell) return null;
    if (cell.tagName === "TH") return cell.textContent.trim().toLowerCase();
    return cell.dataset.sort ? Number(cell.dataset.sort) : null;
  };
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    rows.sort((first, second) => {
      const [a, b] = [read(first), read(second)];
      if (a === null || b === null) return (a === null) - (b === null);
      return direction * (typeof a === "string" ? a.localeCompare(b) : a - b);
    });
    body.append(...rows);
  }
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", order);
};

cryobench.setUpBoard = function () {
  for (const button of document.querySelectorAll(".board thead button")) {
    button.addEventListener("click", () => {
      const header = button.closest("th");
      const now = header.getAttribute("aria-sort");
      const opposite = { ascending: "descending", descending: "ascending" };
      cryobench.sortBoard(header, opposite[now] || button.dataset.order);
    });
  }
};

// Tables wider than their place say that they can be scrolled.
cryobench.setUpTables = function () {
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) target.classList.toggle("wide", target.scrollWidth > target.clientWidth);
  });
  for (const place of document.querySelectorAll(".scroll")) observer.observe(place);
};

cryobench.setUpSlices = function () {
  const choice = document.getElementById("slice-query");
  if (!choice) return;
  const show = () => {
    for (const set of document.querySelectorAll(".slice-set")) set.hidden = set.dataset.particle !== choice.value;
  };
  choice.addEventListener("change", show);
  show();
};

// A link to a run record opens it; the link of the section in view is marked.
cryobench.setUpLinks = function () {
  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  window.addEventListener("hashchange", open);
  open();
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const link = links.get(entry.target.id);
      if (!link || !entry.isIntersecting) continue;
      for (const other of links.values()) other.removeAttribute("aria-current");
      link.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-30% 0px -60% 0px" });
  for (const section of document.querySelectorAll("main section")) observer.observe(section);
};
