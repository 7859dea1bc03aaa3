// Isosurfaces turned together, at one level: those of one query particle, or of a mean moved along a component.
// Meshes are scripts of their own, loaded when they are first shown.
"use strict";

(() => {
  const MOST_SCENES = 8; // browsers keep about sixteen WebGL contexts on one page, phones fewer
  const loading = new Map(); // key -> promise of { half_width, meshes: [decoded ...] }
  const waiting = new Map(); // key -> resolve

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;

  const decode = (mesh, halfWidth) => {
    const packed = new Uint16Array(bytes(mesh.vertices));
    const faces = mesh.index_bytes === 2 ? new Uint16Array(bytes(mesh.faces)) : new Uint32Array(bytes(mesh.faces));
    const column = (array, offset, convert, make) => make.from({ length: array.length / 3 }, (_, i) => convert(array[3 * i + offset]));
    const place = (value) => (value / 65535 * 2 - 1) * halfWidth;
    const [x, y, z] = [0, 1, 2].map((offset) => column(packed, offset, place, Float32Array));
    const [i, j, k] = [0, 1, 2].map((offset) => column(faces, offset, (value) => value, Uint32Array));
    return { x, y, z, i, j, k };
  };

  cryobench.receiveSurface = (key) => (value) => {
    const decoded = { half_width: value.half_width, meshes: value.meshes.map((mesh) => decode(mesh, value.half_width)) };
    waiting.get(key)?.(decoded);
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

  const light = { ambient: 0.42, diffuse: 0.75, specular: 0.18, roughness: 0.6, fresnel: 0.05, facenormalsepsilon: 0, vertexnormalsepsilon: 0 };

  const canDraw = () => {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  };

  // A viewer of sets of panels (query particles, components), whose elements have ids that begin with its name.
  const setUpViewer = (name, sets) => {
    const part = (end) => document.getElementById(`${name}-${end}`);
    if (!part("grid") || !sets.length) return;
    const HOME = { eye: { x: 1.05, y: -1.35, z: 0.85 }, up: { x: 0, y: 0, z: 1 }, center: { x: 0, y: 0, z: 0 } };
    let camera = structuredClone(HOME);
    let linking = false;
    let shownRuns = [];

    const query = () => sets[Number(part("query")?.value ?? 0)];
    const level = () => Number(part("level").value);
    const drawnScenes = () => [...part("grid").querySelectorAll(".scene.js-plotly-plot")];

    const follow = (leader, turned) => {
      if (linking || !turned) return;
      linking = true;
      camera = structuredClone(turned);
      const others = drawnScenes().filter((scene) => scene !== leader);
      Promise.all(others.map((scene) => Plotly.relayout(scene, { "scene.camera": structuredClone(camera) })))
        .finally(() => { linking = false; });
    };

    const look = (next) => {
      camera = next;
      for (const scene of drawnScenes()) Plotly.relayout(scene, { "scene.camera": structuredClone(camera) });
    };

    // Turn the eye about the vertical axis and towards it, in radians, and bring it nearer by a factor.
    const turn = (around, up, factor) => {
      const { x, y, z } = camera.eye;
      const radius = Math.hypot(x, y, z) * factor;
      const azimuth = Math.atan2(y, x) + around;
      const height = Math.min(1.5, Math.max(-1.5, Math.asin(z / Math.hypot(x, y, z)) + up));
      const flat = radius * Math.cos(height);
      look({ ...structuredClone(HOME), eye: { x: flat * Math.cos(azimuth), y: flat * Math.sin(azimuth), z: radius * Math.sin(height) } });
    };

    const draw = async (scene, panel) => {
      const surface = await load(panel.key);
      const mesh = surface.meshes[level()];
      const axis = { visible: false, range: [-surface.half_width, surface.half_width], showspikes: false };
      const trace = {
        type: "mesh3d", ...mesh, color: panel.colour, flatshading: false, hoverinfo: "skip", lighting: light,
        lightposition: { x: -4000, y: -8000, z: 12000 },
      };
      const layout = cryobench.layout({
        margin: { l: 0, r: 0, t: 0, b: 0 }, dragmode: "orbit", uirevision: "keep",
        scene: { xaxis: axis, yaxis: axis, zaxis: axis, aspectmode: "cube", camera: structuredClone(camera), dragmode: "orbit" },
      });
      const isNew = !scene.classList.contains("js-plotly-plot");
      if (isNew) {
        // Of a WebGL scene nothing is left on paper: the picture that it takes the place of is printed.
        const picture = scene.querySelector("img");
        scene.replaceChildren();
        if (picture) {
          picture.className = "on-paper";
          scene.before(picture);
        }
      }
      await Plotly.react(scene, [trace], layout, cryobench.config);
      if (isNew) {
        scene.on("plotly_relayouting", (change) => follow(scene, change["scene.camera"]));
        scene.on("plotly_relayout", (change) => follow(scene, change["scene.camera"]));
      }
      const note = scene.parentElement.querySelector(".note");
      const inside = panel.enclosed ? ` ${panel.enclosed[level()]} nm³` : "";
      note.textContent = mesh.i.length ? inside : " no surface at this level";
    };

    const nameLevel = () => {
      const words = query().levels[level()];
      part("enclosed").textContent = words;
      part("level").setAttribute("aria-valuetext", words);
    };

    const update = () => {
      nameLevel();
      const panels = new Map(query().panels.map((panel) => [panel.slug, panel]));
      return Promise.all([...part("grid").querySelectorAll(".surface")].map((figure) => {
        const panel = panels.get(figure.dataset.run);
        return cryobench.attempt(figure.querySelector(".scene"), (scene) => draw(scene, panel));
      }));
    };

    const place = () => {
      const grid = part("grid");
      for (const scene of drawnScenes()) {
        if (!shownRuns.includes(scene.parentElement.dataset.run)) Plotly.purge(scene);
      }
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
        scene.setAttribute("aria-label", `${panel.label}: surface. Arrow keys turn it, plus and minus zoom.`);
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
      for (const panel of query().panels) {
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
      const panels = query().panels;
      shownRuns = panels.toSorted((a, b) => a.rank - b.rank).slice(0, MOST_SCENES).filter((panel) => panel.rank < 3).map(({ slug }) => slug);
      // Start near enough that the true molecule fills the scene.
      for (const axis of ["x", "y", "z"]) HOME.eye[axis] *= query().zoom;
      camera = structuredClone(HOME);
      place();
      choosers();
      nameLevel();
      if (!canDraw()) {
        part("level").disabled = true;
        part("enclosed").textContent = "this browser has no WebGL: pictures at the middle level";
        part("query")?.addEventListener("change", () => { grid.replaceChildren(); place(); });
        return;
      }
      cryobench.drawInView(grid, update);
      let pending = false;
      part("level").addEventListener("input", () => {
        if (pending) return;
        pending = true;
        requestAnimationFrame(() => { pending = false; update(); });
      });
      part("query")?.addEventListener("change", () => { place(); update(); });
      part("reset").addEventListener("click", () => look(structuredClone(HOME)));
      grid.addEventListener("keydown", (event) => {
        if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        turn(...KEYS[event.key]);
      });
      // Plain scrolling moves the page, not the camera.
      grid.addEventListener("wheel", (event) => { if (!event.ctrlKey && !event.metaKey) event.stopPropagation(); }, { capture: true, passive: true });
    };

    setUp();
  };

  cryobench.setUpSurfaces = () => {
    setUpViewer("surface", cryobench.surfaces);
    setUpViewer("moved", cryobench.moved);
  };
})();
