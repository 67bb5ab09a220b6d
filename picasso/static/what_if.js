// The page "What if I hide this?": paint on the image and see how the probabilities change.

import { counted, every, modelLoaded, pause, send } from "./common.js";
import { stage } from "./mask_editor.js";

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

let shapes = JSON.parse(sessionStorage.getItem(kept) ?? "[]");

const question = (images, view) => {
  const { fill, other } = Object.fromEntries(new FormData(tools));
  return { images, shapes, fill, view, ...(fill === "image" ? { other: Number(other) } : {}) };
};

// ---- this image -------------------------------------------------------------------------------------------

const percent = (probability) => (100 * probability).toFixed(1);

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

const tell = ({ classes, before, after, flipped, view }) => {
  const [was, now] = [before[0], after[0]];
  find("verdict").textContent = !shapes.length
    ? `Prediction: ${was.name}, ${percent(was.prob)} %.`
    : flipped
      ? `The prediction flips from ${was.name} to ${now.name}, ${percent(now.prob)} %.`
      : `The prediction stays ${was.name}: from ${percent(was.prob)} % to ${percent(now.prob)} %.`;
  section.classList.toggle("flipped", flipped);
  find("classes").replaceChildren(
    ...classes.map((one) => {
      const row = document.createElement("tr");
      const name = cell(one.name, "th");
      name.scope = "row";
      const bars = document.createElement("td");
      bars.append(bar(one.before, `${one.name}, original`), bar(one.after, `${one.name}, hidden`));
      row.append(name, cell(one.before.toFixed(4)), cell(one.after.toFixed(4)), bars);
      return row;
    }),
  );
  return image.show(view);
};

// One request at a time; changes made in the meantime are sent next.
let asking = false;
let changed = false;
const ask = async () => {
  changed = true;
  if (asking) return;
  asking = true;
  while (changed) {
    changed = false;
    try {
      const { answers } = await send(section.dataset.whatIf, question([uid], true));
      await tell(answers[0]);
    } catch (error) {
      find("verdict").textContent = error.message;
      if (error.status === 503) {
        await pause(AGAIN_MS);
        changed = true;
      }
    }
  }
  asking = false;
};

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
  event.preventDefault();
  undo();
});
tools.addEventListener("input", (/** @type {Event & { target: HTMLInputElement }} */ { target }) => {
  find("other").hidden = tools.elements.fill.value !== "image";
  if (!["brush", "tool"].includes(target.name)) update();
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
    answers.forEach(({ before: [was], after: [now], flipped }, index) => {
      some[index].classList.toggle("flipped", flipped);
      some[index].querySelector("[data-flip]").textContent = flipped
        ? `${was.name} → ${now.name}`
        : `${was.name} ${percent(was.prob)} → ${percent(now.prob)} %`;
      flips += flipped;
    });
    done += some.length;
    find("everywhere-text").textContent = `${flips} of ${counted(done, "image")} flip${flips === 1 ? "s" : ""}.`;
  }
};

find("everywhere")?.addEventListener("click", () =>
  everywhere().catch((error) => {
    find("everywhere-text").textContent = error.message;
  }),
);

modelLoaded().then(update);
