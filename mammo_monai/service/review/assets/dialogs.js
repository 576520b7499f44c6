// A question with buttons; the answer is the value of the one pressed, "" for Escape.
function ask(title, text, choices) {
  const dialog = document.getElementById("ask");
  document.getElementById("ask-title").textContent = title;
  document.getElementById("ask-text").textContent = text;
  document.getElementById("ask-choices").replaceChildren(...choices.map(([value, words], n) => {
    const button = document.createElement("button");
    return Object.assign(button, { value, textContent: words, className: n === 0 ? "main" : "" });
  }));
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}
