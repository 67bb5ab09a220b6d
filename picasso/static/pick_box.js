// Choose a detected object on an image as the target.

import { counted, modelLoaded, send } from "./common.js";
import { drawBoxes } from "./boxes.js";
import { choose } from "./targets.js";

/** @type {HTMLElement} */
const section = document.querySelector("[data-pick-box]");
/** @type {(name: string) => any} */
const find = (name) => section.querySelector(`[data-${name}]`);

const show = async () => {
  const image = Number(find("image").value);
  try {
    const { answers } = await send(section.dataset.pickBox, { images: [image], view: true });
    const [{ view, size, predictions, colours }] = answers;
    find("view").src = view;
    drawBoxes(
      find("boxes"),
      size,
      predictions.map(({ box, name, prob }, rank) => ({
        box,
        name,
        text: prob.toFixed(2),
        colour: colours[rank],
        act: () => {
          choose(`box:${rank}`);
          find("told").textContent = `box:${rank} is the ${name} with the score ${prob.toFixed(4)}.`;
        },
      })),
    );
    find("told").textContent = `${counted(predictions.length, "object")} detected.`;
  } catch (error) {
    find("told").textContent = error.message;
  }
};

find("image").addEventListener("change", show);
modelLoaded().then(show);
