// Mouse, pen and wheel on one film: pick, move and draw boxes, window, zoom and pan.
class PaneInput {
  // `rules` answers tool(), choose(), clear(), isReady().
  constructor(pane, rules) {
    this.pane = pane;
    this.rules = rules;
    this.drag = null;
    const { root } = pane;
    root.addEventListener("pointerdown", (event) => this.down(event));
    root.addEventListener("pointermove", (event) => this.move(event));
    root.addEventListener("pointerup", (event) => this.up(event));
    root.addEventListener("pointercancel", (event) => this.up(event));
    root.addEventListener("contextmenu", (event) => event.preventDefault());
    root.addEventListener("dblclick", () => this.pane.film.fit());
    root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  place(event) {
    const box = this.pane.film.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    const { film, layer, root } = this.pane;
    if (!this.rules.isReady() || film.view.scale === null || film.info.fault) return;
    this.rules.choose();
    const at = this.place(event);
    const drag = { at, from: at };
    if (event.button === 1 || event.button === 2 || PaneInput.space) drag.kind = "pan";
    else if (this.rules.tool() === "draw") drag.kind = "rubber";
    else if ((drag.grabbed = layer.grab(event.target, ...at))) drag.kind = "box";
    else drag.kind = "window";
    this.drag = drag;
    root.setPointerCapture(event.pointerId);
    if (drag.kind !== "box") root.focus({ preventScroll: true });
    event.preventDefault();
  }

  move(event) {
    const { drag } = this;
    if (!drag) return;
    const { film, layer } = this.pane;
    const at = this.place(event);
    const [dx, dy] = [at[0] - drag.at[0], at[1] - drag.at[1]];
    drag.isLong ||= Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) > 3;
    drag.at = at;
    if (!drag.isLong) return;
    if (drag.kind === "pan") film.pan(dx, dy);
    else if (drag.kind === "window") film.windowBy(dx, dy);
    else if (drag.kind === "rubber") layer.rubber(drag.from, ...at);
    else layer.drag(drag.grabbed, ...at);
  }

  up(event) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (event.type === "pointercancel") this.pane.layer.preview = null;
    if (drag.kind === "box" || drag.kind === "rubber") this.pane.layer.drop();
    else if (drag.kind === "window" && !drag.isLong) this.rules.clear();
  }

  wheel(event) {
    event.preventDefault();
    const { film } = this.pane;
    if (film.view.scale !== null) film.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...this.place(event));
  }
}
PaneInput.space = false;
for (const type of ["keydown", "keyup"]) {
  document.addEventListener(type, (event) => {
    if (event.key !== " ") return;
    const isFree = event.target === document.body || event.target.matches(".pane");
    if (isFree) event.preventDefault();
    PaneInput.space = type === "keydown" && isFree;
  });
}
