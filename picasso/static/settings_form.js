// The forms that start runs: estimated times with this model, and the classes to explain.

import { ask, counted, duration, every, pause, settled } from "./common.js";

// The speed of the model is measured shortly after it is loaded.
const AGAIN_MS = 1500;
const TRIES = 20;

// One at a time: few requests may wait for the model at once, and other visitors need estimates too.
/** @type {Promise<any>} */
let last = Promise.resolve();
const askInTurn = (url) => {
  last = last.catch(() => {}).then(() => ask(url));
  return last;
};

export const estimate = async (place, tries = TRIES) => {
  // The list of methods in the workspace is no form.
  const form = place.closest("form, details");
  const fields = form.querySelector(".fields");
  const query = new URLSearchParams();
  const named = fields
    ? fields.querySelectorAll("select[name], input[name]:not([name=class], [name=target], [name=model])")
    : [];
  for (const field of named) query.set(field.name, field.value);
  const ticked = form.querySelectorAll("input[name=image]");
  const count = ticked.length ? [...ticked].filter((box) => box.checked).length : Number(place.dataset.count);
  try {
    const answer = await askInTurn(`${place.dataset.estimate}?${query}`);
    const { seconds_per_image: each, seconds_once: once, at_most: bound } = answer;
    if (each !== null) {
      const others = form.querySelectorAll("input[name=model]:checked").length;
      const whole = each * Math.max(1, count) * (1 + others) + once;
      const images = count ? counted(count, "image") : "an image";
      place.textContent = `${bound && whole >= 1 ? "at most " : ""}${duration(whole)} for ${images}`;
      return;
    }
  } catch (error) {
    if (error.status !== 503) return;
  }
  await pause(AGAIN_MS);
  if (tries && place.isConnected) estimate(place, tries - 1);
};

const all = () => every("[data-estimate]", (place) => estimate(place));
all();
document.addEventListener("refreshed", all);
document.addEventListener("change", settled(all, 150));

// A new field appears when the last one is filled, so that several classes can be entered.
const extend = (chooser) => {
  const lowest = [...chooser.querySelectorAll("input")].at(-1);
  if (!lowest?.value) return;
  const next = /** @type {HTMLInputElement} */ (lowest.cloneNode());
  next.removeAttribute("id");
  next.value = "";
  next.placeholder = "another class";
  next.setAttribute("aria-label", "another class to explain");
  lowest.after(next);
};

document.addEventListener("input", (/** @type {Event & { target: HTMLElement }} */ { target }) => {
  const chooser = target.closest?.("[data-classes]");
  if (chooser) extend(chooser);
});
// The browser may fill a field again, and a visitor may type, before this script is there.
every("[data-classes]", extend);
