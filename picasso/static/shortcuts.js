// The question mark lists the keys of this page.

// What the keys do, where the page has the part that they act on.
const KEYS = [
  ["[data-workspace]", "← →", "previous or next image"],
  [".targets-row a", "1 … 9", "show the map of that class or target"],
  [".main a.map", "o", "hold: the image without its map"],
  ["a.map", "Tab, then arrow keys", "read the values of a map"],
  ["a.map", "Enter", "enlarge a map"],
  ["[data-compare]", "B", "blink between two maps"],
  ["[data-compare]", "← →", "swipe between two maps"],
  ["[data-inside]", "arrow keys, Shift", "move or resize the frame; Enter chooses it"],
  ["[data-what-if]", "arrow keys, Shift", "move or resize the frame; Enter hides it"],
  ["[data-what-if]", "Ctrl + Z", "undo"],
  ["body", "?", "this list"],
];

const dialog = document.createElement("dialog");
dialog.className = "shortcuts";
dialog.setAttribute("aria-labelledby", "shortcuts");
document.body.append(dialog);

const show = () => {
  const title = document.createElement("h2");
  title.id = "shortcuts";
  title.textContent = "Keys";
  const list = document.createElement("dl");
  for (const [selector, key, words] of KEYS) {
    if (!document.querySelector(selector)) continue;
    const [term, meaning, group] = ["dt", "dd", "div"].map((name) => document.createElement(name));
    const shown = document.createElement("kbd");
    shown.textContent = key;
    term.append(shown);
    meaning.textContent = words;
    group.append(term, meaning);
    list.append(group);
  }
  const close = document.createElement("button");
  close.className = "small";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(title, list, close);
  dialog.showModal();
};

document.addEventListener("keydown", (/** @type {KeyboardEvent & { target: HTMLElement }} */ event) => {
  if (event.key !== "?" || event.target.closest?.("input, select, textarea, dialog")) return;
  event.preventDefault();
  show();
});
