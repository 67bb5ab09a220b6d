// The ranking of methods on the page of all methods: its progress, and what is found so far.

import { duration, poll, refresh } from "./common.js";

const measured = ({ methods }) => methods.reduce((sum, one) => sum + one.measured, 0);

// Only what is found is replaced until the end: the button keeps the focus, and no click misses it.
const watch = async (section) => {
  let [seen, ended] = [undefined, false];
  while (!ended) {
    // Also if it was deleted in the meantime.
    ended = true;
    await poll(section.dataset.ranking, (ranking) => {
      section.querySelector("progress").value = ranking.fraction;
      const text = section.querySelector("[data-ranking-text]");
      const words = ranking.remaining === null ? text.textContent : `Grading… ${duration(ranking.remaining)} left.`;
      if (words !== text.textContent) text.textContent = words;
      ended = !["waiting", "running"].includes(ranking.state);
      const now = measured(ranking);
      const changed = seen !== undefined && now !== seen;
      seen = now;
      return ended || changed;
    });
    const focused = section.contains(document.activeElement);
    const opened = section.querySelector("details")?.open;
    await refresh(`[data-part=${ended ? "ranking" : "ranking-scores"}]`);
    const details = document.querySelector("[data-part=ranking] details");
    if (opened && details instanceof HTMLDetailsElement) details.open = true;
    /** @type {HTMLElement | null} */
    const button = document.querySelector("[data-part=ranking] button");
    if (ended && focused) button?.focus();
  }
  start();
};

const start = () => {
  /** @type {HTMLElement | null} */
  const section = document.querySelector("[data-ranking]");
  if (section) watch(section);
};

start();
