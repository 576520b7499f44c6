// The page: opens images, hangs them side by side, takes verdicts, and moves through the list.
(async () => {
  const $ = (id) => document.getElementById(id);
  const server = new Server(document.querySelector("meta[name=review-token]").content);
  const alarm = (text) => { $("alarm").hidden = !text; $("alarm").textContent = text; };
  let overview;
  try {
    overview = await server.json("api/worklist");
  } catch (error) {
    alarm(`The worklist cannot be loaded: ${error.message}`);
    return;
  }
  const kinds = Object.fromEntries(Object.entries(overview.labels).map(([name, label]) => [label, name]));
  const pixels = new Pixels((address) => server.ask(address));
  const states = new Map();
  const views = new Map();
  const list = new Worklist($("list"), overview.images, (number) => open(number));
  let threshold = overview.threshold;
  let current = null;
  let layout = 1;
  let selected = null;
  let tool = "point";
  let showsBoxes = true;
  let panes = [];

  const state = () => states.get(current);
  const marksOf = (number) => states.get(number)?.review.marks ?? [];
  const isShown = (mark) => mark.verdict !== null || mark.score === null || mark.score >= threshold;
  const viewOf = (number) => {
    if (!views.has(number)) views.set(number, { scale: null, x: 0, y: 0, window: null, inverted: false, mirrored: false, isFit: true });
    return views.get(number);
  };
  const pane = () => panes.find((each) => each.number === current);

  // ---- saving ---------------------------------------------------------------------------------------------
  function told(what, image, message) {
    const time = new Date().toLocaleTimeString("en-GB");
    const words = { saving: "Saving …", saved: `Saved ${time}`, waiting: "Not saved yet", conflict: "Not saved", refused: "Not saved" };
    $("saved").textContent = words[what];
    $("saved").className = what === "saved" || what === "saving" ? "" : "bad";
    if (what === "waiting") alarm(`Not saved: ${message} Your changes are kept in this window, which tries again every two seconds.`);
    else if (what === "refused") alarm(`Not saved: ${message}`);
    else if (what === "conflict") conflict(image, message);
    else if (what === "saved") alarm("");
    const row = overview.images[image.info.number];
    row.is_reviewed = image.review.is_reviewed;
    row.revision = image.review.revision;
    row.n_marks = image.review.marks.length;
    row.n_accepted = image.review.marks.filter((mark) => mark.verdict === "accepted").length;
    if (what !== "saving") draw();
  }

  async function conflict(image, message) {
    let choice = "";
    while (!choice) choice = await ask("Changed in another window", `${message} Which of the two shall stand?`, [["theirs", "Take what is saved"], ["mine", "Keep mine"]]);
    if (choice === "mine") image.keepMine();
    else image.takeTheirs();
  }

  // ---- changes --------------------------------------------------------------------------------------------
  const reader = () => $("reader").value.trim();
  function write(fields, options) {
    const { review } = state();
    const isDone = fields.is_reviewed ?? review.is_reviewed;
    const undecided = (fields.marks ?? review.marks).some((mark) => mark.verdict === null && isUndecided(mark, review));
    const stays = isDone && !undecided;
    state().change({ ...fields, reader: reader() || review.reader, is_reviewed: stays, threshold: review.is_reviewed && stays ? review.threshold : threshold }, options);
    draw();
  }
  // While an image counts as reviewed, what was shown when it was marked so counts.
  const isUndecided = (mark, review) => mark.score >= (review.is_reviewed ? review.threshold : threshold);

  const host = {
    kinds,
    get selected() { return selected; },
    marks: () => (showsBoxes ? marksOf(current) : []),
    isShown,
    select(id) { selected = id; draw(); },
    change(id, fields, options) {
      const marks = marksOf(current).map((mark) => (mark.id === id ? { ...mark, ...fields } : mark));
      write({ marks }, options);
    },
    add(box) {
      const id = `r${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
      const mark = { id, source: "reader", box, score: null, label: 0, verdict: "accepted", comment: "" };
      selected = id;
      tool = "point";
      write({ marks: [...marksOf(current), mark] });
    },
    remove(id) {
      if (selected === id) selected = null;
      write({ marks: marksOf(current).filter((mark) => mark.id !== id) });
    },
    restore(id) { host.change(id, { box: state().info.model_boxes[id] }); },
  };
  const findings = new Findings($("marks"), $("card"), host);

  function decide(verdict) {
    const mark = marksOf(current).find((each) => each.id === selected);
    if (!mark) return;
    if (mark.source === "model") host.change(mark.id, { verdict });
    else if (verdict === "rejected") host.remove(mark.id);
  }
  const undecided = () => marksOf(current).filter((mark) => mark.verdict === null && isShown(mark));
  function decideAll(verdict) {
    const ids = new Set(undecided().map((mark) => mark.id));
    if (ids.size) write({ marks: marksOf(current).map((mark) => (ids.has(mark.id) ? { ...mark, verdict } : mark)) });
  }

  async function done() {
    if (!state() || state().info.fault) return;
    if (!reader()) {
      $("reader").focus();
      alarm("Enter your initials first: a reviewed image says who reviewed it.");
      return;
    }
    const open = undecided().length;
    if (open) {
      const words = open === 1 ? "One mark shown has no verdict." : `${open} marks shown have no verdict.`;
      const choice = await ask("Not decided yet", words, [["back", "Back to the image"], ["accepted", "Accept"], ["rejected", "Reject"]].map(([value, text]) => [value, value === "back" || open === 1 ? text : `${text} all ${open}`]));
      if (choice !== "accepted" && choice !== "rejected") return;
      decideAll(choice);
    }
    write({ is_reviewed: true });
    const next = list.nextOpen(current);
    if (next !== null) open_(next);
    else alarm("");
  }

  // ---- opening --------------------------------------------------------------------------------------------
  async function load(number) {
    if (states.has(number) && states.get(number).isDirty) return;
    const info = await server.json(`api/images/${number}`);
    const known = states.get(number);
    if (known && known.review.revision === info.review.revision) return;
    states.set(number, new ImageState(server, info, told));
  }

  async function open_(number) {
    if (number !== current) selected = null;
    current = number;
    try {
      await Promise.all(list.hanging(number, layout).map(load));
    } catch (error) {
      alarm(`The image cannot be loaded: ${error.message}`);
      return;
    }
    if (current !== number) return;
    hang();
    draw();
    history.replaceState(null, "", `#${number + 1}`);
    const next = list.beside(number, 1);
    if (next !== null && !overview.images[next].fault) prefetch(next);
  }
  const open = open_;

  // The next image in the size it will first be shown in.
  function prefetch(number) {
    const { width, height } = overview.images[number];
    const box = $("panes").getBoundingClientRect();
    const scale = Math.min(box.width / width, box.height / height) * 0.98 * Math.min(window.devicePixelRatio || 1, 2);
    const level = Math.min(overview.max_level, Math.max(0, Math.floor(Math.log2(1 / scale) + 0.05)));
    setTimeout(() => pixels.want(number, level, () => {}), 300);
  }

  function hang() {
    const numbers = list.hanging(current, layout);
    $("panes").dataset.count = numbers.length;
    const isSame = numbers.length === panes.length && numbers.every((number, n) => panes[n].number === number);
    if (!isSame) {
      for (const each of panes) each.root.remove();
      panes = numbers.map(makePane);
      $("panes").replaceChildren(...panes.map((each) => each.root));
    }
    for (const each of panes) each.film.show(overview.images[each.number], viewOf(each.number), alignment(each.number));
  }

  // Right and left breast hang back to back: the chest walls meet in the middle.
  const alignment = (number) => (layout >= 3 && panes.length > 1 ? { R: 1, L: 0 }[overview.images[number].laterality] ?? 0.5 : 0.5);

  function makePane(number) {
    const root = $("pane").content.firstElementChild.cloneNode(true);
    const made = { number, root };
    made.film = new Film(root.querySelector("canvas"), pixels, overview.max_level, () => drawn(made));
    const own = { ...host, get selected() { return number === current ? selected : null; }, marks: () => (showsBoxes ? marksOf(number) : []), select: (id) => { current = number; host.select(id); } };
    made.layer = new MarkLayer(root.querySelector("svg"), made.film, own);
    new PaneInput(made, {
      tool: () => tool,
      choose: () => { if (current !== number) { current = number; selected = null; draw(); } },
      clear: () => { if (selected !== null) { selected = null; draw(); } },
      isReady: () => states.has(number),
    });
    root.setAttribute("aria-label", overview.images[number].name);
    return made;
  }

  function drawn({ number, root, film, layer }) {
    const image = overview.images[number];
    layer.draw();
    const mirrored = film.view.mirrored ? " · mirrored" : "";
    root.querySelector(".where").textContent = `${image.name}${mirrored}`;
    const fault = film.fault && `This image cannot be shown: ${film.fault.replace(/^.*cannot be shown: /, "").replace(/\.$/, "")}.`;
    const note = fault || (film.shownPixels ? "" : "Loading …");
    root.querySelector(".note").hidden = !note;
    root.querySelector(".note").textContent = note;
    root.querySelector(".grey").textContent = film.greyText();
    root.classList.toggle("current", number === current && panes.length > 1);
  }

  // ---- drawing --------------------------------------------------------------------------------------------
  const countShown = (image) => (states.has(image.number) ? marksOf(image.number).filter(isShown).length : image.scores.filter((score) => score >= threshold).length);
  function draw() {
    list.draw(current, countShown);
    const { images } = overview;
    const nDone = images.filter((image) => image.is_reviewed).length;
    Object.assign($("progress"), { max: images.length, value: nDone });
    $("progress-text").textContent = `${nDone} of ${images.length} reviewed`;
    if (!state()) return;
    for (const each of panes) each.film.redraw();
    const { review, info } = state();
    const shown = review.marks.filter(isShown);
    const hidden = review.marks.length - shown.length;
    if (selected && !shown.some((mark) => mark.id === selected)) selected = null;
    findings.draw(shown, { selected, modelBoxes: info.model_boxes });
    $("title").textContent = images[current].name;
    $("title").dataset.done = review.is_reviewed ? `reviewed by ${review.reader}` : "";
    $("threshold-text").textContent = threshold.toFixed(2);
    $("threshold").value = threshold;
    $("counts").textContent = `${shown.length} shown${hidden ? `, ${hidden} below` : ""}.`;
    $("no-marks").hidden = shown.length > 0;
    $("no-marks").textContent = review.marks.length ? "No mark reaches the slider." : "The model marked nothing here. Draw a box (D) where it should have, or go on.";
    if (document.activeElement !== $("comment")) $("comment").value = review.comment;
    $("undo").disabled = !state().past.length;
    $("redo").disabled = !state().future.length;
    $("done").disabled = Boolean(info.fault);
    $("done").textContent = review.is_reviewed ? "Reviewed ✓ next" : "Reviewed, next";
    $("picture").textContent = info.fault ? "" : `${info.width} × ${info.height} px · record ${info.record_id}`;
    for (const button of document.querySelectorAll("[data-layout]")) button.setAttribute("aria-pressed", String(Number(button.dataset.layout) === layout));
    const pressed = { draw: tool === "draw", boxes: showsBoxes, invert: viewOf(current).inverted, mirror: viewOf(current).mirrored };
    for (const [name, isOn] of Object.entries(pressed)) document.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(isOn));
    $("panes").classList.toggle("drawing", tool === "draw");
  }

  function setTool(name) { tool = name; draw(); }
  function setThreshold(value) {
    const [low, high] = overview.score_range;
    threshold = Math.min(high, Math.max(low, value));
    draw();
  }

  function setLayout(count) { layout = count; open(current); }

  const actions = {
    draw: () => setTool(tool === "draw" ? "point" : "draw"),
    boxes: () => { showsBoxes = !showsBoxes; draw(); },
    fit: () => pane().film.fit(),
    whole: () => pane().film.zoom(1 / (pane().film.view.scale * pane().film.ratio)),
    "zoom-in": () => pane().film.zoom(1.25),
    "zoom-out": () => pane().film.zoom(0.8),
    invert: () => { const view = viewOf(current); view.inverted = !view.inverted; draw(); },
    mirror: () => {
      const view = viewOf(current);
      const { film } = pane();
      view.x = film.width - view.x - film.info.width * view.scale;
      view.mirrored = !view.mirrored;
      draw();
    },
    window: () => { viewOf(current).window = null; draw(); },
  };

  function boxInTheMiddle() {
    const { film } = pane();
    const side = 0.12 * Math.min(film.width, film.height);
    const [x0, y0] = film.toImage(film.width / 2 - side, film.height / 2 - side);
    const [x1, y1] = film.toImage(film.width / 2 + side, film.height / 2 + side);
    host.add(tidied([x0, y0, x1, y1], film.info));
    pane().root.querySelector(`[data-id="${selected}"]`)?.focus();
  }

  function stepMark(by) {
    const shown = marksOf(current).filter(isShown);
    if (!shown.length) return;
    const at = shown.findIndex((mark) => mark.id === selected);
    const mark = shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : (at + by + shown.length) % shown.length];
    selected = mark.id;
    pane().film.centre((mark.box[0] + mark.box[2]) / 2, (mark.box[1] + mark.box[3]) / 2);
    draw();
  }

  function nudge(event, dx, dy) {
    const mark = marksOf(current).find((each) => each.id === selected);
    if (!mark) {
      pane().film.pan(-dx * 60, -dy * 60);
      return;
    }
    const { film } = pane();
    const step = (event.ctrlKey || event.metaKey ? 10 : 1) * Math.max(1, Math.round(1 / film.view.scale));
    const x = dx * step * (film.view.mirrored ? -1 : 1), y = dy * step;
    const [x0, y0, x1, y1] = mark.box;
    const box = event.shiftKey ? tidied([x0, y0, Math.max(x0 + MIN_SIDE, x1 + x), Math.max(y0 + MIN_SIDE, y1 + y)], film.info) : moved(mark.box, x, y, film.info);
    host.change(mark.id, { box, verdict: "accepted" }, { coalesce: `nudge ${mark.id}` });
  }

  function go(by) {
    const next = list.beside(current, by);
    if (next !== null) open(next);
  }
  bindKeys({
    isReady: () => Boolean(state()),
    undo: () => { state().undo(); draw(); },
    redo: () => { state().redo(); draw(); },
    arrow: nudge,
    keys: {
      a: () => decide("accepted"), r: () => decide("rejected"), c: () => decide(null), A: () => decideAll("accepted"),
      d: actions.draw, D: boxInTheMiddle, b: actions.boxes, f: actions.fit, g: actions.whole, i: actions.invert,
      m: actions.mirror, w: actions.window, "+": actions["zoom-in"], "=": actions["zoom-in"], "-": actions["zoom-out"],
      j: () => stepMark(1), k: () => stepMark(-1), "[": () => setThreshold(threshold - 0.01), "]": () => setThreshold(threshold + 0.01),
      n: () => go(1), p: () => go(-1), PageDown: () => go(1), PageUp: () => go(-1), Enter: done, "?": () => $("keys").showModal(),
      Delete: () => decide("rejected"), Backspace: () => decide("rejected"), Escape: () => { selected = null; setTool("point"); },
      1: () => setLayout(1), 2: () => setLayout(2), 3: () => setLayout(3), 4: () => setLayout(4),
    },
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do], [data-layout]");
    if (!button || !state()) return;
    if (button.dataset.layout) setLayout(Number(button.dataset.layout));
    else actions[button.dataset.do]();
  });
  $("panes").addEventListener("focusin", (event) => {
    const group = event.target.closest(".mark[data-id]");
    if (group && group.dataset.id !== selected) host.select(group.dataset.id);
  });

  // ---- the rest -------------------------------------------------------------------------------------------
  $("threshold").addEventListener("input", () => setThreshold(Number($("threshold").value)));
  $("comment").addEventListener("input", () => write({ comment: $("comment").value }, { coalesce: "comment" }));
  $("undo").addEventListener("click", () => { state().undo(); draw(); });
  $("redo").addEventListener("click", () => { state().redo(); draw(); });
  $("done").addEventListener("click", done);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("only").addEventListener("change", () => { list.only = $("only").value; draw(); });
  $("reader").addEventListener("input", () => { localStorage.setItem("mammo-review-reader", reader()); alarm(""); });
  $("export").addEventListener("click", async () => {
    $("export").disabled = true;
    try {
      const wrote = await server.json("api/export", { method: "POST", body: { kinds: ["coco", "detections", "sr"] } });
      const reports = wrote.files.filter((file) => file.startsWith("sr/")).length;
      const files = [...wrote.files.filter((file) => !file.startsWith("sr/")), ...(reports ? [`sr/ (${reports} DICOM ${reports === 1 ? "report" : "reports"})`] : [])];
      const left = wrote.n_left_out ? ` ${wrote.n_left_out} not reviewed yet and left out.` : "";
      await ask("Exported", `${wrote.n_boxes} boxes of ${wrote.n_images} reviewed images: ${files.join(", ")}.${left} ${wrote.problems.join(" ")}`, [["ok", "Close"]]);
    } catch (error) {
      alarm(`Not exported: ${error.message}`);
    }
    $("export").disabled = false;
  });
  window.addEventListener("beforeunload", (event) => {
    if ([...states.values()].some((each) => each.isDirty)) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && current !== null) open(current);
  });
  new ResizeObserver(() => { for (const each of panes) each.film.resize(); }).observe($("panes"));

  const [low, high] = overview.score_range;
  Object.assign($("threshold"), { min: low, max: high });
  $("points").replaceChildren(...overview.points.map((point) => {
    const button = document.createElement("button");
    const words = point.fppi === null ? "operating point" : `${point.fppi} FPPI`;
    Object.assign(button, { type: "button", className: "link", textContent: words, onclick: () => setThreshold(point.threshold) });
    button.title = `Score ${point.threshold.toFixed(3)}: ${point.fppi ?? "?"} false positives per image where it was chosen`;
    return button;
  }));
  $("model").textContent = overview.model;
  $("made-by").textContent = overview.made_by && `Marks of ${overview.made_by}`;
  $("reader").value = localStorage.getItem("mammo-review-reader") ?? "";
  const asked = Number(location.hash.slice(1)) - 1;
  const first = overview.images.find((image) => !image.is_reviewed)?.number ?? 0;
  await open(overview.images[asked] ? asked : first);
})();
