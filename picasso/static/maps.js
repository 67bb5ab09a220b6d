// Maps of values: fetched when they are needed, painted as they are, one rectangle of one colour for each value.

import { root } from "./common.js";

const FLOAT_BYTES = 4;
// A scale spans at least so many times what rounding may do.
const HEADROOM = 10;
const strips = new Map();
const values = new WeakMap();
const turns = new WeakMap();

// The 256 colours of a colour map, as RGBA bytes.
const coloursOf = (name) => {
  if (!strips.has(name)) {
    strips.set(name, (async () => {
      const image = new Image();
      image.src = `${root}/colours/${name}.png`;
      await image.decode();
      const canvas = new OffscreenCanvas(image.naturalWidth, 1);
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0);
      return context.getImageData(0, 0, image.naturalWidth, 1).data;
    })());
  }
  return strips.get(name);
};

const numbers = (text) => text.split(" ").map(Number);

// What a map's link says of it.
export const facts = ({ dataset }) => {
  const [height, width] = numbers(dataset.shape);
  return {
    height,
    width,
    range: numbers(dataset.range),
    extremes: numbers(dataset.extremes),
    signed: "signed" in dataset,
    noise: Number(dataset.noise),
    quantity: dataset.quantity,
    transparency: Number(dataset.transparency),
  };
};

// The values of a map, row by row.
export const valuesOf = (map) => {
  if (!values.has(map)) {
    values.set(map, (async () => {
      const answer = await fetch(map.dataset.values);
      if (!answer.ok) throw new Error("The values of the map are not there any more.");
      const view = new DataView(await answer.arrayBuffer());
      return Float32Array.from({ length: view.byteLength / FLOAT_BYTES }, (_, i) => view.getFloat32(i * FLOAT_BYTES, true));
    })());
  }
  return values.get(map);
};

// The values at the two ends of the colours: as the method says, of this map alone, or of all maps of its kind.
export const rangeOf = (map, scale, maps) => {
  const { range, extremes, signed, quantity, noise } = facts(map);
  if (scale === "own") return range;
  const kin = scale === "common" ? maps.map(facts).filter((one) => one.quantity === quantity && one.signed === signed) : [];
  const all = [extremes, ...kin.map((one) => one.extremes)].flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  // As the server does: rounding stays pale.
  const least = HEADROOM * noise;
  if (!signed) return [low, Math.max(high, low + least)];
  const most = Math.max(Math.abs(low), Math.abs(high), least);
  return [-most, most];
};

// Paint a map into its canvas, over the image as the model sees it; false if it was asked for again meanwhile.
export const paint = async (map, { colours, range: [low, high], opacity }) => {
  const { height, width, signed } = facts(map);
  const turn = Symbol("turn");
  turns.set(map, turn);
  const [numbersOfMap, strip] = await Promise.all([valuesOf(map), coloursOf(colours)]);
  // What was asked for later may have been there sooner.
  if (turns.get(map) !== turn) return false;
  const canvas = map.querySelector("canvas") ?? layers(map);
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  const span = high - low;
  numbersOfMap.forEach((value, index) => {
    // Where there is nothing, the middle of a signed scale is zero.
    const share = span > 0 ? (Math.min(Math.max(value, low), high) - low) / span : signed ? 0.5 : 0;
    // As matplotlib does, so that the page and the files show the same colours.
    const colour = Math.min(255, Math.floor(share * 256));
    pixels.data.set(strip.subarray(4 * colour, 4 * colour + 4), 4 * index);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  canvas.style.opacity = opacity;
  return true;
};

// Put the model's view in the place of the server's drawing, and an empty canvas over it.
const layers = (map) => {
  const image = map.querySelector("img");
  image.dataset.drawn = image.getAttribute("src");
  image.src = map.dataset.view;
  image.classList.remove("pixels");
  // Blue and red are the map's: those of the image would be taken for them.
  image.classList.toggle("grey", facts(map).signed);
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  map.append(canvas);
  return canvas;
};

// Show the server's drawing again.
export const restore = (map) => {
  turns.delete(map);
  const canvas = map.querySelector("canvas");
  if (!canvas) return;
  const image = map.querySelector("img");
  image.src = image.dataset.drawn;
  image.classList.remove("grey");
  canvas.remove();
};
