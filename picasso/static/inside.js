// The page "Inside the network": the channels of a layer for an image, and what happens if one of them is changed.

import { best, card, crops, make, short, summary, titled } from "./channel_card.js";
import { ask as get, counted, inTurn, modelLoaded, pause, refresh, root, send } from "./common.js";
import { searchConcepts } from "./concepts.js";
import { stage } from "./mask_editor.js";
import { TOLD } from "./told.js";

// The number of channels that are shown at first, and added with each click.
const COUNT = 48;
// Requests about many images are split, so that the server can answer others in between.
const PART = 16;
const AGAIN_MS = 1500;

/** @type {HTMLElement} */
const page = document.querySelector("[data-inside]");
/** @type {(name: string) => any} */
const find = (name) => page.querySelector(`[data-${name}]`);
/** @type {HTMLFormElement & { elements: any }} */
const sheet = find("sheet");
/** @type {HTMLFormElement & { elements: any }} */
const edit = find("edit");
const { uid, layer, images } = page.dataset;
const { number, bars, verdict } = TOLD[page.dataset.task];

// Ask again as long as the server is busy.
const patiently = async (url, document) => {
  for (;;) {
    try {
      return await send(url, document);
    } catch (error) {
      if (error.status !== 503) throw error;
      await pause(AGAIN_MS);
    }
  }
};

// ---- the contact sheet ------------------------------------------------------------------------------------

let region = null;
/** @type {any} */
let known = { channels: [], total: 0, view: "" };
/** @type {any} */
let chosen = null;

const question = (more) => ({
  image: Number(uid),
  layer,
  order: sheet.elements.order.value,
  ...(sheet.elements.target.value.trim() ? { target: sheet.elements.target.value.trim() } : {}),
  ...(region ? { region } : {}),
  ...more,
});

const entry = (one) => {
  const view = make("img", { src: known.grey, alt: "" });
  const map = make("img", { src: one.map, alt: "" });
  const relevance = one.relevance === null ? "" : `, relevance ${short(one.relevance)}`;
  const button = make(
    "button",
    { type: "button" },
    make("span", { className: "stack" }, view, map),
    make("strong", {}, titled(one)),
    make("br"),
    `mean ${short(one.activation)}${relevance}`,
  );
  button.dataset.of = String(one.channel);
  button.setAttribute("aria-pressed", String(one.channel === chosen?.channel));
  button.addEventListener("click", () => choose(one));
  return make("li", {}, button);
};

// Answers to earlier questions are discarded.
let round = 0;
const load = async (more = false) => {
  // The browser may restore an order of a region that is not known any more.
  if (!region && sheet.elements.order.value === "region") sheet.elements.order.value = "relevance";
  image.mark(sheet.elements.order.value === "region" ? region : null);
  round += 1;
  const mine = round;
  const start = more ? known.channels.length : 0;
  find("sheet-text").textContent = "Loading…";
  try {
    const found = await patiently(page.dataset.inside, question({ start, count: COUNT }));
    if (mine !== round) return;
    known = more ? { ...found, channels: [...known.channels, ...found.channels] } : found;
  } catch (error) {
    if (mine === round) find("sheet-text").textContent = error.message;
    return;
  }
  const { channels, total, target, note } = known;
  const about = target ? ` Relevance is the value times the gradient of the score of ${target.name}, summed.` : "";
  find("sheet-text").textContent = `${channels.length} of ${counted(total, "channel")}.${about}`;
  find("place").textContent = note;
  find("maps").replaceChildren(...channels.map(entry));
  find("more").hidden = channels.length >= total;
  // The button may be gone, and with it the place of the keyboard.
  if (more) /** @type {HTMLElement} */ (page.querySelectorAll("[data-of]")[start])?.focus({ preventScroll: true });
  if (!chosen) await image.show(known.view);
};

// The channel of the address may not be among the first.
const fromAddress = async () => {
  const wanted = page.dataset.channel;
  if (/^\d{1,6}$/.test(wanted ?? "")) await show(Number(wanted));
};

const show = async (index) => {
  const { channels } = await patiently(page.dataset.inside, question({ only: [index] }));
  choose(channels[0]);
};

const complain = (error) => {
  find("sheet-text").textContent = error.message;
};

const image = stage(page.querySelector("canvas"), {
  tool: () => "box",
  brush: () => 0,
  begin: () => {},
  change: () => {},
  done: (shape) => {
    const [left, top, right, bottom] = shape.box;
    // A click without a drag chooses nothing.
    region = right - left > 0.005 && bottom - top > 0.005 ? [left, top, right, bottom] : null;
    sheet.elements.order.querySelector("[value=region]").disabled = !region;
    if (region) sheet.elements.order.value = "region";
    load();
  },
});

// ---- the chosen channel -----------------------------------------------------------------------------------

const press = () => {
  for (const button of page.querySelectorAll("[data-of]"))
    button.setAttribute(
      "aria-pressed",
      String(/** @type {HTMLElement} */ (button).dataset.of === String(chosen.channel)),
    );
  for (const field of page.querySelectorAll("[data-of-channel]"))
    /** @type {HTMLElement} */ (field).hidden = chosen.channel === undefined;
  find("chosen").hidden = false;
  find("card").hidden = chosen.channel === undefined;
  find("verdict").textContent = "";
  find("verdict").classList.remove("flipped");
  edit.elements.scale.value = 0;
  edit.querySelector("output").value = "0";
  page.querySelector(".stage").scrollIntoView({ block: "nearest" });
};

const choose = (one) => {
  chosen = one;
  cancel();
  const address = new URL(location.href);
  address.searchParams.set("layer", layer);
  address.searchParams.set("channel", one.channel);
  history.replaceState(null, "", address);
  find("channel-title").textContent = `${titled(one)} of ${layer}`;
  find("legend").textContent = `The colours range from ${short(one.low)} to ${short(one.high)}.`;
  if (find("preferred")) find("preferred").href = `${find("preferred").dataset.address}&Channels=${one.channel}`;
  edit.elements.name.value = one.name;
  edit.elements.mean.checked = false;
  edit.elements.mean.disabled = true;
  find("mean").textContent = "";
  for (const name of ["found", "strongest", "relevant"]) find(name).replaceChildren();
  for (const name of ["strongest-title", "relevant-title", "save"]) find(name).hidden = true;
  image.show(known.grey, one.map);
  press();
  ask();
};

// A concept: the number, and the address to ask about it.
const chooseConcept = (one) => {
  chosen = one;
  cancel();
  edit.elements.mean.checked = false;
  find("channel-title").textContent = `Concept ${one.concept} of ${layer}`;
  find("legend").textContent = "";
  press();
  ask();
};

/** @type {number | null} */
let mean = null;
const change = () =>
  edit.elements.mean.checked && mean !== null ? { value: mean } : { scale: Number(edit.elements.scale.value) };
const told = () => {
  const { scale, value } = /** @type {any} */ (change());
  const what = chosen.channel === undefined ? `concept ${chosen.concept}` : `channel ${chosen.channel}`;
  if (value !== undefined) return `With ${what} set to ${short(value)}`;
  return scale ? `With ${what} multiplied by ${scale}` : `Without ${what}`;
};

const row = ({ name, unit, before, after }) => {
  const meters = bars
    ? [before, after].map((value, index) => {
        const meter = make("meter", { value: value ?? 0 });
        meter.setAttribute("aria-label", `${name}, ${index ? "changed" : "as it is"}`);
        return meter;
      })
    : [];
  const written = [before, after].map((value) => make("td", {}, value === null ? "–" : number(value)));
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, unit ? `${name} (${unit})` : name),
    ...written,
    make("td", {}, ...meters),
  );
};

const ask = inTurn(async () => {
  const [asked, words] = [chosen, told()];
  try {
    const about = { images: [Number(uid)], ...change() };
    const { answers } =
      asked.channel === undefined
        ? await patiently(asked.address, { ...about, concept: asked.concept, maps: !asked.shown })
        : await patiently(page.dataset.channelUrl, { ...about, layer, channel: asked.channel });
    if (asked !== chosen) return;
    if (answers[0].map) {
      asked.shown = true;
      await image.show(known.grey, answers[0].map);
      if (asked !== chosen) return;
      find("legend").textContent = `The colours range from 0 to ${short(answers[0].largest)}.`;
    }
    find("verdict").textContent = `${words}: ${lowered(verdict(answers[0], true))}`;
    find("verdict").classList.toggle("flipped", answers[0].flipped);
    page.querySelector("tbody[data-classes]").replaceChildren(...answers[0].classes.map(row));
  } catch (error) {
    find("verdict").textContent = error.message;
  }
});

// The start of a sentence behind a colon; a name stays as it is.
const lowered = (sentence) => sentence.replace(/^The /, "the ").replace(/^All /, "all ");

edit.addEventListener("input", ({ target }) => {
  if (/** @type {HTMLInputElement} */ (target).name === "scale") edit.elements.mean.checked = false;
  if (/** @type {HTMLInputElement} */ (target).name !== "name") ask();
});
edit.addEventListener("submit", (event) => event.preventDefault());

const rename = async () => {
  const [one, name] = [chosen, edit.elements.name.value.trim()];
  try {
    await send(page.dataset.nameUrl, { layer, channel: one.channel, name }, { method: "PUT" });
  } catch (error) {
    find("verdict").textContent = error.message;
    return;
  }
  for (const other of [...known.channels, one]) if (other.channel === one.channel) other.name = name;
  page.querySelector(`[data-of="${one.channel}"] strong`)?.replaceChildren(titled(one));
  if (one === chosen) find("channel-title").textContent = `${titled(one)} of ${layer}`;
  await refresh(".layers");
};
edit.elements.name.addEventListener("change", rename);

// ---- the card as a file -----------------------------------------------------------------------------------

/** @type {any} */
let saved = null;
const save = () => {
  const { name, model } = page.dataset;
  const words = find("found").textContent;
  const file = card({ channel: chosen, layer, model, image: name, view: known.grey, words, found: saved });
  const address = URL.createObjectURL(file);
  make("a", { href: address, download: `${layer.replaceAll(/[^\w.-]/g, "_")}-channel-${chosen.channel}.html` }).click();
  URL.revokeObjectURL(address);
};

// ---- all images -------------------------------------------------------------------------------------------

let searching = 0;
const cancel = () => {
  searching += 1;
  find("cancel").hidden = true;
  find("search-progress").hidden = true;
  find("search").disabled = false;
};

const parts = (list) =>
  Array.from({ length: Math.ceil(list.length / PART) }, (_, at) => list.slice(at * PART, (at + 1) * PART));

const search = async () => {
  cancel();
  const mine = searching;
  const bar = find("search-progress");
  find("search").disabled = true;
  find("cancel").hidden = false;
  bar.hidden = false;
  bar.value = 0;
  const [one, words] = [chosen, told()];
  const body = { layer, channel: one.channel, ...change() };
  const answers = [];
  // Some may have been removed since the page was loaded.
  const kept = new Set((await get(`${root}/api/images`)).images.map(({ uid: of }) => of));
  if (mine !== searching) return;
  const uids = images
    .split(" ")
    .map(Number)
    .filter((of) => kept.has(of));
  for (const some of parts(uids)) {
    const found = await patiently(page.dataset.channelUrl, { ...body, images: some });
    if (mine !== searching) return;
    answers.push(...found.answers);
    bar.value = answers.length / uids.length;
    find("found").textContent = summary(answers, words, page.dataset.task);
  }
  const top = {};
  mean = answers.reduce((sum, { mean: value }) => sum + value, 0) / answers.length;
  find("mean").textContent = `(${short(mean)})`;
  edit.elements.mean.disabled = false;
  for (const [kind, place] of [
    ["activation", "strongest"],
    ["relevance", "relevant"],
  ]) {
    const first = best(answers, kind);
    find(`${place}-title`).hidden = !first.length;
    if (!first.length) continue;
    const found = await patiently(page.dataset.channelUrl, {
      ...body,
      images: first.map(({ uid: of }) => of),
      crops: true,
    });
    if (mine !== searching) return;
    find(place).replaceChildren(...crops(found.answers, kind));
    top[kind] = found.answers;
  }
  saved = { ...top, mean, images: answers.length };
  find("save").hidden = false;
  cancel();
};

find("search").addEventListener("click", () =>
  search().catch((error) => {
    cancel();
    find("found").textContent = error.message;
  }),
);
find("cancel").addEventListener("click", cancel);
find("save").addEventListener("click", save);
find("more").addEventListener("click", () => load(true));
// The address, and the links to other layers, keep the order and the target; a region belongs to this view alone.
const remember = () => {
  const { order, target } = sheet.elements;
  const words = {
    order: ["relevance", "region"].includes(order.value) ? "" : order.value,
    target: target.value.trim(),
  };
  const kept = (from) => {
    const address = new URL(from);
    for (const [name, value] of Object.entries(words))
      if (value) address.searchParams.set(name, value);
      else address.searchParams.delete(name);
    return address.href;
  };
  history.replaceState(null, "", kept(location.href));
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (page.querySelectorAll(".layers a")))
    link.href = kept(link.href);
};
sheet.addEventListener("change", () => {
  remember();
  load();
});
sheet.addEventListener("submit", (event) => event.preventDefault());

searchConcepts(page, { layer, show: chooseConcept, channel: (index) => show(index).catch(complain) });

page.querySelector(".layers [aria-current]")?.scrollIntoView({ block: "nearest" });
modelLoaded().then(async () => {
  // The layers are not known before; the address may name one.
  if (!page.querySelector(".layers a")) return location.reload();
  await load();
  await fromAddress().catch(complain);
});
