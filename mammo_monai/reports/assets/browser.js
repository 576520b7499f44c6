"use strict";
// Filters, and one image enlarged; without it the pages show all images, and a click opens the plain picture.
(() => {
  const form = document.querySelector("form.filters");
  const main = document.querySelector("main.cards");
  const cards = [...main.querySelectorAll(".card")];
  const selects = [...form.querySelectorAll("select")];
  const links = [...document.querySelectorAll(".pager a")];
  const total = links.length || 1;
  const index = window.mammoIndex;

  const wanted = () => selects.filter((each) => each.value).map((each) => [each.name, each.value]);
  const holds = (text, value) => text.split("|").includes(value);

  function filter() {
    const asked = wanted();
    let here = 0;
    for (const card of cards) {
      card.hidden = !asked.every(([name, value]) => holds(card.dataset[name], value));
      here += card.hidden ? 0 : 1;
    }
    for (const each of selects) each.classList.toggle("set", each.value !== "");
    document.querySelector("p.none").hidden = here > 0;
    const all = pages(asked);
    const elsewhere = total > 1 && all !== null ? `, ${all} on all pages` : "";
    form.querySelector("output").textContent = asked.length ? `${here} on this page${elsewhere}` : "";
    const hash = new URLSearchParams(asked).toString();
    for (const link of links) link.hash = hash;
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  // Pages without a match leave the pager; the others say how many they hold.
  function pages(asked) {
    if (!index) return null;
    const counts = new Map();
    const columns = asked.map(([name, value]) => [index.fields.indexOf(name) + 1, value]);
    let all = 0;
    for (const row of index.rows) {
      if (columns.every(([column, value]) => holds(row[column], value))) {
        counts.set(row[0], (counts.get(row[0]) || 0) + 1);
        all += 1;
      }
    }
    for (const link of links) {
      const page = Number(link.dataset.page);
      link.hidden = !counts.has(page) && !link.hasAttribute("aria-current");
      link.textContent = asked.length ? `${page} (${counts.get(page) || 0})` : String(page);
    }
    return all;
  }

  function restore() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const each of selects) {
      each.value = asked.get(each.name) ?? "";
      if (each.selectedIndex < 0) each.value = "";
    }
    filter();
  }

  function toggle(name, isOn) {
    document.body.classList.toggle(`no-${name}`, !isOn);
    form.elements[name].checked = isOn;
    viewer.querySelector(`[data-toggle=${name}]`).setAttribute("aria-pressed", String(isOn));
  }

  const viewer = document.querySelector("dialog.viewer");
  let current = null;

  function show(card) {
    current = card;
    const stage = card.querySelector(".stage").cloneNode(true);
    stage.querySelector("img").loading = "eager";
    viewer.querySelector(".viewer-film").replaceChildren(stage);
    viewer.querySelector(".viewer-facts").replaceChildren(card.querySelector(".facts").cloneNode(true));
    if (!viewer.open) viewer.showModal();
  }

  function step(by) {
    const open = cards.filter((card) => !card.hidden && card.querySelector(".open"));
    const next = open[open.indexOf(current) + by];
    if (next) show(next);
  }

  main.addEventListener("click", (event) => {
    const link = event.target.closest("a.open");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link.closest(".card"));
  });
  viewer.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (event.target === viewer) viewer.close();
    else if (button?.dataset.step) step(Number(button.dataset.step));
    else if (button?.dataset.toggle) toggle(button.dataset.toggle, button.getAttribute("aria-pressed") !== "true");
  });
  viewer.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in steps) step(steps[event.key]);
    else if (event.key === "b") toggle("boxes", !form.elements.boxes.checked);
    else if (event.key === "o") toggle("outline", !form.elements.outline.checked);
  });
  viewer.addEventListener("close", () => current?.querySelector(".open").focus());
  form.addEventListener("change", (event) => {
    if (event.target.type === "checkbox") toggle(event.target.name, event.target.checked);
    else filter();
  });
  form.addEventListener("reset", () => setTimeout(() => {
    for (const name of ["boxes", "outline"]) toggle(name, true);
    filter();
  }));
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", restore);
  form.hidden = false;
  restore();
})();
