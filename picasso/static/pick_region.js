// Choose a pixel or a rectangle of an image as the target: the class that a segmentation predicts there.

import { modelLoaded, send } from "./common.js";
import { stage } from "./mask_editor.js";
import { choose } from "./targets.js";

// A rectangle whose sides are shorter, as fractions of those of the image, is a click.
const CLICK = 0.015;

/** @type {HTMLElement} */
const section = document.querySelector("[data-pick-region]");
/** @type {(name: string) => any} */
const find = (name) => section.querySelector(`[data-${name}]`);
const url = section.dataset.pickRegion;

let size = [1, 1];
let shown = { view: "", mask: "" };

const ask = async (question) => {
  const { answers } = await send(url, { images: [Number(find("image").value)], ...question });
  return answers[0];
};

const tell = (text) => {
  find("told").textContent = text;
};

// A button that explains all pixels of a predicted class; several classes may have the same name.
const share = ({ index, name, share: part }, colour, all) => {
  const item = document.createElement("li");
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "plain", textContent: name });
  button.dataset.target = all.filter((one) => one.name === name).length === 1 ? name : index;
  button.setAttribute("aria-label", `Explain ${name}`);
  const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  swatch.classList.add("swatch");
  swatch.setAttribute("aria-hidden", "true");
  const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [key, value] of Object.entries({ width: "100%", height: "100%", fill: colour }))
    square.setAttribute(key, value);
  swatch.append(square);
  item.append(swatch, button, `${(100 * part).toFixed(1)}%`);
  return item;
};

const draw = () => image.show(shown.view, find("show-mask").checked ? shown.mask : "");

const show = async () => {
  try {
    const { view, mask, size: sides, predictions, colours } = await ask({ view: true });
    size = sides;
    shown = { view, mask };
    await draw();
    find("shares").replaceChildren(...predictions.map((one, rank) => share(one, colours[rank], predictions)));
    tell("");
  } catch (error) {
    tell(error.message);
  }
};

// A place as targets write it, in pixels of the image.
const place = ([left, top, right, bottom]) => {
  const [width, height] = size;
  const x = Math.min(width - 1, Math.floor(left * width));
  const y = Math.min(height - 1, Math.floor(top * height));
  if (right - left < CLICK && bottom - top < CLICK) return `@${x},${y}`;
  return `@${x},${y},${Math.max(x + 1, Math.round(right * width))},${Math.max(y + 1, Math.round(bottom * height))}`;
};

const chosen = async ({ box }) => {
  try {
    const { targets } = await ask({ targets: [place(box)] });
    const [{ text, name, quantity, value }] = targets;
    choose(text);
    tell(`${name}: ${quantity} ${value.toFixed(2)}.`);
  } catch (error) {
    tell(error.message);
  }
};

const image = stage(section.querySelector("canvas"), {
  tool: () => "box",
  brush: () => 0,
  begin: () => {},
  change: () => {},
  done: chosen,
});

find("show-mask").addEventListener("change", draw);
find("image").addEventListener("change", show);
modelLoaded().then(show);
