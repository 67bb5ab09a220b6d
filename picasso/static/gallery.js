// The gallery: predictions start by themselves, filters apply at once, and further pages follow while one scrolls.

import { askPatiently, counted, duration, modelLoaded, pause, poll, refresh, root } from "./common.js";

// A page is loaded before its place comes into view; this many pixels ahead.
const AHEAD = 1500;
// A page is inserted in pieces of as many images, so that no frame takes long.
const PIECE = 10;
const PARTS = ["[data-part=gallery-summary]", "[data-part=gallery-list]"];
// How often the images are shown anew while they are predicted.
const EVERY_MS = 4000;

/** @type {(selector: string) => HTMLElement | null} */
const find = (selector) => document.querySelector(selector);

const say = (state) => {
  if (state.state === "waiting" && state.position) return `Waiting for ${counted(state.position, "other run")}.`;
  const left = state.remaining === null ? "" : `, ${duration(state.remaining)} left`;
  return `${state.done} of ${counted(state.total, "image")} predicted${left}.`;
};

const watch = async () => {
  const place = find("[data-gallery]");
  if (!place) return;
  let shown = performance.now();
  await poll(place.dataset.gallery, (state) => {
    const now = find("[data-gallery]") ?? place;
    now.querySelector("progress").value = state.fraction;
    const text = now.querySelector("[data-gallery-text]");
    if (state.total && text.textContent !== say(state)) text.textContent = say(state);
    // Only the first page is replaced: further ones would be lost from under the pointer.
    if (performance.now() - shown > EVERY_MS && scrollY < innerHeight) {
      shown = performance.now();
      refresh(...PARTS);
    }
    return !["waiting", "running"].includes(state.state);
  });
  await refresh(...PARTS);
};

const begin = async (form) => {
  await modelLoaded();
  await askPatiently(`${root}/api/gallery`, { method: "POST" });
  form.removeAttribute("data-gallery-start");
  await refresh(...PARTS);
  await watch();
};

// ---- further pages ----------------------------------------------------------------------------------------

const next = () => /** @type {HTMLAnchorElement | null} */ (document.querySelector("[data-pages] [rel=next]"));
let loading = false;

// Until the next frame is drawn; a page in the background draws none.
const drawn = () => (document.hidden ? pause(0) : new Promise(requestAnimationFrame));

const near = () => {
  const pages = find("[data-pages]");
  return pages && pages.getBoundingClientRect().top < innerHeight + AHEAD;
};

const more = async () => {
  if (loading) return;
  loading = true;
  try {
    for (let link = next(); link && near(); link = next()) {
      const answer = await fetch(`${link.href}&part=images`, { cache: "no-store" });
      if (!answer.ok) break;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const [list, pages] = [...fresh.body.children];
      const items = [...list.children];
      list.replaceChildren();
      await drawn();
      // The list may have been refreshed in the meantime.
      if (link !== next()) continue;
      find("[data-pages]").before(list);
      while (items.length) {
        list.append(...items.splice(0, PIECE));
        await drawn();
      }
      if (link === next()) find("[data-pages]").replaceWith(pages);
    }
  } finally {
    loading = false;
  }
};
addEventListener("scroll", more, { passive: true });
document.addEventListener("refreshed", more);

// ---- filters ----------------------------------------------------------------------------------------------

const filters = /** @type {HTMLFormElement} */ (find("[data-filters]"));
filters?.addEventListener("change", () => {
  // Empty fields don't belong into the address.
  const fields = [...new FormData(filters)].map(([name, value]) => [name, String(value)]).filter(([, value]) => value);
  location.assign(`${filters.action}?${new URLSearchParams(fields)}`);
});

const start = find("[data-gallery-start]");
if (start) begin(start).catch(() => start.removeAttribute("data-gallery-start"));
else watch();
more();
