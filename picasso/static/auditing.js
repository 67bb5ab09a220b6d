// The page of a running audit: the current trial, the findings so far and, at the end, the verdict.

import { counted, duration, poll, refresh } from "./common.js";

/** @type {HTMLElement} */
const place = document.querySelector("[data-audit]");
const text = place.querySelector("[data-audit-text]");
const bar = place.querySelector("progress");

const say = (audit) => {
  const left = audit.remaining === null ? "" : `, ${duration(audit.remaining)} left`;
  if (audit.state === "reading") return `Reading the images: ${Math.round(100 * audit.fraction)}%`;
  if (audit.state !== "running") return audit.position ? `Waiting for ${counted(audit.position, "other run")}.` : null;
  if (!audit.pair.length && audit.trying) return `Mending the model: ${audit.trying}${left}`;
  if (!audit.pair.length) return audit.fraction === 1 ? "Writing the report." : null;
  return `Pair ${audit.done + 1} of ${audit.total}: ${audit.pair.join(" / ")} · ${audit.trying}${left}`;
};

// The text for screen readers: the current pair and the findings.
const aloud = (audit) => {
  const findings = audit.findings.filter(({ alarm }) => alarm).map(({ name }) => name);
  const found = findings.length ? ` Findings so far: ${findings.join(", ")}.` : "";
  return audit.pair.length ? `Pair ${audit.done + 1} of ${audit.total}: ${audit.pair.join(" and ")}.${found}` : "";
};

let seen;
poll(place.dataset.audit, (audit) => {
  bar.value = audit.fraction;
  const words = say(audit);
  if (words) text.textContent = words;
  // Update only what changed, so that a screen reader does not repeat itself.
  const said = document.querySelector("[data-audit-aloud]");
  if (aloud(audit) && aloud(audit) !== said.textContent) said.textContent = aloud(audit);
  if (audit.cost) document.querySelector("[data-cost]").textContent = audit.cost;
  const now = `${audit.state} ${JSON.stringify(audit.findings)}`;
  if (seen !== undefined && seen !== now) refresh("[data-findings]");
  seen = now;
  return !["waiting", "reading", "running"].includes(audit.state);
}).then(() => location.reload());
place
  .querySelector("form")
  .addEventListener("submit", (/** @type {Event & { target: HTMLElement }} */ { target }) =>
    target.setAttribute("aria-busy", "true"),
  );
