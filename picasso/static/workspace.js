// The workspace: links and settings replace parts of the page, and missing maps are computed at once.

import { ask, every, modelLoaded, pause, poll, root, send } from "./common.js";
import "./map_probe.js";
import { facts, legendOf, paint, rangeOf } from "./maps.js";

const PARTS = ["strip", "stage", "questions"];
// The time between two looks at a run, in milliseconds: short at first, because quick maps need less.
const [FIRST_MS, GROWTH, LONGEST_MS] = [60, 1.3, 400];

/** @type {(selector: string, within?: ParentNode) => HTMLElement | null} */
const find = (selector, within = document) => within.querySelector(selector);
const part = (name, within = document) => find(`.workspace > .${name}`, within);

// The current view; what belongs to an older one is dropped.
let turn = 0;
// The runs that this page has started and that are not done yet.
const started = new Set();

// ---- showing a view -----------------------------------------------------------------------------------------

const page = async (url, options = {}) => {
  const answer = await fetch(url, { cache: "no-store", headers: { Accept: "text/html" }, ...options });
  const body = new DOMParser().parseFromString(await answer.text(), "text/html");
  const told = find(".notice p", body) ?? find(".notice", body);
  const message = answer.ok ? "" : (told?.textContent ?? `The server responded with status ${answer.status}.`);
  return { url: answer.url, body, message, status: answer.status };
};

// Images are decoded before they are shown, so that the page does not flicker.
const decoded = (body) =>
  Promise.race([
    Promise.all([...body.querySelectorAll(".main img")].map((image) => image.decode().catch(() => {}))),
    pause(1000),
  ]);

const complain = (message) => {
  const notice = document.createElement("div");
  notice.className = "notice wrong";
  notice.setAttribute("role", "alert");
  notice.textContent = message;
  find("[data-notices]").replaceChildren(notice);
};

// What the user has unfolded stays so, and the focus and the place of scrolling stay where they were.
const keep = (old, fresh) => {
  every(
    "details[data-fold]",
    (one) => {
      const now = find(`details[data-fold="${one.dataset.fold}"]`, fresh);
      if (now && one.open) now.setAttribute("open", "");
    },
    old,
  );
  // Nor do costs that are known vanish and come back.
  every(
    "[data-cost]:not(:empty)",
    (one) => {
      const now = find(`[data-cost="${CSS.escape(one.dataset.cost)}"]`, fresh);
      if (now) now.textContent = one.textContent;
    },
    old,
  );
};

const runsIn = (within) =>
  [...within.querySelectorAll(".progress")].map((one) => /** @type {HTMLElement} */ (one).dataset.runId).join();

// Replace a part. The line of a run that goes on stays in place, because its button may just be pressed.
const renew = (old, fresh) => {
  const [line, now] = [find(".subject-line", old), find(".subject-line", fresh)];
  if (!line || !runsIn(line) || runsIn(line) !== runsIn(now)) {
    old.replaceWith(fresh);
    return fresh;
  }
  for (const one of ["h2", ".file", ".turn"]) find(one, line).replaceWith(find(one, now));
  while (line.nextSibling) line.nextSibling.remove();
  while (now.nextSibling) old.append(now.nextSibling);
  old.dataset.complete = fresh.dataset.complete;
  return old;
};

// What the server sent for each part: a part that has not changed is left alone.
const sent = new WeakMap();

// Note that the page itself has changed the part around an element, so that it is replaced in any case.
export const changed = (element) => sent.delete(element.closest(".workspace > *"));

// Put the parts of a fresh page in place. `own` tells whether the user asked for it.
const swap = (body, own) => {
  const { activeElement: focused } = document;
  const key = /** @type {HTMLElement} */ (focused)?.dataset?.key;
  const name = /** @type {HTMLInputElement} */ (focused)?.name;
  const whole = [document, body].some((one) => !find("[data-workspace]", one));
  // From the first image on there is a workspace, and until the last one.
  if (whole) {
    for (const fresh of PARTS.map((one) => part(one, body)).filter(Boolean)) sent.set(fresh, fresh.outerHTML);
    find("#main").replaceChildren(...find("#main", body).childNodes);
  }
  for (const one of whole ? [] : PARTS) {
    const [old, fresh] = [part(one), part(one, body)];
    const now = fresh.outerHTML;
    // Nor is the strip replaced while an image of it is dragged.
    if (sent.get(old) === now || find(".moving", old)) continue;
    keep(old, fresh);
    const list = find(".thumbs", old);
    const offset = list && [list.scrollTop, list.scrollLeft];
    // A field in use is not replaced under the hands of the user.
    if (!own && one === "questions" && old.contains(focused) && focused.matches("input:not([type=range])")) {
      find("nav", old).replaceWith(find("nav", fresh));
      sent.delete(old);
      continue;
    }
    // The form of uploads stays the same: a file may just be being chosen, and it shows the progress.
    const upload = find("form.drop", old);
    if (upload) find("form.drop", fresh)?.replaceWith(upload);
    sent.set(renew(old, fresh), now);
    if (offset) [find(".thumbs", fresh).scrollTop, find(".thumbs", fresh).scrollLeft] = offset;
  }
  if (!whole) find(".labels-notice")?.replaceWith(find(".labels-notice", body));
  document.title = body.title;
  if (!whole) find("h1").textContent = find("h1", body).textContent;
  const again = key
    ? find(`[data-key="${CSS.escape(key)}"]`)
    : name
      ? find(`.workspace [name="${CSS.escape(name)}"]`)
      : null;
  if (again && document.activeElement !== again) again.focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("refreshed"));
};

// Scroll the strip, and nothing else, until the current image is in it.
const reveal = () => {
  const image = find(".thumbs .current");
  for (let box = image?.parentElement; box && !box.matches(".workspace"); box = box.parentElement) {
    const [here, there] = [image.getBoundingClientRect(), box.getBoundingClientRect()];
    if (box.scrollHeight > box.clientHeight)
      box.scrollTop += Math.min(0, here.top - there.top) + Math.max(0, here.bottom - there.bottom);
    if (box.scrollWidth > box.clientWidth)
      box.scrollLeft += Math.min(0, here.left - there.left) + Math.max(0, here.right - there.right);
  }
};

// Where the questions lie below the map, an answer may be far above.
const showAnswer = () => {
  const stage = find(".stage");
  if (stage && stage.getBoundingClientRect().top < -innerHeight / 2) stage.scrollIntoView({ block: "start" });
};

// The address that is being loaded because the user asked for it, or "".
let heading = "";

// Show the view of an address, and tell whether it is shown: not if there was an error or the user went on.
// `how` is "push" for what the user did, "replace" for the same view again, and "none" for going back.
export const show = async (url, { how = "push", options = {}, scroll = true } = {}) => {
  turn += 1;
  const mine = turn;
  heading = how === "push" && !("method" in options) ? url : "";
  find("[data-workspace]")?.setAttribute("data-busy", "");
  try {
    const answer = await page(url, options);
    await decoded(answer.body);
    if (mine !== turn) return false;
    if (answer.message && !find("[data-workspace], .start", answer.body)) {
      complain(answer.message);
      return false;
    }
    // What was told about an upload stays until the user goes on.
    if (how === "push") find("[data-notices]")?.replaceChildren();
    if (how === "push" && answer.url !== location.href) history.pushState(null, "", answer.url);
    else if (how !== "none") history.replaceState(null, "", answer.url);
    swap(answer.body, how !== "replace");
    if (scroll) reveal();
    proceed(mine);
    return true;
  } catch (error) {
    if (mine === turn)
      complain(error instanceof TypeError ? "The server does not respond. Is it still running?" : error.message);
    return false;
  } finally {
    if (mine === turn) {
      heading = "";
      find("[data-workspace]")?.removeAttribute("data-busy");
    }
  }
};

// ---- computing it -------------------------------------------------------------------------------------------

// Maps that nobody waits for any more are stopped, so that the next one starts at once.
const abandon = () => {
  const wanted = new Set(
    [...document.querySelectorAll("[data-run-id]")].map((one) => /** @type {HTMLElement} */ (one).dataset.runId),
  );
  for (const run of started) {
    if (wanted.has(run)) continue;
    started.delete(run);
    const form = new FormData();
    fetch(`${root}/view/${run}/cancel`, { method: "POST", body: form, redirect: "manual" }).catch(() => {});
  }
};

// Nobody waits any more once the page is left.
addEventListener("pagehide", () => {
  for (const run of started) navigator.sendBeacon(`${root}/view/${run}/cancel`, new FormData());
});

const words = (state) => {
  if (state.state === "waiting") return state.position ? `waiting for ${state.position} other jobs.` : null;
  if (state.compiling && !state.fraction)
    return `compiling the model (only once), about ${Math.max(1, Math.round(state.compiling))} s.`;
  return `${Math.round(100 * state.fraction)}%`;
};

// Follow a run; resolves as soon as there is something new to show.
const follow = async (run, mine) => {
  let wait = FIRST_MS;
  let seen;
  for (;;) {
    await pause(wait);
    if (mine !== turn) return;
    wait = Math.min(LONGEST_MS, wait * GROWTH);
    const state = await ask(run.dataset.watch).catch((error) => error);
    if (state.status === 404) return;
    if (state instanceof Error) continue;
    const [text, bar] = [find("[data-run-text]", run), find("progress", run)];
    const told = words(state);
    if (text && told && told !== text.textContent) text.textContent = told;
    if (bar) /** @type {HTMLProgressElement} */ (bar).value = state.fraction;
    if (!["waiting", "running"].includes(state.state)) {
      started.delete(run.dataset.runId);
      return;
    }
    if (seen !== undefined && seen !== state.preview) return;
    seen = state.preview;
  }
};

// After a view is shown: compute what is missing, and look again when there is more to see.
const proceed = async (mine) => {
  abandon();
  const runs = [...document.querySelectorAll("[data-watch]")];
  if (!runs.length) {
    /** @type {HTMLFormElement | null} */
    const form = document.querySelector("form[data-compute]:not([data-failed])");
    if (!form) predictAll(mine);
    if (!form || stopped.has(location.search)) return;
    await modelLoaded();
    if (mine === turn) compute(form);
    return;
  }
  await Promise.race(runs.map((run) => follow(run, mine)));
  if (mine === turn) show(location.href, { how: "replace", scroll: false });
};

const compute = async (form) => {
  const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
  if (await show(form.action, { how: "replace", options: { method: "POST", body }, scroll: false }))
    every("[data-run-id]", (run) => started.add(run.dataset.runId));
};

// When the map is there: predict the images of the strip, and show what is known.
let predicting = false;
// Whether a view that was shown in the meantime has images without a prediction, too.
let askedAgain = false;
const predictAll = async (mine) => {
  if (!find("[data-unpredicted]")) return;
  if (predicting) {
    askedAgain = true;
    return;
  }
  predicting = true;
  askedAgain = false;
  const url = `${root}/api/gallery`;
  try {
    await modelLoaded();
    await send(url, {});
    await poll(url, ({ state }) => !["waiting", "running"].includes(state));
  } catch {
    // The gallery tells what is wrong.
    return;
  } finally {
    predicting = false;
  }
  // What the user has asked for in the meantime asks for its own predictions.
  if (find("[data-busy]")) return;
  if (mine === turn || askedAgain) show(location.href, { how: "replace", scroll: false });
};

// Views whose computation the user has cancelled: they start again only on request.
const stopped = new Set();

// ---- what the user does -------------------------------------------------------------------------------------

const plain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);

document.addEventListener("click", (/** @type {MouseEvent & { target: HTMLElement }} */ event) => {
  /** @type {HTMLAnchorElement | null} */
  const link = event.target.closest("a[data-in-place]");
  if (!link || !plain(event)) return;
  event.preventDefault();
  const asked = link.closest(".questions");
  show(link.href).then((shown) => shown && asked && showAnswer());
});

document.addEventListener("submit", (/** @type {SubmitEvent & { target: HTMLFormElement }} */ event) => {
  const form = event.target;
  if (form.matches("[data-compute]")) {
    event.preventDefault();
    stopped.delete(location.search);
    compute(form);
  } else if (form.matches("[data-cancel]")) {
    event.preventDefault();
    stopped.add(location.search);
    const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
    show(form.action, { how: "replace", options: { method: "POST", body }, scroll: false });
  } else if (form.matches("[data-settings]")) {
    event.preventDefault();
    change(form, event.submitter);
  }
});

// Only settings that differ from the defaults stay in the address if the method was not chosen by itself.
const change = (form, submitter = null) => {
  const query = new URLSearchParams(/** @type {any} */ (new FormData(form, submitter)));
  // A suggestion that was chosen replaces the value of its field.
  for (const [name, value] of [...query].filter(([key]) => key.startsWith("use:"))) {
    query.set(name.slice("use:".length), value);
    query.delete(name);
  }
  query.delete("wrong");
  if (!query.get("target")) query.delete("target");
  show(`${form.action}?${query}`);
};

document.addEventListener("change", (/** @type {Event & { target: HTMLInputElement }} */ { target }) => {
  const form = /** @type {HTMLFormElement | null} */ (target.closest("form[data-settings]"));
  if (form) change(form);
});

addEventListener("popstate", () => {
  if (find("[data-workspace]")) show(location.href, { how: "none" });
});

// Samples are added without leaving the page.
document.addEventListener("submit", (/** @type {SubmitEvent & { target: HTMLFormElement }} */ event) => {
  const form = event.target;
  if (!form.closest("[data-part=images]") || !form.action.endsWith("/samples")) return;
  event.preventDefault();
  const body = new URLSearchParams(/** @type {any} */ (new FormData(form, event.submitter)));
  show(form.action, { options: { method: "POST", body } });
});

// Left and right change the image, 1 to 9 the target, and o hides the map for as long as it is held.
const typing = (target) => target.closest?.("input, select, textarea, dialog, [contenteditable], a.map");

document.addEventListener("keydown", (/** @type {KeyboardEvent & { target: HTMLElement }} */ event) => {
  if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  /** @type {string | null | undefined} */
  let url = null;
  if (event.key === "ArrowLeft") url = turned(-1);
  else if (event.key === "ArrowRight") url = turned(1);
  else if (/^[1-9]$/.test(event.key)) url = linkOf(document.querySelectorAll(".targets-row a")[Number(event.key) - 1]);
  else if (event.key === "o" && !event.repeat) bare(true);
  if (url) {
    event.preventDefault();
    show(url);
  }
});

const linkOf = (link) => /** @type {HTMLAnchorElement | null} */ (link)?.href;

// The address of the next image, or the one before. Who presses keys faster than views are loaded goes on from the last.
const turned = (places) => {
  if (!heading) return linkOf(document.querySelector(`[data-turn='${places}']`));
  const url = new URL(heading, location.href);
  const images = [...document.querySelectorAll(".thumbs li")].map(
    (one) => /** @type {HTMLElement} */ (one).dataset.uid,
  );
  const at = images.indexOf(url.searchParams.get("image") ?? find(".thumbs .current")?.dataset.uid);
  const next = images[at + places];
  if (at < 0 || next === undefined) return null;
  url.searchParams.set("image", next);
  url.searchParams.delete("target");
  return url.href;
};
addEventListener("keyup", ({ key }) => {
  if (key === "o") bare(false);
});

// ---- the map over the image ---------------------------------------------------------------------------------

// Show the image without its map, or with it again.
const bare = (without) => {
  find(".stage")?.classList.toggle("bare", without);
  find("[data-bare]")?.setAttribute("aria-pressed", String(without));
  every(".main a.map", (map) => {
    const image = map.querySelector("img");
    if (without && !image.dataset.withMap) {
      image.dataset.withMap = image.getAttribute("src");
      image.src = map.dataset.view;
    } else if (!without && image.dataset.withMap) {
      image.src = image.dataset.withMap;
      delete image.dataset.withMap;
    }
  });
};

// Draw the map with the opacity of the slider, if it is not the server's.
const fade = async (slider) => {
  const map = find(".main a.map");
  if (!map) return;
  bare(false);
  const { colours, signedColours } = slider.dataset;
  const how = {
    colours: facts(map).centre === null ? colours : signedColours,
    range: rangeOf(map, "own", []),
    opacity: Number(slider.value) / 100,
  };
  await paint(map, how);
  const legend = /** @type {HTMLImageElement | null} */ (find(".legend img", map.parentElement));
  if (legend) legend.src = await legendOf(map, how);
};
const fadeAll = () => {
  const slider = /** @type {HTMLInputElement | null} */ (find("input[data-opacity]"));
  if (slider?.dataset.opacity) fade(slider).catch(() => {});
};

document.addEventListener("input", (/** @type {Event & { target: HTMLInputElement }} */ { target }) => {
  if (target.matches("input[data-opacity]")) fade(target).catch(() => {});
});
document.addEventListener("change", (/** @type {Event & { target: HTMLInputElement }} */ { target }) => {
  if (!target.matches("input[data-opacity]")) return;
  const query = new URLSearchParams(location.search);
  query.set("opacity", target.value);
  show(`${location.pathname}?${query}`, { how: "replace", scroll: false });
});
document.addEventListener("click", (/** @type {MouseEvent & { target: HTMLElement }} */ { target }) => {
  const button = target.closest("[data-bare]");
  if (button) bare(button.getAttribute("aria-pressed") !== "true");
});

document.addEventListener("click", async (/** @type {MouseEvent & { target: HTMLElement }} */ { target }) => {
  const button = target.closest("[data-grade-start]");
  if (button) (await import("./grade.js")).grade(button.closest("[data-grade]"));
});

// The cost of each method is asked for when the list of methods is opened.
document.addEventListener(
  "toggle",
  async (/** @type {Event & { target: HTMLDetailsElement }} */ { target }) => {
    if (!target.open || !target.matches(".methods")) return;
    const { estimate } = await import("./settings_form.js");
    every("[data-cost]:empty", (place) => {
      place.dataset.estimate = place.dataset.cost;
      place.dataset.count = "1";
      estimate(place);
    });
  },
  true,
);

// ---- the sides of the image ---------------------------------------------------------------------------------

// The images that fill the stage; legends do not.
const SIZED = ".main .map > img, .main .panel > img, .main > img";

// The image is as large as the window permits; its own ratio decides which side is the limit.
const measure = (image) => {
  if (image.naturalWidth)
    image.closest(".main")?.style.setProperty("--ratio", String(image.naturalWidth / image.naturalHeight));
};
document.addEventListener(
  "load",
  (/** @type {Event & { target: HTMLElement }} */ { target }) => target.matches?.(SIZED) && measure(target),
  true,
);
const measureAll = () => every(SIZED, (image) => image.complete && measure(image));
document.addEventListener("refreshed", () => {
  measureAll();
  fadeAll();
});

measureAll();
fadeAll();
if (find("[data-workspace]")) proceed(turn);
