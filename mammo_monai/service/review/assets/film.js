// A film on a canvas: grey values in halving sizes, a window, zoom, pan and mirror.
class Pixels {
  // Keeps the films looked at last; a film of 4432 × 2864 is 25 MB.
  constructor(ask, maxBytes = 300e6) {
    this.ask = ask;
    this.maxBytes = maxBytes;
    this.kept = new Map();
    this.bytes = 0;
  }

  get(number, level) {
    const key = `${number}/${level}`;
    const found = this.kept.get(key);
    if (found?.values) {
      this.kept.delete(key);
      this.kept.set(key, found);
    }
    return found;
  }

  // Asks for a size; `then` is called when it is there or cannot be.
  want(number, level, then) {
    const known = this.get(number, level);
    if (known) {
      if (known.waiting) known.waiting.push(then);
      return;
    }
    const entry = { waiting: [then] };
    const key = `${number}/${level}`;
    this.kept.set(key, entry);
    this.ask(`api/images/${number}/pixels?level=${level}`).then(async (answer) => {
      const numbers = (name) => answer.headers.get(name).split(" ").map(Number);
      const [width, height] = numbers("X-Size");
      const values = new Uint16Array(await answer.arrayBuffer());
      Object.assign(entry, { width, height, values, range: numbers("X-Range"), window: numbers("X-Window") });
      this.bytes += values.byteLength;
      this.trim(key);
    }).catch((error) => { entry.fault = error.message; this.kept.delete(key); }).finally(() => {
      const waiting = entry.waiting;
      delete entry.waiting;
      for (const each of waiting) each(entry);
    });
  }

  trim(newest) {
    for (const [key, entry] of this.kept) {
      if (this.bytes <= this.maxBytes) return;
      if (key === newest || !entry.values) continue;
      this.bytes -= entry.values.byteLength;
      this.kept.delete(key);
    }
  }
}

class Film {
  constructor(canvas, pixels, maxLevel, onDraw) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.scratch = document.createElement("canvas");
    this.pixels = pixels;
    this.maxLevel = maxLevel;
    this.onDraw = onDraw;
    this.table = new Uint32Array(65536);
    this.info = null;
    this.fault = "";
  }

  // `view` is kept by the caller for each image: { scale, x, y, window, inverted, mirrored }.
  // `align` is where a film narrower than its pane stands: 0 left, 0.5 in the middle, 1 right.
  show(info, view, align = 0.5) {
    this.info = info;
    this.view = view;
    this.align = align;
    this.fault = info.fault;
    this.tableOf = "";
    this.resize();
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    this.width = box.width;
    this.height = box.height;
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.max(1, Math.round(box.width * this.ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * this.ratio));
    if (this.info && (this.view.scale === null || this.view.isFit)) this.fit();
    this.redraw();
  }

  fit() {
    const { width, height } = this.info;
    const view = this.view;
    if (!width || !this.width) return;
    view.isFit = true;
    view.scale = Math.min(this.width / width, this.height / height) * 0.98;
    view.x = (this.width - width * view.scale) * this.align;
    view.y = (this.height - height * view.scale) / 2;
    this.redraw();
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const view = this.view;
    const scale = Math.min(16, Math.max(0.02, view.scale * factor));
    const by = scale / view.scale;
    view.x = x - (x - view.x) * by;
    view.y = y - (y - view.y) * by;
    view.scale = scale;
    view.isFit = false;
    this.redraw();
  }

  pan(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.view.isFit = false;
    this.redraw();
  }

  centre(x, y) {
    const [sx, sy] = this.toScreen(x, y);
    if (sx > 0 && sy > 0 && sx < this.width && sy < this.height) return;
    this.pan(this.width / 2 - sx, this.height / 2 - sy);
  }

  toScreen(x, y) {
    const { scale, mirrored } = this.view;
    return [this.view.x + (mirrored ? this.info.width - x : x) * scale, this.view.y + y * scale];
  }

  toImage(x, y) {
    const column = (x - this.view.x) / this.view.scale;
    return [this.view.mirrored ? this.info.width - column : column, (y - this.view.y) / this.view.scale];
  }

  windowBy(dx, dy) {
    const [low, high] = this.view.window ?? [0, 65535];
    const width = Math.max(64, (high - low) * Math.exp(dx * 0.005));
    const middle = (low + high) / 2 - dy * (high - low) * 0.003;
    this.view.window = [middle - width / 2, middle + width / 2];
    this.redraw();
  }

  // Centre and width of the window in the unit of the file.
  greyText() {
    const found = this.shownPixels;
    if (!found || !this.view.window) return "";
    const unit = (found.range[1] - found.range[0]) / 65535;
    const [low, high] = this.view.window;
    const centre = found.range[0] + ((low + high) / 2) * unit;
    return `C ${Math.round(centre)}  W ${Math.round((high - low) * unit)}  ${Math.round(this.view.scale * 100)} %`;
  }

  redraw() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      if (this.info) this.draw();
    });
  }

  draw() {
    const { context, canvas } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!this.info.fault && this.view.scale !== null) {
      const found = this.best();
      this.shownPixels = found;
      if (found) this.paint(found, context);
    }
    this.onDraw(this);
  }

  // The smallest size that is sharp enough, or what is there until it comes.
  best() {
    const { number } = this.info;
    const wanted = Math.floor(Math.log2(1 / (this.view.scale * this.ratio)) + 0.05);
    const level = Math.min(this.maxLevel, Math.max(0, wanted));
    const sharp = this.pixels.get(number, level);
    if (sharp?.values) return { ...sharp, level };
    this.pixels.want(number, level, (entry) => {
      if (this.info.number !== number) return;
      if (entry.fault) this.fault = entry.fault;
      this.redraw();
    });
    for (const other of [1, -1, 2, -2, 3, -3, 4, 5, 6]) {
      const near = this.pixels.get(number, level + other);
      if (near?.values) return { ...near, level: level + other };
    }
    return null;
  }

  paint(found, context) {
    const { view, info, ratio } = this;
    view.window ??= found.window;
    this.fillTable();
    const block = 2 ** found.level;
    const [left, top] = this.toImage(view.mirrored ? this.width : 0, 0);
    const [right, bottom] = this.toImage(view.mirrored ? 0 : this.width, this.height);
    const x0 = Math.max(0, Math.floor(left / block)), x1 = Math.min(found.width, Math.ceil(right / block) + 1);
    const y0 = Math.max(0, Math.floor(top / block)), y1 = Math.min(found.height, Math.ceil(bottom / block) + 1);
    if (x1 <= x0 || y1 <= y0) return;
    const part = this.greys(found, x0, y0, x1, y1);
    this.scratch.width = part.width;
    this.scratch.height = part.height;
    this.scratch.getContext("2d").putImageData(part, 0, 0);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    const scale = view.scale * ratio;
    const ends = view.mirrored ? -scale : scale;
    const origin = (view.x + (view.mirrored ? info.width * view.scale : 0)) * ratio;
    context.setTransform(ends, 0, 0, scale, origin, view.y * ratio);
    context.drawImage(this.scratch, x0 * block, y0 * block, (x1 - x0) * block, (y1 - y0) * block);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  greys(found, x0, y0, x1, y1) {
    const part = new ImageData(x1 - x0, y1 - y0);
    const out = new Uint32Array(part.data.buffer);
    const { values, width } = found;
    const { table } = this;
    let at = 0;
    for (let y = y0; y < y1; y += 1) {
      const end = y * width + x1;
      for (let from = y * width + x0; from < end; from += 1) out[at++] = table[values[from]];
    }
    return part;
  }

  fillTable() {
    const [low, high] = this.view.window;
    const name = `${low} ${high} ${this.view.inverted}`;
    if (this.tableOf === name) return;
    this.tableOf = name;
    const by = 255 / (high - low);
    for (let value = 0; value < 65536; value += 1) {
      let grey = Math.min(255, Math.max(0, Math.round((value - low) * by)));
      if (this.view.inverted) grey = 255 - grey;
      this.table[value] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
  }
}
