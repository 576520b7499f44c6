// The marks of the image as a list beside it, with verdicts, kinds and comments.
class Findings {
  // `host` answers select(id), change(id, fields, options), remove(id), restore(id), kinds.
  constructor(list, template, host) {
    this.list = list;
    this.template = template;
    this.host = host;
    list.addEventListener("click", (event) => this.clicked(event));
    list.addEventListener("change", (event) => {
      const id = event.target.closest("li")?.dataset.id;
      if (event.target.matches("select")) this.host.change(id, { label: Number(event.target.value) });
    });
    list.addEventListener("input", (event) => {
      const id = event.target.closest("li")?.dataset.id;
      if (event.target.matches(".remark")) this.host.change(id, { comment: event.target.value }, { coalesce: `remark ${id}` });
    });
  }

  clicked(event) {
    const id = event.target.closest("li")?.dataset.id;
    if (!id) return;
    const button = event.target.closest("button");
    if (button?.matches(".restore")) this.host.restore(id);
    else if (button?.matches(".remove")) this.host.remove(id);
    else if (button?.dataset.verdict) {
      const isOn = button.getAttribute("aria-pressed") === "true";
      this.host.select(id);
      this.host.change(id, { verdict: isOn ? null : button.dataset.verdict });
    } else if (!event.target.closest("select, input")) this.host.select(id);
  }

  // Cards that are there are changed in place: the one being typed in keeps its caret.
  draw(marks, { selected, modelBoxes }) {
    const known = new Map([...this.list.children].map((card) => [card.dataset.id, card]));
    const cards = marks.map((mark) => {
      const card = known.get(mark.id) ?? this.template.content.firstElementChild.cloneNode(true);
      this.fill(card, mark, mark.id === selected, modelBoxes[mark.id]);
      return card;
    });
    const isSame = cards.length === this.list.children.length && cards.every((card, n) => card === this.list.children[n]);
    if (!isSame) this.list.replaceChildren(...cards);
    const picked = this.list.querySelector(".picked");
    if (picked && this.seen !== selected) picked.scrollIntoView({ block: "nearest" });
    this.seen = selected;
  }

  fill(card, mark, isPicked, modelBox) {
    const isOwn = mark.source === "reader";
    const isMoved = Boolean(modelBox) && mark.box.some((each, n) => each !== modelBox[n]);
    card.dataset.id = mark.id;
    card.className = `card ${this.host.kinds[mark.label] ?? "other"} ${mark.verdict ?? "open"}${isPicked ? " picked" : ""}`;
    const pick = card.querySelector(".pick");
    pick.textContent = isOwn ? "Own box" : `Mark ${mark.id.slice(1)}`;
    pick.setAttribute("aria-label", markName(mark, this.host.kinds));
    pick.setAttribute("aria-pressed", String(isPicked));
    card.querySelector(".score").textContent = mark.score === null ? "" : mark.score.toFixed(2);
    const words = { accepted: isMoved ? "corrected" : "accepted", rejected: "rejected" };
    card.querySelector(".verdict").textContent = isOwn ? "drawn" : words[mark.verdict] ?? "";
    for (const button of card.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === mark.verdict));
      button.hidden = isOwn;
    }
    this.removeButton(card, isOwn);
    const kind = card.querySelector("select");
    if (![...kind.options].some((each) => Number(each.value) === mark.label)) kind.add(new Option(`class ${mark.label}`, mark.label));
    kind.value = String(mark.label);
    const remark = card.querySelector(".remark");
    if (document.activeElement !== remark) remark.value = mark.comment;
    card.querySelector(".restore").hidden = !isMoved;
    card.querySelector(".more").hidden = !(isPicked || mark.comment || isMoved);
  }

  removeButton(card, isOwn) {
    const found = card.querySelector(".remove");
    if (found || !isOwn) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "remove";
    button.textContent = "Delete";
    card.querySelector(".decide").prepend(button);
  }
}
