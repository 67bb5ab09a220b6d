// The page "What if I hide this?": paint on the image and see how the output changes.

import { drawBoxes } from "./boxes.js";
import { counted, every, inTurn, modelLoaded, pause, send } from "./common.js";
import { stage } from "./mask_editor.js";
import { TOLD } from "./told.js";

// Requests about many images are split, so that the server can answer others in between.
const PART = 16;
const AGAIN_MS = 1500;

/** @type {HTMLElement} */
const section = document.querySelector("[data-what-if]");
/** @type {HTMLFormElement & { elements: Record<string, HTMLInputElement> }} */
const tools = section.querySelector("form.tools");
/** @type {(name: string) => any} */
const find = (name) => section.querySelector(`[data-${name}]`);
const uid = Number(section.dataset.uid);
const kept = "picasso what if";
const { number, bars, verdict, brief, flips: flipping } = TOLD[section.dataset.task];

let shapes = JSON.parse(sessionStorage.getItem(kept) ?? "[]");

// The targets that are chosen on the page.
const targets = () => {
  const form = new FormData(tools);
  return [...form.getAll("class"), ...form.getAll("target")].map((text) => String(text).trim()).filter(Boolean);
};

const question = (images, view) => {
  const { fill, other } = Object.fromEntries(new FormData(tools));
  return { images, shapes, fill, targets: targets(), view, ...(fill === "image" ? { other: Number(other) } : {}) };
};

// ---- this image -------------------------------------------------------------------------------------------

/** @type {(text: string, kind?: "td" | "th") => HTMLTableCellElement} */
const cell = (text, kind = "td") => {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
};

const bar = (value, label) => {
  const meter = document.createElement("meter");
  meter.value = value;
  meter.setAttribute("aria-label", label);
  return meter;
};

const shown = (value) => (value === null ? "–" : number(value));

// One row of a table: a name, both numbers, and, if they are shares of one, bars.
const row = (title, { before, after }, written, drawn) => {
  const made = document.createElement("tr");
  const name = cell(title, "th");
  name.scope = "row";
  const last = document.createElement("td");
  if (drawn) last.append(bar(before ?? 0, `${title}, original`), bar(after ?? 0, `${title}, hidden`));
  made.append(name, cell(written(before)), cell(written(after)), last);
  return made;
};

// The quantity of a number includes its name.
const titled = ({ name, quantity }) => (quantity.startsWith(name) ? quantity : `${name}: ${quantity}`);

const tell = (answer) => {
  const { classes, targets: asked, flipped, view, mask, size, colours, notes } = answer;
  find("verdict").textContent = [verdict(answer, shapes.length > 0), ...notes].join(" ");
  section.classList.toggle("flipped", flipped);
  section
    .querySelector("tbody[data-classes]")
    .replaceChildren(...classes.map((one) => row(one.unit ? `${one.name} (${one.unit})` : one.name, one, shown, bars)));
  find("asked").hidden = !targets().length;
  find("asked-targets").replaceChildren(
    ...asked.map((one) => row(titled(one), one, (value) => value.toFixed(4), false)),
  );
  const objects = classes.map(({ name, box, before, after }, rank) => {
    const text = [before, after].map((score) => score?.toFixed(2) ?? "–").join(" → ");
    return { box, name, text, colour: colours[rank], gone: after === null };
  });
  drawBoxes(
    find("boxes"),
    size,
    objects.filter(({ box }) => box),
  );
  return image.show(view, mask);
};

const ask = inTurn(async (again) => {
  try {
    const { answers } = await send(section.dataset.whatIf, question([uid], true));
    await tell(answers[0]);
  } catch (error) {
    find("verdict").textContent = error.message;
    if (error.status === 503) {
      await pause(AGAIN_MS);
      again();
    }
  }
});

const update = () => {
  sessionStorage.setItem(kept, JSON.stringify(shapes));
  for (const name of ["undo", "clear", "everywhere"]) if (find(name)) find(name).disabled = !shapes.length;
  forget();
  ask();
};

const image = stage(section.querySelector("canvas"), {
  tool: () => new FormData(tools).get("tool"),
  brush: () => Number(tools.elements.brush.value) / 100,
  begin: (shape) => shapes.push(shape),
  change: update,
});

const undo = () => {
  shapes.pop();
  update();
};

find("undo").addEventListener("click", undo);
find("clear").addEventListener("click", () => {
  shapes = [];
  update();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || !shapes.length) return;
  // In a text field, the keys undo what was typed.
  if (event.target instanceof HTMLInputElement && event.target.list) return;
  event.preventDefault();
  undo();
});
tools.addEventListener("input", (/** @type {Event & { target: HTMLInputElement }} */ { target }) => {
  find("other").hidden = tools.elements.fill.value !== "image";
  if (!["brush", "tool", "class", "target"].includes(target.name)) update();
});
tools.addEventListener("change", (/** @type {Event & { target: HTMLElement }} */ { target }) => {
  if (target.closest("[data-targets], div[data-classes]")) update();
});
tools.addEventListener("submit", (event) => event.preventDefault());

// ---- all images -------------------------------------------------------------------------------------------

// Answers for an earlier region are discarded.
let round = 0;

function forget() {
  round += 1;
  every("[data-flip]", (place) => {
    place.textContent = "";
  });
  every("[data-flips] .flipped", (item) => item.classList.remove("flipped"));
  if (find("everywhere-text")) find("everywhere-text").textContent = "";
}

const everywhere = async () => {
  forget();
  const mine = round;
  const items = [...find("flips").children];
  let [done, flips] = [0, 0];
  for (let start = 0; start < items.length; start += PART) {
    const some = items.slice(start, start + PART);
    const { answers } = await send(
      section.dataset.whatIf,
      question(
        some.map((item) => Number(item.dataset.uid)),
        false,
      ),
    );
    if (mine !== round) return;
    answers.forEach((answer, index) => {
      some[index].classList.toggle("flipped", answer.flipped);
      some[index].querySelector("[data-flip]").textContent = brief(answer);
      flips += answer.flipped;
    });
    done += some.length;
    find("everywhere-text").textContent = flipping
      ? `${flips} of ${counted(done, "image")} ${flipping[flips === 1 ? 0 : 1]}.`
      : `${counted(done, "image")}.`;
  }
};

find("everywhere")?.addEventListener("click", () =>
  everywhere().catch((error) => {
    find("everywhere-text").textContent = error.message;
  }),
);

modelLoaded().then(update);
