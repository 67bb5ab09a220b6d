// The targets to explain: chosen ones are chips, which a field, a button or an image adds.

/** @type {() => HTMLElement} */
const chooser = () => document.querySelector("[data-targets]");

const changed = () => chooser().dispatchEvent(new Event("change", { bubbles: true }));

// Add a target unless it is there.
export const choose = (text) => {
  const list = chooser().querySelector("[data-chips]");
  const same = /** @type {HTMLInputElement[]} */ ([...list.querySelectorAll("input")]).find(
    ({ value }) => value === text,
  );
  if (same) {
    same.checked = true;
  } else {
    const template = /** @type {HTMLTemplateElement} */ (chooser().querySelector("template[data-chip]"));
    const chip = /** @type {HTMLElement} */ (template.content.cloneNode(true));
    chip.querySelector("input").value = text;
    chip.querySelector("span").textContent = text;
    chip.querySelector("[data-remove]").setAttribute("aria-label", `Remove ${text}`);
    list.append(chip);
  }
  changed();
};

document.addEventListener("click", (/** @type {Event & { target: HTMLElement }} */ { target }) => {
  const remove = target.closest?.("[data-remove]");
  if (remove) {
    remove.closest("li").remove();
    /** @type {HTMLElement} */ (chooser().querySelector("input[list]")).focus();
    changed();
  }
  /** @type {HTMLElement} */
  const offered = target.closest?.("[data-target]");
  if (offered) choose(offered.dataset.target);
});

// What is entered becomes a chip, before others see the change.
document.addEventListener(
  "change",
  (event) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    const text = field.matches?.("[data-targets] input[list]") && field.value.trim();
    if (!text) return;
    event.stopPropagation();
    field.value = "";
    choose(text);
  },
  true,
);
