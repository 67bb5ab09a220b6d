// Display options of results: colours, scale, opacity and size; order and filter of rows; all stored in the URL.

import { every } from "./common.js";
import { facts, legendOf, paint, rangeOf, restore } from "./maps.js";
import "./map_probe.js";

/** @type {HTMLFormElement} */
const form = document.querySelector("[data-look]");
/** @type {Record<string, any>} */
const fields = form.elements;
// The defaults of the page, not what the user chose before this script was loaded.
const DEFAULTS = Object.fromEntries(
  [...form.querySelectorAll("select, input")].map((/** @type {any} */ field) => [
    field.name,
    field.options?.[0].value ?? field.defaultValue,
  ]),
);

/** @type {(selector: string) => HTMLElement[]} */
const listed = (selector) => [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(selector))];
const maps = () => listed("a.map");
const rows = () => listed(".row");

/** @type {() => Record<string, any>} */
const state = () => Object.fromEntries(new FormData(form));

// ---- maps ---------------------------------------------------------------------------------------------------

// Maps that differ from the server's drawing.
const touched = new WeakSet();

const short = (value) => String(Number(value.toPrecision(3)));

// The numbers at the ends of a legend; values beyond them have the colours of the ends.
const ends = ([low, high], [minimum, maximum]) => [
  (minimum < low ? "≤ " : "") + short(low),
  (maximum > high ? "≥ " : "") + short(high),
];

const draw = async (map) => {
  const { opacity, colours, signed, scale } = state();
  const known = facts(map);
  const range = rangeOf(map, scale, maps());
  const [name, usual] = known.centre === null ? [colours, DEFAULTS.colours] : [signed, DEFAULTS.signed];
  const own = opacity === DEFAULTS.opacity;
  const asDrawn = own && scale === "own" && name === usual;
  if (asDrawn && !touched.has(map)) return;
  touched.add(map);
  const how = { colours: name, range, opacity: own ? 1 - known.transparency : Number(opacity) / 100 };
  if (asDrawn) restore(map);
  else if (!(await paint(map, how))) return;
  const legend = map.parentElement.querySelector(".legend");
  const strip = legend?.querySelector("img");
  if (!strip) return;
  const texts = ends(range, known.extremes);
  [...legend.querySelectorAll(":scope > span")].forEach((span, index) => {
    span.textContent = texts[index];
  });
  strip.src = await legendOf(map, how);
  strip.alt = `colour scale from ${texts.join(" to ")}`;
};

// Only visible maps are drawn; the others when they scroll into view.
const watcher = new IntersectionObserver(
  (entries) =>
    entries
      .filter((entry) => entry.isIntersecting)
      .forEach(({ target }) => {
        watcher.unobserve(target);
        draw(target).catch((error) => {
          fields.shown.value = error.message;
        });
      }),
  { rootMargin: "300px" },
);

const drawAll = () =>
  maps().forEach((map) => {
    watcher.unobserve(map);
    watcher.observe(map);
  });

// ---- rows ---------------------------------------------------------------------------------------------------

const by =
  (key, direction = 1) =>
  (one, two) => {
    // Rows without the value come last; flat maps, for example, have no agreement.
    if (!(key in one.dataset && key in two.dataset)) return Number(key in two.dataset) - Number(key in one.dataset);
    return direction * (Number(one.dataset[key]) - Number(two.dataset[key]));
  };
const ORDERS = {
  given: by("position"),
  sure: by("amount", -1),
  unsure: by("amount"),
  class: (one, two) => (one.dataset.class ?? "").localeCompare(two.dataset.class ?? "") || by("amount", -1)(one, two),
  agree: by("agreement"),
};

const arrangeRows = () => {
  const { order, only } = state();
  const all = rows();
  all.sort(ORDERS[order]).forEach((row) => row.parentElement.append(row));
  const [kind, wanted] = only.split(/:(.*)/s);
  const wrong = (row) => (kind === "class" ? row.dataset.class !== wanted : only !== "" && row.dataset.same !== wanted);
  all.forEach((row) => {
    row.hidden = wrong(row);
  });
  const left = all.filter((row) => !row.hidden).length;
  fields.shown.value = left === all.length ? "" : `${left} of ${all.length} images`;
};

const option = (value, text) => new Option(text, value);

// Offer the filters that fit these results.
const offer = () => {
  const chosen = fields.only.value || new URLSearchParams(location.search).get("only") || "";
  const counts = new Map();
  for (const row of rows().filter(({ dataset }) => dataset.class))
    counts.set(row.dataset.class, (counts.get(row.dataset.class) ?? 0) + 1);
  const classes = [...counts].sort(([one], [two]) => one.localeCompare(two));
  const agree = rows().some((row) => "same" in row.dataset);
  fields.only.replaceChildren(
    option("", "all images"),
    ...(agree ? [option("same:False", "models disagree"), option("same:True", "models agree")] : []),
    ...classes.map(([name, found]) => option(`class:${name}`, `${name} (${found})`)),
  );
  fields.only.value = chosen;
  if (fields.only.selectedIndex < 0) fields.only.value = "";
  every("[data-for-signed]", (part) => {
    part.hidden = !maps().some((map) => facts(map).centre !== null);
  });
  every("[data-for-agreement]", (part) => {
    part.hidden = part.disabled = !rows().some((row) => row.dataset.agreement);
  });
  for (const name of ["opacity", "colours", "scale", "size"]) fields[name].closest("label").hidden = !maps().length;
};

// ---- the form and the address -------------------------------------------------------------------------------

const remember = () => {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(state())) {
    if (value === DEFAULTS[name]) query.delete(name);
    else query.set(name, value);
  }
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`);
};

// The options that change how a map is drawn; what is saved is drawn alike.
const drawn = () => ["opacity", "colours", "signed", "scale"].filter((name) => state()[name] !== DEFAULTS[name]);

const saveAsSeen = () =>
  every("a[data-as-seen]", (link) => {
    link.search = String(new URLSearchParams(drawn().map((name) => [name, state()[name]])));
  });

every("form[data-as-seen]", (other) =>
  other.addEventListener("formdata", ({ formData }) => drawn().forEach((name) => formData.set(name, state()[name]))),
);

const recall = () => {
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = name in DEFAULTS && name !== "only" && fields[name];
    if (!field) continue;
    field.value = value;
    // An old or mistyped URL may name an option that does not exist.
    if (field.options && (field.selectedIndex < 0 || field.selectedOptions[0].disabled)) field.value = DEFAULTS[name];
  }
  every("output[for=opacity]", (output) => {
    output.value = fields.opacity.value;
  });
};

const apply = () => {
  // Until the user chooses a size, it follows the window.
  const side = fields.size.value === DEFAULTS.size ? "" : `${fields.size.value}px`;
  document.documentElement.style.setProperty("--side", side);
  arrangeRows();
  drawAll();
  saveAsSeen();
};

const begin = () => {
  offer();
  apply();
};

form.addEventListener("input", () => {
  apply();
  remember();
});
form.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("refreshed", begin);
offer();
recall();
apply();
remember();
