// Maps of values: fetched on demand and drawn without interpolation, one rectangle per value.

import { root } from "./common.js";

const FLOAT_BYTES = 4;
// A scale spans at least this many times the rounding error.
const HEADROOM = 10;
const strips = new Map();
const values = new WeakMap();
const turns = new WeakMap();

const SHADES = 256;
// As on the server: the contrast of the grey image below a map, and the height of a legend.
const CONTRAST = 0.8;
const LEGEND_HEIGHT = 24;

// The 256 colours of a colour map, as RGBA bytes, followed by their opacities as grey.
const coloursOf = (name) => {
  if (!strips.has(name)) {
    strips.set(
      name,
      (async () => {
        const image = new Image();
        image.src = `${root}/colours/${name}.png`;
        await image.decode();
        const context = new OffscreenCanvas(SHADES, 2).getContext("2d");
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, SHADES, 2).data;
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
    // The value in the middle of the scale, which says nothing; null if the scale begins at nothing.
    centre: "centre" in dataset ? Number(dataset.centre) : null,
    // Whether lower values speak for the target, such as those that remain while parts are hidden.
    falling: "falling" in dataset,
    // Values that differ less from nothing are transparent.
    floor: Number(dataset.floor),
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
  const all = scale === "common" ? [range, ...kin.map((one) => one.range)].flat() : extremes;
  const [low, high] = [Math.min(...all), Math.max(...all)];
  // As on the server, rounding errors stay pale.
  const least = HEADROOM * noise;
  if (!signed) return [low, Math.max(high, low + least)];
  const most = Math.max(Math.abs(low), Math.abs(high), least);
  return [-most, most];
};

// Returns a function from a value to the number of its colour, 0 to 255; the same as on the server.
const shade = ({ centre, falling, floor }, [low, high]) => {
  const nothing = centre ?? low;
  const reach = (centre === null ? high - low : Math.max(high - centre, centre - low)) || 1;
  const direction = falling ? -1 : 1;
  return (value) => {
    const away = Math.abs(value - nothing) <= floor ? 0 : value - nothing;
    const share = (direction * away) / reach;
    const place = Math.min(Math.max(centre === null ? share : (1 + share) / 2, 0), 1);
    return Math.min(SHADES - 1, Math.floor(place * SHADES));
  };
};

// The legend of a map as a data URL: its colours as they are seen, over white at the upper edge, over black at the lower.
export const legendOf = async (map, { colours, range, opacity }) => {
  const strip = await coloursOf(colours);
  const number = shade(facts(map), range);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [SHADES, LEGEND_HEIGHT];
  const pixels = new ImageData(SHADES, LEGEND_HEIGHT);
  for (let x = 0; x < SHADES; x += 1) {
    const colour = number(range[0] + ((range[1] - range[0]) * (x + 0.5)) / SHADES);
    const share = (strip[4 * (SHADES + colour)] / 255) * opacity;
    for (let y = 0; y < LEGEND_HEIGHT; y += 1) {
      const grey = (255 * (1 - y / (LEGEND_HEIGHT - 1)) - 127.5) * CONTRAST + 127.5;
      const seen = [0, 1, 2].map((channel) => grey + (strip[4 * colour + channel] - grey) * share);
      pixels.data.set([...seen, 255], 4 * (y * SHADES + x));
    }
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.toDataURL();
};

// Draw a map into its canvas, over the model's view of the image; false if a later request replaced this one.
export const paint = async (map, { colours, range, opacity }) => {
  const known = facts(map);
  const { height, width } = known;
  const turn = Symbol("turn");
  turns.set(map, turn);
  const [numbersOfMap, strip] = await Promise.all([valuesOf(map), coloursOf(colours)]);
  // A later request may have finished first.
  if (turns.get(map) !== turn) return false;
  const canvas = map.querySelector("canvas") ?? layers(map);
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  const number = shade(known, range);
  numbersOfMap.forEach((value, index) => {
    const colour = number(value);
    pixels.data.set(strip.subarray(4 * colour, 4 * colour + 3), 4 * index);
    pixels.data[4 * index + 3] = strip[4 * (SHADES + colour)];
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
  // The view is drawn in grey, so that its own colours are not mistaken for the map's.
  image.classList.add("grey");
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
