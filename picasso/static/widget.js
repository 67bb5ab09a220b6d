// The widget for notebooks: draws what the kernel computed, and sends what the user chooses. All texts are set as text.

// A kernel that does not answer for so long is busy with another cell, or not there, in milliseconds.
const PATIENCE_MS = 4000;

/** @type {(tag: string, properties?: Record<string, any>, ...children: (Node | string)[]) => any} */
const element = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};

// A button whose focus is kept when it is drawn again.
const button = (key, pressed, press, properties, ...children) => {
  const made = element("button", { type: "button", "data-key": key, ...properties }, ...children);
  if (pressed !== null) made.setAttribute("aria-pressed", String(pressed));
  made.addEventListener("click", press);
  return made;
};

const imageOf = (src, alt, small) => element("img", { src, alt, className: small ? "small" : "" });

const legendOf = (panel) => {
  const parts = [];
  if (panel.legend) {
    const ends = [element("span", {}, panel.low), element("span", {}, panel.high)];
    parts.push(
      element("img", { src: panel.legend, alt: "", className: "bar" }),
      element("div", { className: "ends" }, ...ends),
    );
  }
  for (const text of [panel.details, panel.note]) if (text) parts.push(element("div", {}, text));
  return element("div", { className: "legend" }, ...parts);
};

const render = ({ model, el }) => {
  const part = (name) => element("div", { className: name });
  const [strip, stage, chips, status, methods] = ["strip", "stage", "chips", "status", "methods"].map(part);
  status.setAttribute("role", "status");
  const questions = element("div", { className: "questions", role: "group", ariaLabel: "Questions" });
  chips.setAttribute("role", "group");
  chips.setAttribute("aria-label", "Targets");
  strip.setAttribute("role", "group");
  strip.setAttribute("aria-label", "Images");
  const about = part("about");
  const body = element(
    "div",
    { className: "body" },
    strip,
    element("div", { className: "middle" }, chips, status, stage),
  );
  body.append(element("div", { className: "side" }, questions, methods, about));
  const root = element("div", { className: "picasso-widget" }, body);
  // Without this, JupyterLab takes keys such as Enter and the arrows for its own commands.
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  el.append(root);

  // The last choice that was sent, and whether the image is shown without its map.
  let turn = 0;
  let plain = false;
  let timer = 0;

  const choose = (changes) => {
    const { image = 0, question = "look", method = "", target = "" } = model.get("shown");
    turn = Math.max(turn, model.get("choice").turn ?? 0) + 1;
    model.set("choice", { image, question, method, target, ...changes, turn });
    model.save_changes();
    draw();
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (waiting() && !model.get("progress")) status.textContent = "No answer yet: is the kernel running, and idle?";
    }, PATIENCE_MS);
  };
  const waiting = () => (model.get("shown").turn ?? 0) < turn;

  const drawStrip = (menu, shown) => {
    strip.replaceChildren(
      ...menu.images.map((one, index) => {
        const said = one.error ? "can't be read" : one.predicted;
        const inside = [element("span", { className: "name" }, one.name), element("span", { className: "said" }, said)];
        inside.unshift(one.src ? imageOf(one.src, "", true) : element("span", { className: "none" }, "✗"));
        const current = index === shown.image;
        const press = () => choose({ image: index, target: "" });
        const title = one.error || `${one.name}: ${said}`;
        // One stop of the Tab key for all images; the arrows go from one to the next.
        return button(`image-${index}`, current, press, { title, tabIndex: current ? 0 : -1 }, ...inside);
      }),
    );
    if (menu.more) strip.append(element("p", {}, menu.more));
  };

  const drawSide = (menu, shown) => {
    questions.replaceChildren(
      ...menu.questions.map((one) => {
        const press = () => choose({ question: one.name, method: "", target: "" });
        return button(`question-${one.name}`, one.name === shown.question, press, { title: one.help }, one.text);
      }),
    );
    const select = element("select", { "data-key": "method" });
    for (const family of new Set(menu.methods.map((one) => one.family))) {
      const group = element("optgroup", { label: family });
      for (const one of menu.methods.filter((each) => each.family === family)) {
        const properties = { value: one.name, disabled: Boolean(one.reason), title: one.reason };
        group.append(element("option", properties, one.reason ? `${one.title} (does not fit the model)` : one.title));
      }
      select.append(group);
    }
    select.value = shown.method;
    select.addEventListener("change", () => choose({ method: select.value }));
    methods.replaceChildren(element("label", {}, "Method", select));
    if (shown.better?.name) {
      const press = () => choose({ method: shown.better.name });
      methods.append(button("better", null, press, { className: "better" }, `Exact map: ${shown.better.title}`));
    }
    about.replaceChildren(...[shown.description, shown.misleads].filter(Boolean).map((text) => element("p", {}, text)));
  };

  const drawStage = (shown) => {
    chips.replaceChildren(
      ...(shown.chips ?? []).map((one) => {
        const press = () => choose({ target: one.target });
        const inside = [one.name, element("span", {}, one.amount)];
        return button(`target-${one.target}`, one.target === shown.target, press, {}, ...inside);
      }),
    );
    if (shown.error) {
      stage.replaceChildren(element("p", { className: "wrong", role: "alert" }, shown.error));
      return;
    }
    const [first, ...rest] = shown.panels ?? [];
    const image =
      plain || !first ? imageOf(shown.plain, shown.name, shown.small) : imageOf(first.src, first.alt, shown.small);
    const caption = element("figcaption", {}, element("b", {}, shown.name), ` ${shown.title}`);
    const parts = [element("figure", { className: "large" }, caption, image)];
    if (first && first.kind === "map") {
      const press = () => {
        plain = !plain;
        draw();
      };
      parts.push(legendOf(first), button("plain", plain, press, { className: "plain" }, "Image only"));
    }
    if (!shown.chips?.length && shown.predictions) parts.push(element("p", {}, shown.predictions));
    if (rest.length) {
      const figures = rest.map((one) =>
        element("figure", {}, element("figcaption", {}, one.title), imageOf(one.src, one.alt, shown.small)),
      );
      parts.push(element("div", { className: "rest" }, ...figures));
    }
    for (const note of shown.notes ?? []) parts.push(element("p", { className: "note" }, note));
    stage.replaceChildren(...parts);
  };

  const draw = () => {
    const [menu, shown] = [model.get("menu"), model.get("shown")];
    const key = root.contains(document.activeElement) && document.activeElement.getAttribute("data-key");
    if (waiting()) {
      // What was chosen is pressed at once; the old map stays until the new one is there.
      root.setAttribute("aria-busy", "true");
      status.textContent = model.get("progress") || "computing …";
      if (model.get("progress")) return;
      drawStrip(menu, model.get("choice"));
    } else {
      root.removeAttribute("aria-busy");
      status.textContent = "";
      drawStrip(menu, shown);
      drawSide(menu, shown);
      drawStage(shown);
    }
    if (key) root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  };

  strip.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const all = [...strip.querySelectorAll("button")];
    all[all.indexOf(document.activeElement) + steps[event.key]]?.focus();
  });
  for (const name of ["shown", "menu", "progress"]) model.on(`change:${name}`, draw);
  draw();
  return () => {
    clearTimeout(timer);
    for (const name of ["shown", "menu", "progress"]) model.off(`change:${name}`, draw);
  };
};

export default { render };
