// The keyboard: what a key does where, and where it is left to the field that has the focus.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// `host` answers isReady(), undo(), redo(), arrow(event, dx, dy) and keys, one function for each key.
function bindKeys(host) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || !host.isReady()) return;
    const isTyping = event.target.matches("input:not([type=range]), textarea, select");
    const isCommand = event.ctrlKey || event.metaKey;
    if (isTyping) {
      if (event.key === "Escape") event.target.blur();
    } else if (isCommand && ["z", "y", "Z"].includes(event.key)) {
      event.preventDefault();
      if (event.key === "z") host.undo();
      else host.redo();
    } else if (event.key in ARROWS && !event.altKey) {
      if (event.target.id === "threshold") return;
      event.preventDefault();
      host.arrow(event, ...ARROWS[event.key]);
    } else if (!isCommand && !event.altKey && event.key in host.keys) {
      if (event.key === "Enter" && event.target.matches("button, a")) return;
      event.preventDefault();
      host.keys[event.key]();
    }
  });
}
