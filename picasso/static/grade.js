// How far a map can be trusted: its grade, part by part, with the curves drawn in the same axes.

import { make as drawn } from "./boxes.js";
import { make } from "./channel_card.js";
import { pause, root, send } from "./common.js";

const AGAIN_MS = 1500;
// The parts of a grade, in the order in which they are tested, and what is said meanwhile.
const PARTS = {
  curves: "hiding and showing pixels",
  weights: "trying random weights",
  fills: "trying another fill",
  flip: "flipping the image",
};
// The sides of a chart, and the room for its labels.
const [WIDTH, HEIGHT, LEFT, BELOW, ABOVE] = [260, 150, 38, 30, 8];

// The class of the line of an order.
const classOf = ({ order }) => `of-${order.replace(" ", "-")}`;

// What the areas under the curves are, in words.
const summary = (curves, kind) => curves.map((one) => `${one.order} ${one[`${kind}_area`].toFixed(3)}`).join(", ");

const figure = (curves, kind, quantity) => {
  const values = curves.flatMap((one) => [...one.deletion, ...one.insertion]);
  const [low, high] = [Math.min(0, ...values), Math.max(...values, quantity === "probability" ? 1 : 0)];
  const x = (share) => LEFT + share * (WIDTH - LEFT - 6);
  const y = (value) => ABOVE + (1 - (value - low) / (high - low || 1)) * (HEIGHT - ABOVE - BELOW);
  const what = kind === "deletion" ? "hidden" : "shown";
  const chart = drawn("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": `The ${quantity} while pixels are ${what}. Areas under the curves: ${summary(curves, kind)}.`,
  });
  chart.append(drawn("path", { class: "axis", d: `M${x(0)} ${ABOVE}V${y(low)}H${x(1)}` }));
  const label = (text, at, line, anchor) =>
    chart.append(drawn("text", { x: at, y: line, "text-anchor": anchor }, text));
  label(String(Number(high.toPrecision(3))), LEFT - 4, ABOVE + 8, "end");
  label(String(Number(low.toPrecision(3))), LEFT - 4, y(low), "end");
  label("0 %", x(0), HEIGHT - 16, "middle");
  label("100 %", x(1), HEIGHT - 16, "end");
  label(`of the pixels ${what}`, x(0.5), HEIGHT - 4, "middle");
  for (const one of [...curves].reverse()) {
    const points = one[kind].map(
      (value, step) => `${x(step / (one[kind].length - 1)).toFixed(1)},${y(value).toFixed(1)}`,
    );
    chart.append(drawn("polyline", { class: classOf(one), points: points.join(" ") }));
  }
  const better = kind === "deletion" ? "Deletion: lower is better" : "Insertion: higher is better";
  return make("figure", {}, chart, make("figcaption", {}, better));
};

const table = (curves) => {
  const heads = ["Order of the pixels", "Deletion", "Insertion", "Score"];
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const rows = curves.map((one) => {
    const key = make("span", { className: `key ${classOf(one)}` });
    const numbers = [one.deletion_area, one.insertion_area, one.score].map((value) => make("td", {}, value.toFixed(3)));
    const name = one.order === "map" ? "this map" : one.order;
    return make("tr", {}, make("th", { scope: "row" }, key, name), ...numbers);
  });
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
};

// Ask again as long as the server is busy and the user waits.
const patiently = async (document, signal) => {
  for (;;) {
    try {
      return await send(`${root}/api/grade`, document, { signal });
    } catch (error) {
      if (error.status !== 503 || signal.aborted) throw error;
      await pause(AGAIN_MS);
    }
  }
};

// Grade the map of a section of the page, and show what is found as it comes.
export const grade = async (section) => {
  const find = (name) => section.querySelector(`[data-grade-${name}]`);
  const [start, cancel, text, bar, sentence, charts] = ["start", "cancel", "text", "bar", "sentence", "charts"].map(
    find,
  );
  const asked = JSON.parse(section.dataset.grade);
  const stop = new AbortController();
  cancel.onclick = () => stop.abort();
  start.disabled = true;
  for (const one of [cancel, bar]) one.hidden = false;
  sentence.textContent = "";
  charts.replaceChildren();
  text.textContent = "";
  bar.value = 0;
  let done = 0;
  try {
    for (const [part, words] of Object.entries(PARTS)) {
      text.textContent = `Testing the map: ${words} …`;
      const found = await patiently({ ...asked, part }, stop.signal);
      // The user may have gone to another map in the meantime.
      if (!section.isConnected) return;
      sentence.textContent = `${sentence.textContent} ${found.sentence}`.trim();
      if (found.curves.length) {
        const both = ["deletion", "insertion"].map((kind) => figure(found.curves, kind, found.quantity));
        charts.replaceChildren(...both, table(found.curves));
      }
      done += 1;
      bar.value = done / Object.keys(PARTS).length;
    }
    text.textContent = "All tests are done.";
  } catch (error) {
    text.textContent = stop.signal.aborted ? "Cancelled." : error.message;
  } finally {
    start.disabled = false;
    // The button that has the focus must not vanish with it.
    if (document.activeElement === cancel) start.focus({ preventScroll: true });
    for (const one of [cancel, bar]) one.hidden = true;
  }
};
