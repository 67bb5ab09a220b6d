// Images: dropped, pasted or chosen, shown at once and uploaded a few at a time; then reordered and removed.

import { ask, askPatiently, counted, every, root, send } from "./common.js";
import { dropped, isImage } from "./file_drop.js";
import { changed, show } from "./workspace.js";

// The number of parallel uploads; more would only wait in the server.
const MAX_PARALLEL = 3;
// The maximum number of images that are shown before the server has them.
const MAX_ANNOUNCED = 60;

// The paths of dropped files.
const paths = new WeakMap();
/** @type {(name: string) => any} */
const find = (name) => document.querySelector(`[data-${name}]`);

const complain = (sentence) => {
  const notice = document.createElement("div");
  notice.className = "notice wrong";
  notice.textContent = sentence;
  find("notices").append(notice);
};

// Show an image before the server has it.
const announce = (file) => {
  const list = find("images") ?? firstList();
  // A folder may have thousands.
  if (list.children.length >= MAX_ANNOUNCED) return;
  const item = document.createElement("li");
  item.className = "coming";
  const image = document.createElement("img");
  image.src = URL.createObjectURL(file);
  image.alt = file.name;
  image.onload = () => URL.revokeObjectURL(image.src);
  const name = document.createElement("span");
  name.textContent = file.name;
  item.append(image, name);
  list.append(item);
  changed(list);
};

const firstList = () => {
  const list = document.createElement("ul");
  list.className = "thumbs";
  list.dataset.images = "";
  find("drop").after(list);
  return list;
};

const upload = async (chosen) => {
  const files = chosen.filter(isImage);
  const others = chosen.length - files.length;
  find("notices").replaceChildren();
  if (!chosen.length) return;
  if (!files.length)
    return complain(
      `${others === 1 ? "The file that you chose is not an image" : "None of the files that you chose is an image"}.`,
    );
  const url = find("drop").dataset.drop;
  const refused = new Map();
  let [done, first] = [0, null];
  // The numbers of the stored images by file.
  const stored = new Map();
  files.forEach(announce);
  // The form may have been replaced in the meantime.
  const report = () => {
    find("upload-bar").hidden = done === files.length;
    find("upload-bar").value = done / files.length;
    find("upload-text").textContent = `${stored.size} of ${counted(files.length, "image")} uploaded`;
  };
  const queue = [...files];
  const lane = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const body = new FormData();
      // The folders distinguish files of the same name.
      body.append("file", file, paths.get(file) || file.webkitRelativePath || file.name);
      try {
        const { uid } = await askPatiently(url, { method: "POST", body });
        stored.set(file, uid);
        first ??= uid;
      } catch (error) {
        refused.set(error.message, (refused.get(error.message) ?? 0) + 1);
      }
      done += 1;
      report();
    }
  };
  // The first one is uploaded alone, because it starts the session.
  const [one, ...rest] = queue.splice(0);
  queue.push(one);
  await lane();
  // Its map is computed while the others are uploaded.
  if (rest.length && first !== null) await showImage(first);
  queue.push(...rest);
  await Promise.all(Array.from({ length: MAX_PARALLEL }, lane));
  await inOrder(files.map((file) => stored.get(file)).filter((uid) => uid !== undefined));
  await showImage(rest.length && location.search.includes("image=") ? null : first);
  for (const [sentence, count] of refused) complain(count > 1 ? `${sentence} (${counted(count, "image")})` : sentence);
  if (others)
    complain(
      `${counted(others, "file")} that ${others === 1 ? "is not an image was" : "are not images were"} skipped.`,
    );
};

// Files that are uploaded at the same time may arrive in any order; they are shown in that of the user.
const inOrder = async (uids) => {
  if (uids.every((uid, index) => !index || uids[index - 1] < uid)) return;
  const added = new Set(uids);
  const listed = (await ask(`${root}/api/images`)).images.map(({ uid }) => uid);
  const images = [...listed.filter((uid) => !added.has(uid)), ...uids];
  await send(`${root}/api/images/order`, { images }, { method: "PUT" });
};

// Show an image of the session with its map; null stays where one is.
const showImage = (uid) => {
  const query = new URLSearchParams(location.search);
  if (uid === "") query.delete("image");
  else if (uid !== null) query.set("image", uid);
  if (uid !== null) {
    // Another image has other predictions.
    query.delete("target");
  }
  return show(`${root}/?${query}`, { how: uid === null ? "replace" : "push" });
};

addEventListener("change", (/** @type {Event & { target: HTMLInputElement }} */ { target }) => {
  if (target.closest("[data-drop]")) upload([...target.files]);
});
addEventListener("paste", (event) => upload([...event.clipboardData.files]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  if (!moving) find("drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) find("drop").classList.remove("over");
});
addEventListener("drop", async (event) => {
  event.preventDefault();
  find("drop").classList.remove("over");
  if (moving) {
    moving = null;
    return arrange();
  }
  const found = await dropped(event.dataTransfer);
  for (const { file, path } of found) paths.set(file, path);
  upload(found.map(({ file }) => file));
});

// Removing and moving, without losing the position on the page.
document.addEventListener("click", async (/** @type {Event & { target: HTMLElement }} */ event) => {
  /** @type {HTMLButtonElement} */
  const button = event.target.closest("[data-images] button");
  if (!button) return;
  event.preventDefault();
  const item = button.closest("li");
  if (button.classList.contains("remove")) {
    /** @type {any} */
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    await fetch(button.formAction, { method: "POST" });
    if (item.matches(".current")) await showImage(neighbour?.dataset.uid ?? "");
    else await showImage(null);
    focusOn(neighbour?.dataset.uid, "remove");
  } else {
    const neighbour = button.value === "front" ? item.previousElementSibling : item.nextElementSibling;
    changed(item);
    if (button.value === "front") neighbour.before(item);
    else neighbour.after(item);
    await arrange();
    focusOn(item.dataset.uid, `[value=${button.value}]`);
  }
});

const focusOn = (uid, kind) => {
  const item = document.querySelector(`[data-images] [data-uid="${uid}"]`);
  const button =
    item?.querySelector(kind === "remove" ? ".remove" : `button${kind}:enabled`) ??
    item?.querySelector("button:enabled");
  /** @type {HTMLElement} */ (button ?? document.querySelector("#file")).focus();
};

// Tell the server the order in which the images are on the page.
const arrange = async () => {
  const list = find("images");
  const images = [...list.children].map((item) => Number(item.dataset.uid));
  await send(list.dataset.images, { images }, { method: "PUT" });
  await showImage(null);
};

let moving = null;
document.addEventListener("dragstart", (/** @type {DragEvent & { target: HTMLElement }} */ { target }) => {
  moving = target.closest?.("[data-images] li") ?? null;
  moving?.classList.add("moving");
  if (moving) changed(moving);
});
document.addEventListener(
  "dragover",
  (/** @type {DragEvent & { target: HTMLElement }} */ { target, clientX, clientY }) => {
    const over = moving && target.closest?.("[data-images] li");
    if (!over || over === moving) return;
    const { left, top, width, height } = over.getBoundingClientRect();
    const vertical = getComputedStyle(over.parentElement).flexDirection === "column";
    if (vertical ? clientY < top + height / 2 : clientX < left + width / 2) over.before(moving);
    else over.after(moving);
  },
);
document.addEventListener("dragend", () => {
  every(".moving", (item) => item.classList.remove("moving"));
  // Dropped elsewhere, or cancelled with Escape: restore the order.
  if (moving) showImage(null);
  moving = null;
});

// Files chosen before this script was loaded.
every("[data-drop] input", ({ files }) => {
  if (files.length) upload([...files]);
});
