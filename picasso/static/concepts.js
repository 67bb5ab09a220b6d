// The concepts of a layer on the page "Inside the network": the search for them, and what was found.

import { make, short } from "./channel_card.js";
import { ask, counted, duration, modelLoaded, poll, send } from "./common.js";

const percent = (share) => `${Math.round(100 * share)}%`;
// The changes of the predicted class that are told.
const MOST_CHANGES = 3;
const working = ({ state }) => ["waiting", "running"].includes(state);

// What is said about a search that has no result yet.
const words = ({ state, position, remaining, error }) => {
  if (error) return error.message;
  if (state === "cancelled") return "Cancelled.";
  if (state === "running") return remaining === null ? "Searching…" : `Searching… ${duration(remaining)} left.`;
  return position ? `Waiting for ${counted(position, "other job")}.` : "Waiting…";
};

const effect = ({ changes, shift }, { target, classifies }) => {
  if (!classifies) return `Without it, the mean absolute change of the scores is ${short(shift)}.`;
  const score = target ? `the score of ${target}` : "the score of the predicted class";
  const moved = `Without it, ${score} changes by ${shift > 0 ? "+" : ""}${short(shift)} on average`;
  if (!changes.length) return `${moved}, and no predicted class changes.`;
  const flips = changes
    .slice(0, MOST_CHANGES)
    .map(
      ({ before, after, images, among }) =>
        `${images} of ${counted(among, "image")} predicted as ${before} ${images === 1 ? "becomes" : "become"} ${after}`,
    );
  const rest = changes.slice(MOST_CHANGES).reduce((sum, { images }) => sum + images, 0);
  return `${moved}; ${[...flips, ...(rest ? [`${counted(rest, "other image")} ${rest === 1 ? "changes" : "change"}`] : [])].join(", ")}.`;
};

const about = ({ finding, share, together }) =>
  make(
    "p",
    { className: "shared" },
    `The finding “${finding}” of the audit is about it: alone, it moves the predictions ${percent(share)} of the way, all concepts together ${percent(together)}.`,
  );

const exemplar = ({ image, value, prediction, crop_url: crop, heat_url: heat }) =>
  make(
    "li",
    {},
    make("img", { src: crop, alt: `${image}, the part that the value depends on`, loading: "lazy" }),
    make("img", { src: heat, alt: `${image}, where the concept is`, loading: "lazy" }),
    image,
    make("br"),
    `${short(value)}${prediction ? `, ${prediction}` : ""}`,
  );

// Buttons instead of links: the channels are on this page.
const channels = (list, open) => {
  const buttons = list.flatMap(({ channel, weight }, place) => {
    const button = make("button", { type: "button", className: "plain" }, `${channel} (${short(weight)})`);
    button.addEventListener("click", () => open(channel));
    return place ? [" ", button] : [button];
  });
  return make("p", { className: "note" }, "Channels with the largest weights: ", ...buttons);
};

const concept = (one, found, { show, channel }) => {
  const button = make("button", { type: "button", className: "small outline" }, "Look at it in this image");
  button.addEventListener("click", () => show(one.number));
  return make(
    "article",
    {},
    make("h4", {}, `Concept ${one.number}`),
    make(
      "p",
      {},
      `Importance ${one.importance.toFixed(2)}, ${percent(one.share)} of all coefficients. `,
      effect(one, found),
    ),
    ...one.findings.map(about),
    make("ul", { className: "crops" }, ...one.exemplars.map(exemplar)),
    channels(one.channels, channel),
    make("p", { className: "actions" }, button),
  );
};

// `show(concept)` is called with the number of a concept to look at and the address to ask about it, and `channel(index)`
// with that of a channel.
export const searchConcepts = (/** @type {HTMLElement} */ page, { layer, show, channel }) => {
  /** @type {(name: string) => any} */
  const find = (name) => page.querySelector(`[data-concepts-${name}]`);
  /** @type {HTMLFormElement & { elements: any }} */
  const form = find("form");
  if (!form) return;
  const { concepts: url } = /** @type {HTMLElement} */ (page.querySelector("[data-concepts]")).dataset;

  const idle = (at = true) => {
    find("start").disabled = !at;
    find("cancel").hidden = at;
    find("progress").hidden = at;
  };

  const draw = ({ found, current, url: of }) => {
    const [first, ...rest] = found.sentences;
    const negative = found.negative > 0 ? ` ${rest[0]}` : "";
    const skipped = found.unreadable.length ? ` ${found.unreadable.join(" ")}` : "";
    const hint =
      " The importance is the total Sobol index of the score: the share of its variance that depends on this concept.";
    find("text").textContent =
      `${first}${negative}${hint}${skipped}${current ? "" : " They are those of another model."}`;
    const shown = { show: (number) => show({ concept: number, address: `${of}/change` }), channel };
    find("found").replaceChildren(...found.concepts.map((one) => concept(one, found, shown)));
  };

  const follow = async (search) => {
    idle(false);
    find("cancel").onclick = () => send(`${search}/cancel`, {}).catch(() => {});
    let gone = true;
    await poll(search, (state) => {
      gone = false;
      find("progress").value = state.fraction;
      const text = words(state);
      if (!state.found && find("text").textContent !== text) find("text").textContent = text;
      if (state.found) draw(state);
      return !working(state);
    });
    if (gone) find("text").textContent = "The search was deleted.";
    idle();
  };

  const start = async () => {
    const { count, target, audit } = form.elements;
    if (!form.reportValidity()) return;
    find("found").replaceChildren();
    find("text").textContent = "Waiting…";
    idle(false);
    try {
      const wanted = target?.value.trim();
      const { url: search } = await send(url, {
        layer,
        count: Number(count.value),
        ...(wanted ? { target: wanted } : {}),
        ...(audit?.value ? { audit: audit.value } : {}),
      });
      await follow(search);
    } catch (error) {
      find("text").textContent = error.message;
      idle();
    }
  };

  find("start").addEventListener("click", start);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // Enter in the only field of a form, also during a search.
    if (!find("start").disabled) start();
  });
  // What was found last, or is being searched for.
  modelLoaded()
    .then(() => ask(url))
    .then(({ searches }) => {
      const last = searches.find((one) => one.layer === layer && one.current && (one.found || working(one)));
      if (last?.found) draw(last);
      else if (last && working(last)) follow(last.url);
    })
    .catch(() => {});
};
