"use strict";
// Sorting and filtering of the rows; without it the page shows all rows in the order of audit.csv.
(() => {
  const form = document.querySelector("form.filters");
  if (!form) return;
  const groups = [...document.querySelectorAll("section.group")].map((section) => ({
    section,
    details: section.querySelector("details.rows"),
    wasOpen: section.querySelector("details.rows").open,
    rows: [...section.querySelectorAll("tbody tr")].map((row) => ({
      row, text: row.textContent.toLowerCase(), action: row.dataset.action,
    })),
  }));

  function filter() {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const actions = new Set([...form.querySelectorAll("[name=action]:checked")].map((box) => box.value));
    const isAll = !words.length && actions.size === form.querySelectorAll("[name=action]").length;
    let shown = 0;
    for (const group of groups) {
      let here = 0;
      for (const { row, text, action } of group.rows) {
        row.hidden = !(actions.has(action) && words.every((word) => text.includes(word)));
        here += row.hidden ? 0 : 1;
      }
      group.section.hidden = here === 0;
      group.details.open = isAll ? group.wasOpen : words.length > 0 || group.wasOpen;
      shown += here;
    }
    form.querySelector("output").textContent = isAll ? "" : `${shown} of the rows on this page`;
  }

  function sort(table, column, heading) {
    const isUp = heading.getAttribute("aria-sort") !== "ascending";
    for (const each of table.querySelectorAll("thead th")) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [row.cells[column].textContent, row]);
    keyed.sort((a, b) => (isUp ? 1 : -1) * a[0].localeCompare(b[0], "en", { numeric: true }));
    body.append(...keyed.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.querySelectorAll("thead th")].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sort(table, column, heading));
      heading.replaceChildren(button);
    });
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
})();
