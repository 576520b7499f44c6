// The list of images by patient, with what is done of each; only rows that can be seen are in the page.
class Worklist {
  constructor(root, images, open) {
    this.root = root;
    this.images = images;
    this.open = open;
    this.only = "all";
    root.addEventListener("click", (event) => {
      const row = event.target.closest("button[data-number]");
      if (row) this.open(Number(row.dataset.number));
    });
  }

  shown() {
    const rules = {
      all: () => true,
      open: (image) => !image.is_reviewed,
      done: (image) => image.is_reviewed,
      marked: (image) => this.count(image) > 0,
    };
    return this.images.filter((image) => image.number === this.current || rules[this.only](image));
  }

  // `count` tells how many marks of an image are shown at the slider's place.
  draw(current, count) {
    this.current = current;
    this.count = count;
    const groups = new Map();
    this.listed = this.shown();
    for (const image of this.listed) {
      if (!groups.has(image.patient)) groups.set(image.patient, []);
      groups.get(image.patient).push(image);
    }
    this.root.replaceChildren(...[...groups].map(([patient, images]) => this.group(patient, images)));
    this.root.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  group(patient, images) {
    const section = document.createElement("section");
    const heading = document.createElement("h2");
    heading.textContent = images[0].patient_id ?? (patient ? `Patient ${patient}` : "Patient unknown");
    section.append(heading, ...images.map((image) => this.row(image)));
    return section;
  }

  row(image) {
    const row = document.createElement("button");
    row.type = "button";
    row.dataset.number = image.number;
    row.className = image.is_reviewed ? "row done" : "row";
    if (image.number === this.current) row.setAttribute("aria-current", "true");
    const name = document.createElement("b");
    name.textContent = image.name;
    const sign = document.createElement("i");
    sign.textContent = image.fault ? "!" : image.is_reviewed ? "✓" : image.revision ? "…" : "";
    const said = document.createElement("small");
    said.textContent = image.fault ? "cannot be shown" : this.said(image);
    row.append(sign, name, said);
    row.setAttribute("aria-label", `${image.name}, ${said.textContent}, ${image.is_reviewed ? "reviewed" : "to review"}`);
    row.title = `record ${image.record_id}`;
    return row;
  }

  said(image) {
    const marks = (count) => (count === 1 ? "1 mark" : `${count} marks`);
    if (image.is_reviewed) return image.n_accepted ? `${marks(image.n_accepted)} kept` : "none kept";
    const shown = this.count(image);
    return shown ? marks(shown) : "no mark";
  }

  // The image after or before one, in the order of the list; null at its ends.
  beside(number, by) {
    const at = this.listed.findIndex((image) => image.number === number);
    return this.listed[at + by]?.number ?? null;
  }

  nextOpen(number) {
    const after = [...this.images.slice(number + 1), ...this.images.slice(0, number)];
    return after.find((image) => !image.is_reviewed)?.number ?? null;
  }

  // The images that hang beside one: 1 itself, 2 the breast's views, 3 the view of both breasts, 4 the patient's.
  hanging(number, layout) {
    const image = this.images[number];
    if (layout === 1 || !image.patient) return [number];
    const patient = this.images.filter((each) => each.patient === image.patient);
    const rules = {
      2: (each) => each.laterality === image.laterality,
      3: (each) => each.view === image.view,
      4: () => true,
    };
    const views = [...new Set(patient.map((each) => each.view))];
    const hung = patient.filter(rules[layout]);
    if (layout === 4) hung.sort((a, b) => views.indexOf(a.view) - views.indexOf(b.view) || a.number - b.number);
    const found = hung.map((each) => each.number);
    const most = layout === 4 ? 4 : 2;
    const from = Math.min(Math.max(0, found.indexOf(number) - most + 1), Math.max(0, found.length - most));
    return found.slice(from, from + most);
  }
}
