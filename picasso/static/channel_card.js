// What is known about a channel in many images: in words, as exemplars, and as a file.

import { counted } from "./common.js";
import { TOLD } from "./told.js";

const EXEMPLARS = 10;

export const short = (value) => String(Number(value.toPrecision(3)));

/** @type {<K extends keyof HTMLElementTagNameMap>(kind: K, attributes?: any, ...children: any[]) => HTMLElementTagNameMap[K]} */
export const make = (kind, attributes = {}, ...children) => {
  const made = document.createElement(kind);
  Object.assign(made, attributes);
  made.append(...children);
  return made;
};

export const titled = ({ channel, name }) => (name ? `${name} (${channel})` : `Channel ${channel}`);

// The answers whose place of a kind is strongest.
export const best = (answers, kind) =>
  answers
    .filter((one) => one[kind])
    // Where an activation has a maximum, such as 6, many have it.
    .sort((one, other) => other[kind].value - one[kind].value || other.mean - one.mean)
    .slice(0, EXEMPLARS);

// In words: which predictions change, the most frequent change first.
export const summary = (answers, words, task) => {
  const { flips } = TOLD[task];
  const changes = answers.filter(({ flipped }) => flipped);
  if (task !== "classification")
    return flips
      ? `${words}, ${counted(changes.length, "image")} of ${answers.length} ${flips[changes.length === 1 ? 0 : 1]}.`
      : `${words}, the mean absolute change of the scores is ${short(answers.reduce((sum, one) => sum + one.shift, 0) / answers.length)}.`;
  if (!changes.length) return `${words}, no predicted class changes in ${counted(answers.length, "image")}.`;
  const [among, pairs] = [new Map(), new Map()];
  const first = ([one]) => one.name;
  for (const { before } of answers) among.set(first(before), (among.get(first(before)) ?? 0) + 1);
  for (const { before, after } of changes) {
    const key = JSON.stringify([first(before), first(after)]);
    pairs.set(key, (pairs.get(key) ?? 0) + 1);
  }
  return [...pairs]
    .sort(([, one], [, other]) => other - one)
    .map(([key, count]) => {
      const [was, is] = JSON.parse(key);
      return `${words}, ${count} of ${counted(among.get(was), "image")} predicted as ${was} ${count === 1 ? "becomes" : "become"} ${is}.`;
    })
    .join(" ");
};

export const crops = (answers, kind) =>
  answers.map((one) =>
    make(
      "li",
      {},
      make("img", { src: one[kind].crop, alt: `${one.name}, the part that the value depends on` }),
      one.name,
      make("br"),
      `${short(one[kind].value)}${one.before[0]?.name ? `, ${one.before[0].name}` : ""}`,
    ),
  );

// ---- as a file --------------------------------------------------------------------------------------------

const CARD_STYLE = `body { font: 16px/1.4 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
figure { display: inline-block; margin: 0 0.5rem 1rem 0; width: 8rem; vertical-align: top; font-size: 0.8rem; }
figure img { width: 8rem; height: 8rem; object-fit: contain; object-position: left top; }
.map { position: relative; width: 20rem; } .map img { width: 100%; height: auto; }
.map img + img { position: absolute; inset: 0; height: 100%; image-rendering: pixelated; }`;

// A page with all that is known about the channel, which needs no server.
export const card = ({ channel, layer, model, image, view, words, found }) => {
  const title = `${titled(channel)} of ${layer}`;
  const exemplars = (/** @type {any[]} */ answers, kind) =>
    answers.map((answer) =>
      make(
        "figure",
        {},
        make("img", { src: answer[kind].crop, alt: answer.name }),
        make("figcaption", {}, `${answer.name}: ${short(answer[kind].value)}`),
      ),
    );
  const map = make("p", { className: "map" }, make("img", { src: view, alt: image }));
  map.append(make("img", { src: channel.map, alt: "the map of the channel" }));
  const body = make(
    "body",
    {},
    make("h1", {}, title),
    make("p", {}, `${model}. Its mean is ${short(found.mean)} in ${counted(found.images, "image")}.`),
    make("p", {}, words),
    make("h2", {}, image),
    map,
    make("h2", {}, "Where it is strongest"),
    ...exemplars(found.activation ?? [], "activation"),
    make("h2", {}, "Where it speaks most for the prediction"),
    ...exemplars(found.relevance ?? [], "relevance"),
  );
  const head = make("head", {}, make("meta"), make("title", {}, title), make("style", {}, CARD_STYLE));
  head.firstElementChild.setAttribute("charset", "utf-8");
  const html = make("html", { lang: "en" }, head, body);
  return new Blob(["<!doctype html>", html.outerHTML], { type: "text/html" });
};
