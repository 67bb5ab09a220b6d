// The image to paint on: with the pointer, or with the keyboard and a frame that can be moved and resized.

// The longer side in pixels of the canvas; the pixels of small images are drawn with sharp edges.
const SIDE = 896;
// The distance between the points of a stroke, as a fraction of the side.
const FINE = 0.004;
const STEP = 0.05;
const STEPS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const within = (value) => Math.min(1, Math.max(0, value));
const round = (value) => Math.round(within(value) * 10_000) / 10_000;

const decoded = async (source) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
};

// Args: the canvas; `tool()` and `brush()` say how to paint, `begin(shape)` takes a new shape, `change()` is called
// whenever the newest shape has grown, and `done(shape)` when it is complete. Shapes are those of the API, in fractions
// of the sides.
/** @type {(canvas: any, actions: any) => { mark: (box: number[] | null) => void, show: (address: string, mask?: string) => Promise<void> }} */
export const stage = (canvas, { tool, brush, begin, change, done = () => {} }) => {
  const context = canvas.getContext("2d");
  let image = null;
  let over = null;
  let shape = null;
  let corner = null;
  let frame = null;
  let marked = null;
  let latest = 0;

  const draw = () => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!image) return;
    context.imageSmoothingEnabled = image.naturalWidth > 100;
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    if (over) {
      // Each pixel of a mask is one class.
      context.imageSmoothingEnabled = false;
      context.drawImage(over, 0, 0, canvas.width, canvas.height);
    }
    const shown = shape?.box ?? frame ?? marked;
    if (shown) outline(shown);
  };

  // A dark and a bright line together are visible on any image.
  const outline = ([left, top, right, bottom]) => {
    const { width, height } = canvas;
    for (const [colour, dash] of [
      ["#000", []],
      ["#fff", [8, 8]],
    ]) {
      context.strokeStyle = colour;
      context.lineWidth = 3;
      context.setLineDash(dash);
      context.strokeRect(left * width, top * height, (right - left) * width, (bottom - top) * height);
    }
  };

  const at = ({ clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [round((clientX - left) / width), round((clientY - top) / height)];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    const [x, y] = at(event);
    shape = tool() === "box" ? { box: [x, y, x, y] } : { line: [[x, y]], width: brush() };
    corner = [x, y];
    frame = null;
    begin(shape);
    change();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!shape) return;
    const [x, y] = at(event);
    if (shape.box) {
      const [x0, y0] = corner;
      shape.box = [Math.min(x0, x), Math.min(y0, y), Math.max(x0, x), Math.max(y0, y)];
    } else {
      const [lastX, lastY] = shape.line.at(-1);
      if (Math.hypot(x - lastX, y - lastY) < FINE) return;
      shape.line.push([x, y]);
    }
    draw();
    change();
  });
  const end = () => {
    shape = null;
    draw();
  };
  canvas.addEventListener("pointerup", () => {
    if (shape) done(shape);
    end();
  });
  canvas.addEventListener("pointercancel", end);

  canvas.addEventListener("keydown", (event) => {
    if (event.key in STEPS) {
      event.preventDefault();
      const [right, down] = STEPS[event.key];
      frame ??= [0.4, 0.4, 0.6, 0.6];
      const [x0, y0, x1, y1] = frame;
      frame = event.shiftKey
        ? [x0, y0, Math.max(x0 + STEP, within(x1 + right)), Math.max(y0 + STEP, within(y1 + down))]
        : x0 + right < -0.001 || x1 + right > 1.001 || y0 + down < -0.001 || y1 + down > 1.001
          ? frame
          : [x0 + right, y0 + down, x1 + right, y1 + down];
      frame = frame.map(round);
      draw();
    } else if ((event.key === "Enter" || event.key === " ") && frame) {
      event.preventDefault();
      const framed = { box: [...frame] };
      begin(framed);
      change();
      done(framed);
    }
  });
  canvas.addEventListener("focus", () => {
    if (!canvas.matches(":focus-visible")) return;
    frame ??= [0.4, 0.4, 0.6, 0.6];
    draw();
  });
  canvas.addEventListener("blur", () => {
    frame = null;
    draw();
  });

  return {
    // Outline a region as long as no other one is drawn; null for none.
    mark: (box) => {
      marked = box;
      draw();
    },
    // Show the image at a URL, such as the one with the hidden regions from the server, and a mask over it, if any.
    show: async (address, mask = "") => {
      latest += 1;
      const mine = latest;
      const [next, nextMask] = await Promise.all([address, mask].map((source) => source && decoded(source)));
      // Images may be decoded in another order than they were asked for.
      if (mine !== latest) return;
      image = next;
      over = nextMask;
      const longer = Math.max(next.naturalWidth, next.naturalHeight);
      const [width, height] = [next.naturalWidth, next.naturalHeight].map((side) => Math.round((SIDE * side) / longer));
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      draw();
    },
  };
};
