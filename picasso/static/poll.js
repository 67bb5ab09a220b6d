// Polls the model and the runs: shows their progress and the results so far.

import { counted, duration, every, modelLoaded, poll, refresh } from "./common.js";

const say = (state) => {
  if (state.state === "running" && state.compiling && !state.fraction) {
    return `Compiling the model for this visualization (only once): ${duration(state.compiling)}.`;
  }
  if (state.state === "running") {
    const left = state.remaining === null ? "" : `, ${duration(state.remaining)} left`;
    return `${state.done} of ${counted(state.total, "image")} done${left}.`;
  }
  return state.position ? `Waiting for ${counted(state.position, "other run")}.` : null;
};

const watch = (run) => {
  const text = run.querySelector("[data-run-text]");
  const bar = run.querySelector("progress");
  let seen;
  return poll(run.dataset.run, (state) => {
    bar.value = state.fraction;
    const words = say(state);
    // Update only what changed, so that a screen reader does not repeat itself.
    if (words && words !== text.textContent) text.textContent = words;
    const now = `${state.done} ${state.preview}`;
    if (seen !== undefined && seen !== now) refresh("[data-results]");
    seen = now;
    return !["waiting", "running"].includes(state.state);
  });
};

const runs = [...document.querySelectorAll("[data-run]")];
if (runs.length) Promise.all(runs.map(watch)).then(() => location.reload());

if (document.querySelector('[data-model-state="loading"]')) {
  modelLoaded().then(() => {
    // What one can ask depends on the model.
    if (document.querySelector("[data-chooser]")) return location.reload();
    const parts = ["[data-part=visualizations]", "[data-part=ranking]"].filter((part) => document.querySelector(part));
    return refresh(".model", ...parts);
  });
}
every("[data-run] form", (form) => form.addEventListener("submit", () => form.setAttribute("aria-busy", "true")));
