// The queued and running jobs in the header: updated while there are any, on every page.
// A script that starts a job without loading a page dispatches "jobs" on the document.

import { pause } from "./common.js";

/** @type {HTMLElement} */
const place = document.querySelector("[data-jobs]");
const ended = place.querySelector("[data-jobs-ended]");
let polling = false;

const ids = () => [.../** @type {NodeListOf<HTMLElement>} */ (place.querySelectorAll("[data-job]"))];

const details = () => place.querySelector("details");

// Replace the list; what is open stays open, and the focus stays where it was.
const show = (/** @type {Document} */ fresh) => {
  const open = details()?.open;
  const focused = document.activeElement?.closest("[data-job]")?.getAttribute("data-job");
  const onButton = document.activeElement?.tagName === "BUTTON";
  const before = new Map(ids().map((job) => [job.dataset.job, job.querySelector("a").cloneNode(true)]));
  const now = fresh.querySelector("[data-jobs] details");
  const summary = details()?.querySelector("summary");
  const onSummary = summary && document.activeElement === summary;
  details()?.remove();
  if (now) {
    place.prepend(now);
    details().open = Boolean(open);
    if (onSummary) details().querySelector("summary").focus();
    const again = focused && place.querySelector(`[data-job="${focused}"] ${onButton ? "button" : "a"}`);
    if (again instanceof HTMLElement) again.focus();
  }
  if (!place.querySelector("link") && fresh.querySelector("link")) place.prepend(fresh.querySelector("link"));
  for (const job of ids()) before.delete(job.dataset.job);
  const [link] = [...before.values()].slice(-1);
  if (link) ended.replaceChildren("Ended: ", link);
};

const update = async () => {
  const answer = await fetch(place.dataset.jobs, { cache: "no-store" }).catch(() => null);
  if (answer?.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
};

const poll = async () => {
  if (polling) return;
  polling = true;
  while (ids().length) {
    await pause(1500);
    // A page in the background is updated when it is seen again.
    if (document.visibilityState === "visible") await update();
  }
  polling = false;
};

// Cancelling does not leave the page.
place.addEventListener("submit", async (/** @type {SubmitEvent & { target: HTMLFormElement }} */ event) => {
  event.preventDefault();
  event.target.setAttribute("aria-busy", "true");
  await fetch(event.target.action, { method: "POST" }).catch(() => null);
  await update();
});
document.addEventListener("jobs", () => update().then(poll));
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !details()?.open) return;
  details().open = false;
  details().querySelector("summary").focus();
});
poll();
