// The upload of an audit: choose or drop a folder, see its classes and the estimated cost, send the images.

import { ask, askPatiently, counted, duration, modelLoaded, refresh, root, send, settled } from "./common.js";
import { dropped, isImage } from "./file_drop.js";

// The largest number of images, and of bytes, in one request.
const TOGETHER = 20;
const BYTES = 16_000_000;
// The bytes that accompany an image in its request: its name, the path of its folder, and separators.
const AROUND = 20_000;

/** @type {HTMLFormElement & { elements: Record<string, HTMLInputElement> }} */
const form = document.querySelector("[data-gather]");
/** @type {(name: string) => any} */
const find = (name) => form.querySelector(`[data-${name}]`);
/** @type {HTMLInputElement} */
const input = form.querySelector("#folder");
const notices = document.querySelector("[data-notices]");
const [start, stop, bar] = ["start", "stop", "upload-bar"].map(find);

// The images by the path of their folder, the server's estimate, and the upload in progress.
let folders = new Map();
let estimate = null;
let begun = null;
let stopping = null;

const complain = (sentence) => {
  const notice = document.createElement("div");
  notice.className = "notice wrong";
  notice.textContent = sentence;
  notices.append(notice);
};

// ---- choosing -----------------------------------------------------------------------------------------------

// A folder is hidden if any part of its path is; operating systems and editors create such folders.
const hidden = (path) => path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");

const choose = async (chosen) => {
  notices.replaceChildren();
  folders = new Map();
  begun = null;
  const images = chosen.filter(({ file, path }) => isImage(file) && !hidden(path));
  images.sort((one, two) => (one.path < two.path ? -1 : 1));
  let loose = 0;
  let large = 0;
  for (const { file, path } of images) {
    const folder = path.slice(0, path.lastIndexOf("/"));
    if (!path.includes("/")) loose += 1;
    // The server would reject it.
    else if (file.size > Number(form.dataset.mostBytes) - AROUND) large += 1;
    else if (folders.has(folder)) folders.get(folder).push(file);
    else folders.set(folder, [file]);
  }
  const others = chosen.length - images.length;
  const left = [
    others ? `${counted(others, "file")} that ${others === 1 ? "is not an image" : "are not images"}` : "",
    loose ? `${counted(loose, "image")} outside any folder` : "",
    large ? `${counted(large, "image")} larger than the ${Number(form.dataset.mostBytes) / 1e6} MB allowed` : "",
  ].filter(Boolean);
  find("left-out").textContent = left.length ? `Left out: ${left.join(", ")}.` : "";
  if (!folders.size) complain("No images were found in subfolders. An audit needs one folder per class.");
  await reckon();
};

// Ask the server for an estimate; it knows the classes.
const reckon = async () => {
  estimate = null;
  const asked = folders;
  if (folders.size) {
    try {
      find("cost").textContent = "Reading the folders …";
      await modelLoaded();
      const classes = Object.fromEntries([...folders].map(([folder, files]) => [folder, files.length]));
      const pairs = Number(form.elements.pairs.value) || 0;
      const answer = await send(form.dataset.estimateUrl, { classes, pairs });
      if (asked !== folders) return;
      estimate = answer;
    } catch (error) {
      if (asked === folders) complain(error.message);
    }
  }
  show();
};

const show = () => {
  const table = find("gathered");
  table.hidden = !estimate;
  table.tBodies[0].replaceChildren(
    ...(estimate?.classes ?? []).map(({ name, images, taken }) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(
        head,
        ...[images, taken || "too few"].map((value) => {
          const cell = document.createElement("td");
          cell.textContent = value;
          return cell;
        }),
      );
      row.lastElementChild.classList.toggle("none", !taken);
      return row;
    }),
  );
  const time = estimate?.seconds ? ` Estimated time: ${duration(estimate.seconds)}.` : "";
  find("cost").textContent = estimate ? `${estimate.sentence}${time}` : "Choose a folder to see the estimated cost.";
  start.disabled = !estimate;
  start.textContent = start.dataset.text;
};

// ---- sending ------------------------------------------------------------------------------------------------

// An evenly spaced selection: no part of the folder is preferred.
const spread = (found, count) =>
  Array.from({ length: count }, (_, index) => found[Math.floor((index * found.length) / count)]);

// The batches to send: each has images of one folder and stays within both limits.
const batches = () => {
  const most = Math.min(BYTES, Number(form.dataset.mostBytes) / 2);
  const all = [];
  for (const one of estimate.classes) {
    const found = one.folders.flatMap((folder) => folders.get(folder).map((file) => ({ folder, file })));
    let last = null;
    for (const { folder, file } of spread(found, one.taken)) {
      if (last?.folder !== folder || last.files.length === TOGETHER || last.bytes + file.size > most) {
        last = { folder, files: [], bytes: 0 };
        all.push(last);
      }
      last.files.push(file);
      last.bytes += file.size;
    }
  }
  return all;
};

const sendBatch = ({ folder, files }) => {
  const body = new FormData();
  body.append("class", folder);
  for (const file of files) body.append("file", file, file.name);
  return askPatiently(`${begun.url}/images`, { method: "POST", body, signal: stopping.signal });
};

const upload = async () => {
  begun ??= {
    ...(await ask(form.dataset.gather, { method: "POST", signal: stopping.signal })),
    queue: batches(),
    sent: 0,
  };
  const total = estimate.classes.reduce((sum, { taken }) => sum + taken, 0);
  while (begun.queue.length) {
    const { refused } = await sendBatch(begun.queue[0]);
    begun.sent += begun.queue.shift().files.length;
    bar.value = begun.sent / total;
    find("upload-text").textContent = `${begun.sent} of ${counted(total, "image")} sent`;
    for (const sentence of new Set(refused)) complain(sentence);
  }
  const minutes = Number(form.elements.minutes.value);
  const order = { pairs: Number(form.elements.pairs.value) || 0, budget: minutes > 0 ? 60 * minutes : null };
  await send(`${begun.url}/start`, order);
  location.href = root + begun.url.slice(root.length).replace("/api/", "/");
};

const busy = (now) => {
  start.disabled = now;
  stop.hidden = bar.hidden = !now;
  input.disabled = now;
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  notices.replaceChildren();
  stopping = new AbortController();
  busy(true);
  try {
    await upload();
  } catch (error) {
    busy(false);
    if (error.name === "AbortError") return;
    complain(error.message);
    // The server keeps what was sent; the upload continues with the rest.
    if (begun?.sent) start.textContent = "Continue the upload";
  }
});

stop.addEventListener("click", () => {
  stopping.abort();
  if (begun) ask(begun.url, { method: "DELETE" }).catch(() => null);
  begun = null;
  find("upload-text").textContent = "Cancelled. The uploaded images were deleted.";
  bar.value = 0;
});

// ---- where the folders come from ----------------------------------------------------------------------------

const listed = ({ files }) => [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

form.addEventListener("change", (/** @type {Event & { target: HTMLInputElement }} */ { target }) => {
  if (target.type === "file") choose(listed(target));
});
form.elements.pairs.addEventListener("input", settled(reckon, 300));
addEventListener("dragover", (event) => {
  event.preventDefault();
  form.querySelector(".drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.querySelector(".drop").classList.remove("over");
});
addEventListener("drop", async (event) => {
  event.preventDefault();
  form.querySelector(".drop").classList.remove("over");
  if (!input.disabled) choose(await dropped(event.dataTransfer));
});

// The class names are known by then.
if (document.querySelector("[data-model-state=loading]")) modelLoaded().then(() => refresh("#folder-help"));
show();
// Files chosen before this script was loaded.
if (input.files.length) choose(listed(input));
