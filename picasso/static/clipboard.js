// Copies the text of a figure.

import { pause } from "./common.js";

document.addEventListener("click", async (/** @type {Event & { target: HTMLElement }} */ { target }) => {
  if (!target.matches("[data-copy]")) return;
  await navigator.clipboard.writeText(target.closest("figure").querySelector("code").textContent);
  target.textContent = "Copied";
  await pause(1500);
  target.textContent = "Copy";
});
