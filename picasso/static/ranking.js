// The ranking of methods on the page of all methods: its progress, and what is found so far.

import { duration, poll, refresh } from "./common.js";

const measured = ({ methods }) => methods.reduce((sum, one) => sum + one.measured, 0);

const watch = async (section) => {
  let seen;
  await poll(section.dataset.ranking, (ranking) => {
    section.querySelector("progress").value = ranking.fraction;
    const text = section.querySelector("[data-ranking-text]");
    const words = ranking.remaining === null ? text.textContent : `Grading… ${duration(ranking.remaining)} left.`;
    if (words !== text.textContent) text.textContent = words;
    const ended = !["waiting", "running"].includes(ranking.state);
    const now = measured(ranking);
    const changed = seen !== undefined && now !== seen;
    seen = now;
    return ended || changed;
  });
  await refresh("[data-part=ranking]");
  start();
};

const start = () => {
  /** @type {HTMLElement | null} */
  const section = document.querySelector("[data-ranking]");
  if (section) watch(section);
};

start();
