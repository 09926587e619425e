"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const view = byId("view"), stage = byId("stage"), mark = byId("mark"), readout = byId("readout"), focus = byId("focus");
  const aspect = data.cell_m[0] / data.cell_m[1];
  const values = {}; // key of a layer -> value of each cell, row by row
  const MOST_PX = 80; // of a cell on the screen
  let chosen = data.layers[0].key, picked = null, cell = null;
  let scale = 1, left = 0, top = 0; // height of a cell on the screen, and corner of the map in the view, in px

  // The view: fit, zoom and pan.

  const fitting = () => Math.min(view.clientWidth / (data.whole[0] * aspect), view.clientHeight / data.whole[1]);

  function place() {
    const least = fitting();
    scale = Math.min(Math.max(scale, least), Math.max(MOST_PX, least));
    const inside = (start, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, start)));
    left = inside(left, data.whole[0] * aspect * scale, view.clientWidth);
    top = inside(top, data.whole[1] * scale, view.clientHeight);
    stage.style.width = `${data.whole[0] * aspect * scale}px`;
    stage.style.height = `${data.whole[1] * scale}px`;
    stage.style.transform = `translate(${left}px,${top}px)`;
    view.classList.toggle("zoomed", scale > least * 1.001);
    drawScale();
    drawMark();
  }

  function zoom(times, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const before = scale;
    scale = Math.min(Math.max(scale * times, fitting()), Math.max(MOST_PX, fitting()));
    left = x - ((x - left) * scale) / before;
    top = y - ((y - top) * scale) / before;
    place();
  }

  function showAll() {
    scale = 0;
    place();
  }

  function drawScale() {
    const most = (0.3 * view.clientWidth * data.cell_m[1]) / scale; // in metres
    const power = 10 ** Math.floor(Math.log10(most));
    const length = Math.max(...[1, 2, 5].map((n) => n * power).filter((metres) => metres <= most));
    byId("bar").style.width = `${(length * scale) / data.cell_m[1]}px`;
    byId("length").textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
    byId("scale").hidden = false;
  }

  // The cell under the pointer.

  function drawMark() {
    mark.hidden = cell === null;
    if (cell === null) return;
    const side = Math.max(scale, 8);
    mark.style.width = `${Math.max(scale * aspect, 8)}px`;
    mark.style.height = `${side}px`;
    mark.style.left = `${left + (cell.column + 0.5) * scale * aspect - Math.max(scale * aspect, 8) / 2}px`;
    mark.style.top = `${top + (cell.row + 0.5) * scale - side / 2}px`;
  }

  function lonLat(across, down) {
    if (!data.lonlat.length) return "";
    const n = data.points, x = Math.min(across * (n - 1), n - 1.000001), y = Math.min(down * (n - 1), n - 1.000001);
    const column = Math.floor(x), row = Math.floor(y), u = x - column, v = y - row;
    const at = (r, c, axis) => data.lonlat[r * n + c][axis];
    const mean = (axis) =>
      (at(row, column, axis) * (1 - u) + at(row, column + 1, axis) * u) * (1 - v) +
      (at(row + 1, column, axis) * (1 - u) + at(row + 1, column + 1, axis) * u) * v;
    const longitude = ((((mean(0) + 180) % 360) + 360) % 360) - 180, latitude = mean(1);
    return `${Math.abs(latitude).toFixed(4)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(4)}° ${longitude < 0 ? "W" : "E"}`;
  }

  function line(name, text) {
    const item = document.createElement("p"), label = document.createElement("span"), strong = document.createElement("b");
    label.textContent = `${name} `;
    strong.textContent = text;
    item.append(label, strong);
    return item;
  }

  function show(column, row) {
    cell = { column: Math.min(Math.max(column, 0), data.columns - 1), row: Math.min(Math.max(row, 0), data.rows - 1) };
    const lines = data.layers.map((layer) => {
      const found = values[layer.key];
      if (!found) return line(layer.name, "this browser cannot read it");
      const value = found[cell.row * data.columns + cell.column];
      return line(layer.name, value ? layer.texts[value - 1] : "none");
    });
    const column0 = cell.column * data.thin, row0 = cell.row * data.thin; // in the whole map
    const digits = data.unit === "°" ? 5 : 0;
    const x = data.corner[0] + (column0 + 0.5) * data.cell[0], y = data.corner[1] + (row0 + 0.5) * data.cell[1];
    const middle = lonLat((column0 + 0.5) / (data.whole[0] * data.thin), (row0 + 0.5) / (data.whole[1] * data.thin));
    if (middle) lines.push(line("position", middle));
    lines.push(line(data.crs, `${x.toFixed(digits)}, ${y.toFixed(digits)} ${data.unit}`.trim()));
    lines.push(line("cell", `column ${column0 + 1}, row ${row0 + 1}`));
    readout.replaceChildren(...lines);
    drawMark();
  }

  function inView(x, y) { // coordinates of a point of the window
    const box = view.getBoundingClientRect();
    return [x - box.left - view.clientLeft, y - box.top - view.clientTop];
  }

  function showAt(event) {
    const [x, y] = inView(event.clientX, event.clientY);
    const column = Math.floor((x - left) / (scale * aspect)), row = Math.floor((y - top) / scale);
    if (column >= 0 && row >= 0 && column < data.columns && row < data.rows) show(column, row);
  }

  // Values of a layer, from the bytes of its PNG: palette indices of 8 bits, rows without a filter.

  async function decode(source) {
    const bytes = Uint8Array.from(atob(source.slice(source.indexOf(",") + 1)), (c) => c.charCodeAt(0));
    const numbers = new DataView(bytes.buffer), parts = [];
    if (bytes[24] !== 8 || bytes[25] !== 3) throw new Error("no palette indices of 8 bits");
    for (let at = 8; at < bytes.length; ) {
      const size = numbers.getUint32(at), kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
      if (kind === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + size));
      at += 12 + size;
    }
    const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
    const rows = new Uint8Array(await new Response(stream).arrayBuffer());
    const found = new Uint8Array(data.rows * data.columns);
    for (let row = 0; row < data.rows; row++) {
      const start = row * (data.columns + 1);
      if (rows[start] !== 0) throw new Error("a filtered row");
      found.set(rows.subarray(start + 1, start + 1 + data.columns), row * data.columns);
    }
    return found;
  }

  // Layers, opacity, and the cells of one row of a legend.

  function choose(key) {
    chosen = key;
    picked = null;
    for (const layer of data.layers) {
      byId(`layer-${layer.key}`).hidden = layer.key !== key;
      byId(`legend-${layer.key}`).hidden = layer.key !== key;
    }
    drawFocus();
  }

  function drawFocus() {
    for (const button of document.querySelectorAll(".pick")) button.setAttribute("aria-pressed", String(button === picked));
    focus.hidden = picked === null || !values[chosen];
    if (focus.hidden) return;
    const first = Number(picked.dataset.first), last = Number(picked.dataset.last);
    focus.width = data.columns;
    focus.height = data.rows;
    const pen = focus.getContext("2d"), image = pen.createImageData(data.columns, data.rows);
    values[chosen].forEach((value, at) => {
      if (value < first || value > last) image.data.set([24, 28, 34, 205], 4 * at);
    });
    pen.putImageData(image, 0, 0);
  }

  for (const input of document.querySelectorAll("input[name=layer]")) {
    input.addEventListener("change", () => input.checked && choose(input.value));
  }
  for (const button of document.querySelectorAll(".pick")) {
    button.addEventListener("click", () => {
      picked = picked === button ? null : button;
      drawFocus();
    });
  }
  const opacity = byId("opacity");
  if (opacity) {
    const set = () => {
      byId("over").style.opacity = String(opacity.value / 100);
      byId("percent").textContent = `${opacity.value} %`;
    };
    opacity.addEventListener("input", set);
    set();
  } else {
    byId("over").style.opacity = "1";
  }

  // Pointers (mouse, pen, fingers), wheel and keys.

  const down = new Map(); // pointers that touch: id -> [x, y]
  let moved = 0;

  const spread = () => {
    const [a, b] = [...down.values()];
    return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, distance: Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1])) };
  };
  view.addEventListener("pointerdown", (event) => {
    if (!down.size) moved = 0;
    down.set(event.pointerId, [event.clientX, event.clientY]);
    if (event.pointerType === "mouse") view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") showAt(event);
      return;
    }
    const earlier = down.size > 1 ? spread() : null;
    down.set(event.pointerId, [event.clientX, event.clientY]);
    moved += Math.hypot(event.clientX - before[0], event.clientY - before[1]);
    if (down.size > 2) return;
    if (earlier) {
      const now = spread();
      left += now.x - earlier.x;
      top += now.y - earlier.y;
      zoom(now.distance / earlier.distance, ...inView(now.x, now.y));
    } else if (moved > 4) {
      left += event.clientX - before[0];
      top += event.clientY - before[1];
      place();
    }
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    view.addEventListener(kind, (event) => {
      if (!down.delete(event.pointerId)) return;
      if (kind === "pointerup" && moved <= 4 && !down.size) showAt(event);
    });
  }
  view.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom(Math.exp(-0.0015 * event.deltaY * (event.deltaMode ? 30 : 1)), ...inView(event.clientX, event.clientY));
    },
    { passive: false },
  );
  view.addEventListener("dblclick", (event) => zoom(2, ...inView(event.clientX, event.clientY)));
  view.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (step) {
      const from = cell || { column: data.columns >> 1, row: data.rows >> 1 }, far = event.shiftKey ? 10 : 1;
      show(from.column + step[0] * far, from.row + step[1] * far);
      const x = left + (cell.column + 0.5) * scale * aspect, y = top + (cell.row + 0.5) * scale, edge = 20;
      left += Math.max(0, edge - x) - Math.max(0, x - view.clientWidth + edge);
      top += Math.max(0, edge - y) - Math.max(0, y - view.clientHeight + edge);
      place();
    } else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") showAll();
    else return;
    event.preventDefault();
  });
  byId("in").addEventListener("click", () => zoom(1.5));
  byId("out").addEventListener("click", () => zoom(1 / 1.5));
  byId("all").addEventListener("click", showAll);
  new ResizeObserver(place).observe(view);

  choose(document.querySelector("input[name=layer]:checked").value); // a reloaded page keeps its choice
  showAll();
  const decoded = data.layers.map(async (layer) => {
    values[layer.key] = await decode(byId(`layer-${layer.key}`).src);
  });
  Promise.allSettled(decoded).then(() => document.documentElement.setAttribute("data-ready", ""));
})();
