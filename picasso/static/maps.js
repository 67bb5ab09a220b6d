// Maps of values: fetched on demand and drawn without interpolation, one rectangle per value.

import { root } from "./common.js";

const FLOAT_BYTES = 4;
// A scale spans at least this many times the rounding error.
const HEADROOM = 10;
const strips = new Map();
const values = new WeakMap();
const turns = new WeakMap();

// The 256 colours of a colour map, as RGBA bytes.
const coloursOf = (name) => {
  if (!strips.has(name)) {
    strips.set(
      name,
      (async () => {
        const image = new Image();
        image.src = `${root}/colours/${name}.png`;
        await image.decode();
        const canvas = new OffscreenCanvas(image.naturalWidth, 1);
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, image.naturalWidth, 1).data;
      })(),
    );
  }
  return strips.get(name);
};

const numbers = (text) => text.split(" ").map(Number);

// The description of a map, from the data attributes of its link.
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
    values.set(
      map,
      (async () => {
        const answer = await fetch(map.dataset.values);
        if (!answer.ok) throw new Error("The values of the map no longer exist.");
        const view = new DataView(await answer.arrayBuffer());
        return Float32Array.from({ length: view.byteLength / FLOAT_BYTES }, (_, i) =>
          view.getFloat32(i * FLOAT_BYTES, true),
        );
      })(),
    );
  }
  return values.get(map);
};

// The values at both ends of the scale: set by the method, of this map alone, or of all maps of its kind.
export const rangeOf = (map, scale, maps) => {
  const { range, extremes, signed, quantity, noise } = facts(map);
  if (scale === "own") return range;
  const kin =
    scale === "common" ? maps.map(facts).filter((one) => one.quantity === quantity && one.signed === signed) : [];
  const all = [extremes, ...kin.map((one) => one.extremes)].flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  // As on the server, rounding errors stay pale.
  const least = HEADROOM * noise;
  if (!signed) return [low, Math.max(high, low + least)];
  const most = Math.max(Math.abs(low), Math.abs(high), least);
  return [-most, most];
};

// Draw a map into its canvas, over the model's view of the image; false if a later request replaced this one.
export const paint = async (map, { colours, range: [low, high], opacity }) => {
  const { height, width, signed } = facts(map);
  const turn = Symbol("turn");
  turns.set(map, turn);
  const [numbersOfMap, strip] = await Promise.all([valuesOf(map), coloursOf(colours)]);
  // A later request may have finished first.
  if (turns.get(map) !== turn) return false;
  const canvas = map.querySelector("canvas") ?? layers(map);
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  const span = high - low;
  numbersOfMap.forEach((value, index) => {
    // Without values, the middle of a signed scale is zero.
    const share = span > 0 ? (Math.min(Math.max(value, low), high) - low) / span : signed ? 0.5 : 0;
    // As in matplotlib, so that the page and the files show the same colours.
    const colour = Math.min(255, Math.floor(share * 256));
    pixels.data.set(strip.subarray(4 * colour, 4 * colour + 4), 4 * index);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  canvas.style.opacity = opacity;
  return true;
};

// Replace the server's drawing with the model's view and an empty canvas over it.
const layers = (map) => {
  const image = map.querySelector("img");
  image.dataset.drawn = image.getAttribute("src");
  image.src = map.dataset.view;
  image.classList.remove("pixels");
  // The view is drawn in grey, so that its own blue and red are not mistaken for the map's.
  image.classList.toggle("grey", facts(map).signed);
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  map.append(canvas);
  return canvas;
};

// Restore the server's drawing.
export const restore = (map) => {
  turns.delete(map);
  const canvas = map.querySelector("canvas");
  if (!canvas) return;
  const image = map.querySelector("img");
  image.src = image.dataset.drawn;
  image.classList.remove("grey");
  canvas.remove();
};
