// Compare: starts what is missing, sets the size and the opacity, and draws two maps of a row over each other.

export {};

/** @type {HTMLFormElement} */
const form = document.querySelector("[data-compare]");
/** @type {Record<string, any>} */
const fields = form.elements;
const style = document.documentElement.style;

// ---- the address ----------------------------------------------------------------------------------------------

const remember = (name, value) => {
  const query = new URLSearchParams(location.search);
  if (value === null) query.delete(name);
  else query.set(name, value);
  history.replaceState(null, "", `${location.pathname}?${query}`);
};

const apply = () => {
  if (new URLSearchParams(location.search).has("size")) style.setProperty("--cell", `${fields.size.value}px`);
  style.setProperty("--opacity", String(Number(fields.opacity.value) / 100));
};

for (const name of ["size", "opacity"]) {
  fields[name].addEventListener("input", () => {
    remember(name, fields[name].value);
    apply();
  });
}
// Without a choice, the size of the maps follows the window.
form.addEventListener("formdata", ({ formData }) => {
  const query = new URLSearchParams(location.search);
  for (const name of ["size", "opacity"]) if (!query.has(name)) formData.delete(name);
});
apply();

// Rows without a number, such as those of flat maps, come last.
const amount = ({ dataset }) => Number(dataset.agreement ?? Infinity);
const ORDERS = {
  given: (one, two) => Number(one.dataset.place) - Number(two.dataset.place),
  disagreement: (one, two) => amount(one) - amount(two) || ORDERS.given(one, two),
};
fields.sort?.addEventListener("change", () => {
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("tr[data-row]")]);
  rows.sort(ORDERS[fields.sort.value]).forEach((row) => row.parentElement.append(row));
  remember("sort", fields.sort.value);
});

// ---- two maps ---------------------------------------------------------------------------------------------------

/** @type {HTMLDialogElement} */
let dialog;

const made = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  Object.assign(element, attributes);
  element.append(...children);
  return element;
};

const build = () => {
  const field = (text, control) => made("label", {}, `${text} `, control);
  const swipe = made("input", { type: "range", name: "swipe", min: "0", max: "100", step: "2", value: "50" });
  dialog = /** @type {HTMLDialogElement} */ (
    made(
      "dialog",
      { className: "two" },
      made(
        "div",
        { className: "bar" },
        field("Left", made("select", { name: "left" })),
        field("Right", made("select", { name: "right" })),
        field("Swipe", swipe),
        made("button", { type: "button", name: "blink", className: "outline small", textContent: "Blink (B)" }),
        made("button", { type: "button", name: "close", className: "plain", textContent: "Close" }),
      ),
      made("div", { className: "stacked" }, made("div"), made("div"), made("hr")),
      made("p", { role: "status" }),
    )
  );
  dialog.setAttribute("aria-label", "Two maps");
  document.body.append(dialog);
  const control = (name) => /** @type {any} */ (dialog.querySelector(`[name=${name}]`));
  for (const name of ["left", "right"]) control(name).addEventListener("change", show);
  swipe.addEventListener("input", () => turn(""));
  control("blink").addEventListener("click", blink);
  control("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => remember("pair", null));
  dialog.addEventListener("keydown", (event) => {
    const inSelect = /** @type {HTMLElement} */ (event.target).matches("select");
    if (event.key.toLowerCase() === "b" && !inSelect && !event.ctrlKey && !event.metaKey) blink();
    else if (["ArrowLeft", "ArrowRight"].includes(event.key) && !inSelect) {
      event.preventDefault();
      swipe.value = String(Number(swipe.value) + (event.key === "ArrowRight" ? 2 : -2));
      turn("");
    }
  });
};

const chosen = (name) => /** @type {HTMLSelectElement} */ (dialog.querySelector(`select[name=${name}]`));
const caption = (name) => chosen(name).selectedOptions[0]?.text ?? "";

// Show the first map, the second one, or ("") both, with the border at the place of the slider.
const turn = (side) => {
  dialog.classList.toggle("first", side === "first");
  dialog.classList.toggle("second", side === "second");
  const swipe = /** @type {HTMLInputElement} */ (dialog.querySelector("[name=swipe]"));
  dialog.style.setProperty("--swipe", `${swipe.value}%`);
  const shown = { first: caption("left"), second: caption("right"), "": `${caption("left")} | ${caption("right")}` };
  dialog.querySelector("[role=status]").textContent = shown[side];
};

const blink = () => turn(dialog.classList.contains("first") ? "second" : "first");

const show = () => {
  const row = document.querySelector(`[data-row="${dialog.dataset.row}"]`);
  const [left, right] = ["left", "right"].map((name) => chosen(name).value);
  const [one, two] = dialog.querySelectorAll(".stacked > div");
  for (const [place, number] of /** @type {[Element, string][]} */ ([
    [one, left],
    [two, right],
  ])) {
    const layers = made("div", { className: "layers" });
    for (const image of row.querySelectorAll(`[data-cell="${number}"] .layers img`)) {
      const copy = /** @type {HTMLImageElement} */ (image.cloneNode());
      copy.loading = "eager";
      layers.append(copy);
    }
    place.replaceChildren(layers);
  }
  remember("pair", `${dialog.dataset.row}.${left}.${right}`);
  turn("");
};

// The names of the columns; columns of targets may be named by their ranks, so their maps are named instead.
const heads = () =>
  [...document.querySelectorAll('.grid:not([data-by="target"]) thead th:not(:first-child)')].map(
    (head) => head.textContent,
  );

const openPair = (uid, left, right) => {
  /** @type {HTMLElement} */
  const row = document.querySelector(`[data-row="${uid}"]`);
  const cells = /** @type {HTMLElement[]} */ ([...(row?.querySelectorAll("[data-cell]") ?? [])]);
  if (cells.length < 2) return;
  if (!dialog) build();
  const names = heads();
  const options = cells.map(({ dataset }, place) => [
    dataset.cell,
    names[Number(dataset.cell)] ?? cells[place].querySelector("figcaption strong").textContent,
  ]);
  for (const name of ["left", "right"])
    chosen(name).replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  chosen("left").value = left ?? cells[0].dataset.cell;
  chosen("right").value = right ?? cells[cells.length === 2 ? 1 : cells.length - 1].dataset.cell;
  dialog.dataset.row = uid;
  dialog.setAttribute("aria-label", `Two maps of ${row.dataset.name}`);
  show();
  dialog.showModal();
  /** @type {HTMLElement} */ (dialog.querySelector("[name=swipe]")).focus();
};

document.addEventListener("click", (/** @type {Event & { target: HTMLElement }} */ { target }) => {
  const button = target.closest?.("[data-pair]");
  if (!button) return;
  const row = /** @type {HTMLElement} */ (button.closest("tr") ?? button.parentElement.querySelector("[data-row]"));
  openPair(row.dataset.row);
});

const [uid, left, right] = (new URLSearchParams(location.search).get("pair") ?? "").split(".");
if (/^\d+$/.test(uid)) openPair(uid, left, right);

// ---- what is missing ------------------------------------------------------------------------------------------

/** @type {HTMLFormElement} */ (document.querySelector("[data-start]"))?.requestSubmit();
