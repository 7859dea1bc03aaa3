// Triangle meshes lit in WebGL. One context draws all of them, one after another, and each is copied to its own canvas.
"use strict";

(() => {
  const VERTEX = `
    attribute vec3 place; attribute vec3 normal; uniform mat4 turn; uniform mat4 project; varying vec3 facing;
    void main() { facing = (turn * vec4(normal, 0.0)).xyz; gl_Position = project * turn * vec4(place, 1.0); }`;
  // Two lights fixed to the viewer, so that no side is black, and a slight specular highlight.
  const FRAGMENT = `
    precision mediump float; uniform vec3 colour; varying vec3 facing;
    void main() {
      vec3 n = normalize(facing); if (n.z < 0.0) n = -n;
      float lamp = max(dot(n, normalize(vec3(-0.45, 0.6, 0.65))), 0.0);
      float fill = max(dot(n, normalize(vec3(0.6, -0.2, 0.7))), 0.0);
      float shine = pow(max(dot(n, normalize(vec3(-0.22, 0.3, 0.92))), 0.0), 24.0);
      gl_FragColor = vec4(colour * (0.44 + 0.58 * lamp + 0.16 * fill) + 0.1 * shine, 1.0);
    }`;
  const FIELD = 0.6; // radian, field of view

  let shared = null;

  const compile = (gl) => {
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    return program;
  };

  // The context of all scenes, or null where the browser has no WebGL. A lost context is recreated at the next drawing.
  const context = () => {
    if (shared && !shared.gl.isContextLost()) return shared;
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { antialias: true });
    if (!gl) return null;
    const program = compile(gl);
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    const name = (kind) => (of) => gl[kind](program, of);
    shared = { canvas, gl, attribute: name("getAttribLocation"), uniform: name("getUniformLocation"), buffers: new WeakMap() };
    return shared;
  };

  cryobench.canDrawMeshes = () => context() !== null;

  // Vertex normals: mean normal of the triangles at each vertex, weighted by area.
  const normalsOf = ({ places, faces }) => {
    const normals = new Float32Array(places.length);
    for (let at = 0; at < faces.length; at += 3) {
      const [a, b, c] = [3 * faces[at], 3 * faces[at + 1], 3 * faces[at + 2]];
      const [ux, uy, uz] = [places[b] - places[a], places[b + 1] - places[a + 1], places[b + 2] - places[a + 2]];
      const [vx, vy, vz] = [places[c] - places[a], places[c + 1] - places[a + 1], places[c + 2] - places[a + 2]];
      const [x, y, z] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
      for (const corner of [a, b, c]) {
        normals[corner] += x;
        normals[corner + 1] += y;
        normals[corner + 2] += z;
      }
    }
    return normals;
  };

  const upload = (mesh) => {
    const { gl, buffers } = shared;
    if (!buffers.has(mesh)) {
      const fill = (kind, values) => {
        const buffer = gl.createBuffer();
        gl.bindBuffer(kind, buffer);
        gl.bufferData(kind, values, gl.STATIC_DRAW);
        return buffer;
      };
      buffers.set(mesh, {
        place: fill(gl.ARRAY_BUFFER, mesh.places), normal: fill(gl.ARRAY_BUFFER, normalsOf(mesh)), faces: fill(gl.ELEMENT_ARRAY_BUFFER, mesh.faces),
      });
    }
    return buffers.get(mesh);
  };

  // Rows of the view matrix: right, up and towards the camera; azimuth and elevation in radians, z is vertical.
  const turnOf = ({ azimuth, height, distance }) => {
    const [ca, sa, ch, sh] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(height), Math.sin(height)];
    return new Float32Array([-sa, -sh * ca, ch * ca, 0, ca, -sh * sa, ch * sa, 0, 0, ch, sh, 0, 0, 0, -distance, 1]);
  };

  const projectOf = (aspect, distance) => {
    const scale = 1 / Math.tan(FIELD / 2);
    const [near, far] = [Math.max(0.05, distance - 3), distance + 3];
    return new Float32Array([scale / Math.max(1, aspect), 0, 0, 0, 0, scale * Math.min(1, aspect), 0, 0, 0, 0, (near + far) / (near - far), -1, 0, 0, (2 * near * far) / (near - far), 0]);
  };

  // Draw a mesh, in units of half the box, into a canvas of the page, as seen from the camera.
  cryobench.drawMesh = (target, mesh, colour, camera) => {
    const { canvas, gl, attribute, uniform } = context();
    const scale = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [target.clientWidth, target.clientHeight].map((side) => Math.max(1, Math.round(side * scale)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (mesh.faces.length) {
      const buffers = upload(mesh);
      for (const name of ["place", "normal"]) {
        gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
        gl.enableVertexAttribArray(attribute(name));
        gl.vertexAttribPointer(attribute(name), 3, gl.FLOAT, false, 0, 0);
      }
      const number = parseInt(colour.slice(1), 16);
      gl.uniform3f(uniform("colour"), (number >> 16) / 255, ((number >> 8) & 255) / 255, (number & 255) / 255);
      gl.uniformMatrix4fv(uniform("turn"), false, turnOf(camera));
      gl.uniformMatrix4fv(uniform("project"), false, projectOf(width / height, camera.distance));
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers.faces);
      gl.drawElements(gl.TRIANGLES, mesh.faces.length, gl.UNSIGNED_INT, 0);
    }
    Object.assign(target, { width, height });
    target.getContext("2d").drawImage(canvas, 0, 0);
  };
})();
