// Shows the value of a map under the pointer or the cursor, and the map enlarged.

import { facts, valuesOf } from "./maps.js";

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// The position of the keyboard cursor on a map.
const cursors = new WeakMap();

const show = async (map, x, y) => {
  const { width, height } = facts(map);
  const column = Math.min(width - 1, Math.max(0, Math.floor(x * width)));
  const row = Math.min(height - 1, Math.max(0, Math.floor(y * height)));
  const output = map.querySelector(".reading") ?? reader(map);
  try {
    const value = (await valuesOf(map))[row * width + column];
    output.value = `${Number(value.toPrecision(4))} at column ${column + 1}, row ${row + 1}`;
  } catch (error) {
    output.value = error.message;
  }
  const mark = map.querySelector(".mark") ?? marker(map);
  const size = { left: column / width, top: row / height, width: 1 / width, height: 1 / height };
  for (const [side, fraction] of Object.entries(size)) mark.style[side] = `${100 * fraction}%`;
};

const reader = (map) => {
  const output = document.createElement("output");
  output.className = "reading";
  map.append(output);
  return output;
};

const marker = (map) => {
  const mark = document.createElement("span");
  mark.className = "mark";
  map.append(mark);
  return mark;
};

const forget = (map) => {
  map.querySelector(".reading")?.remove();
  map.querySelector(".mark")?.remove();
};

const mapOf = (event) => event.target.closest?.("a.map");

document.addEventListener("pointermove", (event) => {
  const map = mapOf(event);
  if (!map) return;
  const { left, top, width, height } = map.getBoundingClientRect();
  show(map, (event.clientX - left) / width, (event.clientY - top) / height);
});
document.addEventListener("pointerout", (event) => {
  const map = mapOf(event);
  if (map && !map.contains(event.relatedTarget) && document.activeElement !== map) forget(map);
});
document.addEventListener("focusout", (event) => {
  const map = mapOf(event);
  if (map) forget(map);
});
document.addEventListener("keydown", (event) => {
  const map = mapOf(event);
  if (!map || !(event.key in STEPS)) return;
  event.preventDefault();
  const { width, height } = facts(map);
  const [right, down] = STEPS[event.key];
  const [column, row] = cursors.get(map) ?? [Math.floor(width / 2) - right, Math.floor(height / 2) - down];
  const next = [Math.min(width - 1, Math.max(0, column + right)), Math.min(height - 1, Math.max(0, row + down))];
  cursors.set(map, next);
  show(map, (next[0] + 0.5) / width, (next[1] + 0.5) / height);
});

// ---- enlarged -----------------------------------------------------------------------------------------------

const dialog = document.createElement("dialog");
dialog.className = "zoom";
dialog.setAttribute("aria-label", "Enlarged map");
const close = document.createElement("button");
close.className = "plain";
close.textContent = "Close";
close.addEventListener("click", () => dialog.close());
document.body.append(dialog);

// The figure itself moves into the dialog, with everything drawn in it, and back afterwards.
const enlarge = (figure) => {
  const place = document.createElement("span");
  figure.replaceWith(place);
  dialog.replaceChildren(figure, close);
  dialog.addEventListener(
    "close",
    () => {
      place.replaceWith(figure);
      figure.querySelector("a.map").focus();
    },
    { once: true },
  );
  dialog.showModal();
  figure.querySelector("a.map").focus();
};

document.addEventListener("click", (event) => {
  const map = mapOf(event);
  if (!map || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (!dialog.open) enlarge(map.closest("figure"));
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
