// The boxes over a film: drawn, picked, moved, resized and made with mouse, pen or keys.
const SVG = "http://www.w3.org/2000/svg";
const MIN_SIDE = 1;
const CROWDED = 12;
const SMALL = 480;
const HANDLES = { nw: [0, 0], n: [0.5, 0], ne: [1, 0], e: [1, 0.5], se: [1, 1], s: [0.5, 1], sw: [0, 1], w: [0, 0.5] };

function svg(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// A box in order, inside the image, at least a pixel wide and high.
function tidied([x0, y0, x1, y1], { width, height }) {
  const side = (low, high, end) => {
    const from = Math.max(0, Math.min(low, high, end - MIN_SIDE));
    return [from, Math.min(end, Math.max(low, high, from + MIN_SIDE))];
  };
  const [left, right] = side(x0, x1, width);
  const [top, bottom] = side(y0, y1, height);
  return [left, top, right, bottom].map((each) => Math.round(each * 100) / 100);
}

// A box moved as a whole, stopped at the borders.
function moved([x0, y0, x1, y1], dx, dy, { width, height }) {
  const x = Math.min(Math.max(dx, -x0), width - x1), y = Math.min(Math.max(dy, -y0), height - y1);
  return tidied([x0 + x, y0 + y, x1 + x, y1 + y], { width, height });
}

// A box with the sides moved that a handle holds.
function resized([x0, y0, x1, y1], handle, dx, dy, size) {
  const by = (side, distance) => (handle.includes(side) ? distance : 0);
  return tidied([x0 + by("w", dx), y0 + by("n", dy), x1 + by("e", dx), y1 + by("s", dy)], size);
}

function markName(mark, kinds) {
  const who = mark.source === "model" ? `Mark ${mark.id.slice(1)}` : "Own box";
  const said = mark.score === null ? "" : `, score ${mark.score.toFixed(2)}`;
  return `${who}, ${kinds[mark.label] ?? "other"}${said}, ${mark.verdict ?? "no verdict"}`;
}

class MarkLayer {
  // `host` answers marks(), isShown(mark), selected, select(id), change(id, fields), add(box), kinds.
  constructor(layer, film, host) {
    this.layer = layer;
    this.film = film;
    this.host = host;
    this.preview = null;
  }

  draw() {
    if (!this.film.info || this.film.view.scale === null) return;
    const marks = this.host.marks().filter((mark) => this.host.isShown(mark));
    this.isCrowded = marks.length > CROWDED;
    this.isSmall = this.film.height < SMALL;
    this.layer.classList.toggle("crowded", this.isCrowded);
    const focused = this.layer.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    const picked = marks.filter((mark) => mark.id === this.host.selected);
    const shapes = [...marks.filter((mark) => mark.id !== this.host.selected), ...picked].map((mark) => this.shape(mark));
    if (this.preview && !this.preview.id) shapes.push(this.outline(this.preview.box, "mark drawing"));
    this.layer.replaceChildren(...shapes);
    if (focused) this.layer.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  corners(box) {
    const [ax, ay] = this.film.toScreen(box[0], box[1]);
    const [bx, by] = this.film.toScreen(box[2], box[3]);
    return { x: Math.min(ax, bx), y: Math.min(ay, by), width: Math.abs(bx - ax), height: Math.abs(by - ay) };
  }

  outline(box, name) {
    const group = svg("g", { class: name });
    group.append(svg("rect", { class: "halo", ...this.corners(box) }), svg("rect", { class: "line", ...this.corners(box) }));
    return group;
  }

  shape(mark) {
    const box = this.preview?.id === mark.id ? this.preview.box : mark.box;
    const isPicked = mark.id === this.host.selected;
    const kind = this.host.kinds[mark.label] ?? "other";
    const group = this.outline(box, `mark ${kind} ${mark.verdict ?? "open"} ${mark.source}${isPicked ? " picked" : ""}`);
    const at = this.corners(box);
    group.dataset.id = mark.id;
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.setAttribute("aria-pressed", String(isPicked));
    group.setAttribute("aria-label", markName(mark, this.host.kinds));
    group.append(svg("rect", { class: "grip", ...at }));
    if (isPicked || !this.isCrowded || mark.source === "reader") group.append(this.label(mark, at, isPicked));
    if (isPicked) group.append(...this.handles(at));
    return group;
  }

  label(mark, at, isPicked) {
    const sign = { accepted: "✓ ", rejected: "✗ " }[mark.verdict] ?? "";
    const name = mark.source === "model" ? mark.id.slice(1) : "own";
    const score = mark.score === null || ((this.isCrowded || this.isSmall) && !isPicked) ? "" : ` · ${mark.score.toFixed(2)}`;
    const text = `${sign}${name}${score}`;
    const width = text.length * 6.7 + 8;
    const x = Math.max(0, Math.min(at.x - 1, this.film.width - width));
    const away = isPicked ? 8 : 0; // clear of the handles
    const isBelow = at.y < 22 + away;
    const y = isBelow ? Math.min(at.y + at.height + 3 + away, this.film.height - 18) : at.y - 20 - away;
    const group = svg("g", { class: "name" });
    const words = svg("text", { x: x + 4, y: y + 12.5 });
    words.textContent = text;
    group.append(svg("rect", { x, y, width, height: 17, rx: 2 }), words);
    return group;
  }

  // A box too small for eight handles has four, outside it: what it marks stays in sight.
  handles(at) {
    const side = 9;
    const isTiny = Math.min(at.width, at.height) < 5 * side;
    const away = isTiny ? side - 2 : 0;
    const names = Object.keys(HANDLES).filter((name) => !isTiny || name.length === 2);
    return names.map((name) => {
      const [u, v] = HANDLES[name];
      const x = at.x - away + (at.width + 2 * away) * u - side / 2;
      const y = at.y - away + (at.height + 2 * away) * v - side / 2;
      const seen = this.film.view.mirrored ? name.replace(/[ew]/, (each) => (each === "e" ? "w" : "e")) : name;
      return svg("rect", { class: `handle ${name}`, "data-handle": seen, x, y, width: side, height: side });
    });
  }

  // The start of a drag on a box or a handle; null where neither is.
  grab(target, x, y) {
    const group = target.closest?.(".mark[data-id]");
    if (!group) return null;
    const mark = this.host.marks().find((each) => each.id === group.dataset.id);
    const wasPicked = this.host.selected === mark.id;
    this.host.select(mark.id);
    const from = this.film.toImage(x, y);
    return { id: mark.id, box: mark.box, from, handle: target.dataset?.handle ?? null, wasPicked };
  }

  // A box follows the pointer once it was picked before, so that picking one never moves it.
  drag(grabbed, x, y) {
    const { handle, from, box } = grabbed;
    if (!handle && !grabbed.wasPicked) return;
    const [ix, iy] = this.film.toImage(x, y);
    const [dx, dy] = [ix - from[0], iy - from[1]];
    const { info } = this.film;
    this.preview = { id: grabbed.id, box: handle ? resized(box, handle, dx, dy, info) : moved(box, dx, dy, info) };
    this.draw();
  }

  rubber(from, x, y) {
    const box = tidied([...this.film.toImage(...from), ...this.film.toImage(x, y)], this.film.info);
    this.preview = { box };
    this.draw();
  }

  // Ends a drag; a box of a few screen pixels was a click.
  drop() {
    const { preview } = this;
    this.preview = null;
    if (preview?.id) this.host.change(preview.id, { box: preview.box, verdict: "accepted" });
    else if (preview) {
      const { width, height } = this.corners(preview.box);
      if (width >= 5 && height >= 5) this.host.add(preview.box);
    }
    this.draw();
  }
}
