// Isosurfaces rotated together, at one level: those of one query particle, or of a mean moved along a component.
// Meshes are scripts of their own, loaded when they are first shown.
"use strict";

(() => {
  const MOST_SCENES = 8; // that fit on a screen and rotate smoothly
  const loading = new Map(); // key -> promise of the decoded meshes, one for each level
  const waiting = new Map(); // key -> resolve

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;

  // Vertices in units of half the box, and triangles.
  const decode = (mesh) => {
    const packed = new Uint16Array(bytes(mesh.vertices));
    const faces = mesh.index_bytes === 2 ? new Uint16Array(bytes(mesh.faces)) : new Uint32Array(bytes(mesh.faces));
    return { places: Float32Array.from(packed, (value) => (value / 65535) * 2 - 1), faces: Uint32Array.from(faces) };
  };

  cryobench.receiveSurface = (key) => (value) => {
    waiting.get(key)?.(value.meshes.map(decode));
  };

  const load = (key) => {
    if (!loading.has(key)) {
      loading.set(key, new Promise((resolve, reject) => {
        waiting.set(key, resolve);
        const script = document.createElement("script");
        script.src = `assets/surfaces/${key}.js`;
        script.onerror = () => reject(new Error(`${script.src} is missing`));
        document.head.append(script);
      }));
    }
    return loading.get(key);
  };

  const KEYS = {
    ArrowLeft: [-0.15, 0, 1], ArrowRight: [0.15, 0, 1], ArrowUp: [0, 0.15, 1], ArrowDown: [0, -0.15, 1],
    "+": [0, 0, 0.9], "=": [0, 0, 0.9], "-": [0, 0, 1 / 0.9],
  };

  // A viewer of sets of panels (query particles, components), whose elements have ids that begin with its name.
  const setUpViewer = (name, sets) => {
    const part = (end) => document.getElementById(`${name}-${end}`);
    if (!part("grid") || !sets.length) return;
    const home = { azimuth: -0.9, height: 0.46, distance: 4 };
    let camera = { ...home };
    let shownRuns = [];

    // A panel of each run, some of which may have no surface in the first set.
    const everyone = [...new Map(sets.flatMap(({ panels }) => panels).map((panel) => [panel.slug, panel])).values()];

    const query = () => sets[Number(part("query")?.value ?? 0)];
    const level = () => Number(part("level").value);
    const scenes = () => [...part("grid").querySelectorAll(".scene")].filter((scene) => scene.show);

    // Each scene is redrawn at most once per animation frame.
    let pending = false;
    const look = (next) => {
      camera = next;
      if (pending) return;
      pending = true;
      requestAnimationFrame(() => {
        pending = false;
        for (const scene of scenes()) scene.show();
      });
    };

    // Rotate the camera in azimuth and elevation, in radians, and scale its distance by a factor.
    const turn = (around, up, factor) => look({
      azimuth: camera.azimuth + around,
      height: Math.min(1.5, Math.max(-1.5, camera.height + up)),
      distance: Math.min(12, Math.max(1.2, camera.distance * factor)),
    });

    const draw = async (scene, panel) => {
      scene.wanted = panel.key;
      const meshes = await load(panel.key);
      if (scene.wanted !== panel.key) return; // another one was chosen in the meantime
      const mesh = meshes[level()];
      let canvas = scene.querySelector("canvas");
      if (!canvas) {
        canvas = document.createElement("canvas");
        scene.replaceChildren(canvas);
      }
      Object.assign(scene, { mesh, show: () => cryobench.drawMesh(canvas, mesh, panel.colour, camera) });
      scene.camera = () => camera;
      scene.show();
      const note = scene.parentElement.querySelector(".note");
      const inside = panel.enclosed ? ` ${panel.enclosed[level()]} nm³` : "";
      note.textContent = mesh.faces.length ? inside : " no surface at this level";
    };

    // One finger or the mouse rotates, two fingers or Ctrl with the wheel zoom.
    const fingers = new Map();
    const follow = (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const now = { x: event.clientX, y: event.clientY };
      fingers.set(event.pointerId, now);
      if (!others.length) return turn((before.x - now.x) * 0.01, (now.y - before.y) * 0.01, 1);
      const apart = (place) => Math.max(1, Math.hypot(place.x - others[0].x, place.y - others[0].y));
      return turn(0, 0, apart(before) / apart(now));
    };

    const nameLevel = () => {
      const words = query().levels[level()];
      part("enclosed").textContent = words;
      part("level").setAttribute("aria-valuetext", words);
    };

    const update = () => {
      if (!cryobench.canDrawMeshes()) return null; // the pictures stay
      nameLevel();
      const panels = new Map(query().panels.map((panel) => [panel.slug, panel]));
      return Promise.all([...part("grid").querySelectorAll(".surface")].map((figure) => {
        const panel = panels.get(figure.dataset.run);
        return cryobench.attempt(figure.querySelector(".scene"), (scene) => draw(scene, panel));
      }));
    };

    const place = () => {
      const grid = part("grid");
      const existing = new Map([...grid.children].map((figure) => [figure.dataset.run, figure]));
      grid.replaceChildren(...query().panels.filter((panel) => shownRuns.includes(panel.slug)).map((panel) => {
        if (existing.has(panel.slug)) return existing.get(panel.slug);
        const figure = document.createElement("figure");
        figure.className = panel.slug === "truth" ? "surface truth" : "surface";
        figure.dataset.run = panel.slug;
        const scene = document.createElement("div");
        scene.className = "scene";
        scene.tabIndex = 0;
        scene.setAttribute("role", "img");
        scene.setAttribute("aria-label", `${panel.label}: surface. Arrow keys rotate it, plus and minus zoom.`);
        const picture = document.createElement("img");
        picture.src = `assets/surfaces/${panel.key}.png`;
        picture.alt = `${panel.label}: surface`;
        scene.append(picture);
        const caption = document.createElement("figcaption");
        const swatch = document.createElement("span");
        swatch.className = "swatch";
        swatch.style.setProperty("--colour", panel.colour);
        const note = document.createElement("span");
        note.className = "note";
        caption.append(swatch, panel.label, note);
        figure.append(scene, caption);
        return figure;
      }));
    };

    const choosers = () => {
      const box = part("runs");
      if (!box) return;
      const limit = () => {
        for (const input of box.querySelectorAll("input:not(:checked)")) input.disabled = shownRuns.length >= MOST_SCENES;
      };
      for (const panel of everyone) {
        const label = document.createElement("label");
        const input = document.createElement("input");
        input.type = "checkbox";
        input.value = panel.slug;
        input.checked = shownRuns.includes(panel.slug);
        input.addEventListener("change", () => {
          shownRuns = [...box.querySelectorAll("input:checked")].map((checked) => checked.value);
          limit();
          place();
          update();
        });
        label.append(input, ` ${panel.label}`);
        box.append(label);
      }
      limit();
    };

    const setUp = () => {
      const grid = part("grid");
      shownRuns = everyone.toSorted((a, b) => a.rank - b.rank).slice(0, MOST_SCENES).filter((panel) => panel.rank < 3).map(({ slug }) => slug);
      // Start at a distance at which the true molecule fills the scene.
      home.distance *= query().zoom;
      camera = { ...home };
      place();
      choosers();
      nameLevel();
      if (!cryobench.canDrawMeshes()) {
        part("level").disabled = true;
        part("enclosed").textContent = "this browser has no WebGL: fixed pictures at the middle level";
        part("query")?.addEventListener("change", () => { grid.replaceChildren(); place(); });
        return;
      }
      cryobench.drawInView(grid, update);
      part("level").addEventListener("input", update);
      part("query")?.addEventListener("change", () => { place(); update(); });
      part("reset").addEventListener("click", () => look({ ...home }));
      grid.addEventListener("keydown", (event) => {
        if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        turn(...KEYS[event.key]);
      });
      grid.addEventListener("pointerdown", (event) => {
        const scene = event.target.closest(".scene");
        if (!scene || event.button) return;
        fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
        scene.setPointerCapture(event.pointerId);
      });
      grid.addEventListener("pointermove", follow);
      for (const end of ["pointerup", "pointercancel"]) grid.addEventListener(end, (event) => fingers.delete(event.pointerId));
      // Plain scrolling moves the page, not the camera.
      grid.addEventListener("wheel", (event) => {
        if (!event.target.closest(".scene") || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        turn(0, 0, Math.exp(0.002 * event.deltaY));
      }, { passive: false });
      new ResizeObserver(() => look(camera)).observe(grid);
    };

    setUp();
  };

  cryobench.setUpSurfaces = () => {
    setUpViewer("surface", cryobench.surfaces);
    setUpViewer("moved", cryobench.moved);
  };
})();
