// Boxes of detected objects, drawn over an image.

const NAMESPACE = "http://www.w3.org/2000/svg";
// The height of names, as a fraction of the height of the image.
const TEXT = 1 / 16;

// An element of a drawing.
/** @type {(name: string, attributes: any, ...children: any[]) => any} */
export const make = (name, attributes, ...children) => {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

// Draw objects into an SVG element.
// Args: the width and height of the image; objects with `box`, `name`, `text`, `colour`, and optionally `gone`, for
// one that vanishes, and `act`, which is called when the object is chosen.
export const drawBoxes = (svg, [width, height], objects) => {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const drawn = objects.map(({ box: [left, top, right, bottom], name, text, colour, gone, act }) => {
    const rectangle = make("rect", {
      x: left,
      y: top,
      width: Math.max(0, right - left),
      height: Math.max(0, bottom - top),
      stroke: colour,
      ...(gone ? { "stroke-dasharray": "4 4" } : {}),
    });
    const size = height * TEXT;
    const label = make("text", { x: Math.max(0, left), y: Math.max(top, size), "font-size": size }, `${name} ${text}`);
    const group = make("g", { role: act ? "button" : "img", "aria-label": `${name} ${text}` }, rectangle, label);
    if (act) {
      group.setAttribute("tabindex", "0");
      group.addEventListener("click", act);
      group.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        act();
      });
    }
    return group;
  });
  // The best object is drawn last, above the others, but is the first that the keyboard reaches.
  svg.replaceChildren(...drawn.reverse());
};
