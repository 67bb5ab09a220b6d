// Progressive enhancement: the pages also work without scripts, with one more click or a reload.
// Each page loads only the scripts that it uses.

import { every } from "./common.js";
import "./shortcuts.js";

const SCRIPTS = {
  "[data-workspace]": "./workspace.js",
  "[data-drop]": "./images.js",
  "[data-estimate], [data-classes]": "./settings_form.js",
  "[data-run], [data-model-state=loading]": "./poll.js",
  "[data-gather]": "./upload_audit.js",
  "[data-audit]": "./auditing.js",
  "[data-ranking]": "./ranking.js",
  "[data-compare]": "./compare.js",
  "[data-filters]": "./gallery.js",
  "[data-look]": "./display_options.js",
  "[data-what-if]": "./what_if.js",
  "[data-inside]": "./inside.js",
  "[data-targets]": "./targets.js",
  "[data-pick-region]": "./pick_region.js",
  "[data-pick-box]": "./pick_box.js",
  "[data-jobs]": "./jobs.js",
  "[data-copy]": "./clipboard.js",
};

document.documentElement.classList.add("scripted");
for (const [selector, script] of Object.entries(SCRIPTS)) {
  if (document.querySelector(selector)) import(script);
}

// Small images are drawn with sharp pixels, as the model sees them; photographs are interpolated.
const draw = (image) => image.classList.toggle("photo", image.naturalWidth > 100);
document.addEventListener(
  "load",
  (/** @type {Event & { target: HTMLElement }} */ { target }) => target.matches?.("img") && draw(target),
  true,
);
every("img", (image) => image.complete && draw(image));

// Show the value of each slider.
document.addEventListener("input", (/** @type {Event & { target: HTMLInputElement }} */ { target }) => {
  /** @type {HTMLOutputElement | false} */
  const output = target.type === "range" && document.querySelector(`output[for="${target.id}"]`);
  if (output) output.value = target.value;
});
