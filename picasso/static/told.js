// How changes in the output of a model are told, for each task.

import { counted } from "./common.js";

const percent = (share) => (100 * share).toFixed(1);
const change = (before, after) =>
  percent(before) === percent(after) ? `${percent(after)}%` : `${percent(before)} → ${percent(after)}%`;
const short = (value) => String(Number(value.toPrecision(4)));
const signed = (value) => `${value < 0 ? "−" : "+"}${Number(Math.abs(value).toPrecision(3))}`;
const sentences = (...all) => all.filter(Boolean).join(" ");
const names = (entries) => entries.map(({ name }) => name).join(", ");

// A label applies from this probability on.
const APPLIES = 0.5;

// The labels that no longer apply, and those that do now.
const passing = (classes) => {
  const lost = classes.filter(({ before, after }) => before >= APPLIES && after < APPLIES);
  const won = classes.filter(({ before, after }) => before < APPLIES && after >= APPLIES);
  return sentences(lost.length && `No longer: ${names(lost)}.`, won.length && `Added: ${names(won)}.`);
};

// Each task has:
// `number(value)`: a number of the table as text; `bars`: whether numbers are shares of one, which bars can show;
// `verdict(answer, hidden)`: a sentence, where `hidden` tells whether anything is hidden;
// `brief(answer)`: the same in a few words, for one of many images; `flips`: what it is called if the result changes.
export const TOLD = {
  classification: {
    number: (value) => value.toFixed(4),
    bars: true,
    flips: ["flips", "flip"],
    verdict: ({ before: [was], after: [now], flipped }, hidden) => {
      if (!hidden) return `Prediction: ${was.name}, ${percent(was.prob)}%.`;
      if (flipped) return `The prediction flips from ${was.name} to ${now.name}, ${percent(now.prob)}%.`;
      return percent(was.prob) === percent(now.prob)
        ? `The prediction stays ${was.name} at ${percent(now.prob)}%: it does not change noticeably.`
        : `The prediction stays ${was.name}: from ${percent(was.prob)}% to ${percent(now.prob)}%.`;
    },
    brief: ({ before: [was], after: [now], flipped }) =>
      flipped ? `${was.name} → ${now.name}` : `${was.name} ${change(was.prob, now.prob)}`,
  },
  "multi-label": {
    number: (value) => value.toFixed(4),
    bars: true,
    flips: ["changes its labels", "change their labels"],
    verdict: ({ classes }, hidden) => {
      const had = classes.filter(({ before }) => before >= APPLIES);
      if (!hidden) return had.length ? `Labels: ${names(had)}.` : "No label has a probability of 50% or more.";
      const moved = passing(classes);
      if (moved) return moved;
      return had.length ? `The labels stay: ${names(had)}.` : "There is still no label.";
    },
    brief: ({ classes }) => {
      const [{ name, before, after }] = classes;
      return passing(classes) || `${name} ${change(before, after)}`;
    },
  },
  regression: {
    number: short,
    bars: false,
    verdict: ({ classes }, hidden) =>
      classes
        .map(({ name, before, after, unit }) => {
          const what = unit ? ` ${unit}` : "";
          return hidden
            ? `${name}: ${short(before)} → ${short(after)}${what} (${signed(after - before)}).`
            : `${name}: ${short(before)}${what}.`;
        })
        .join(" "),
    brief: ({ classes: [{ before, after, unit }] }) => `${short(before)} → ${short(after)} ${unit ?? ""}`,
  },
  segmentation: {
    number: (value) => `${percent(value)}%`,
    bars: true,
    flips: ["changes its largest class", "change their largest class"],
    verdict: ({ before: [was], share }, hidden) =>
      hidden
        ? `${percent(share)}% of the pixels change their class.`
        : `Largest class: ${was.name}, ${percent(was.share)}% of the pixels.`,
    brief: ({ share }) => `${percent(share)}% of the pixels change`,
  },
  detection: {
    number: (value) => value.toFixed(4),
    bars: true,
    flips: ["gains or loses objects", "gain or lose objects"],
    verdict: ({ classes, before }, hidden) => {
      const gone = classes.filter(({ after }) => after === null);
      const added = classes.filter((one) => one.before === null);
      if (!hidden) return `${counted(before.length, "object")} detected.`;
      if (!gone.length && !added.length) return `All objects are still detected: ${before.length}.`;
      return sentences(gone.length && `No longer detected: ${names(gone)}.`, added.length && `Added: ${names(added)}.`);
    },
    brief: ({ before, after }) => `${before.length} → ${counted(after.length, "object")}`,
  },
  embedding: {
    number: (value) => value.toFixed(4),
    bars: false,
    verdict: ({ classes: [{ after }] }, hidden) =>
      hidden
        ? `The cosine similarity with the whole image is ${after.toFixed(3)}.`
        : "Nothing is hidden: the similarity with the whole image is 1.",
    brief: ({ classes: [{ after }] }) => `similarity ${after.toFixed(3)}`,
  },
};
