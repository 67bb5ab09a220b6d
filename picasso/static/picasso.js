// Makes the pages livelier; everything works without it too, with one more click or a reload.

const POLL_MS = 400;

document.documentElement.classList.add("scripted");

// Pictures: drop or paste anywhere on the page, or choose; the upload starts at once.
const form = document.querySelector("[data-drop]");
if (form) {
  const input = form.querySelector("input[type=file]");
  const send = (files) => {
    if (!files.length) return;
    input.files = files;
    form.setAttribute("aria-busy", "true");
    form.submit();
  };
  input.addEventListener("change", () => send(input.files));
  addEventListener("paste", (event) => send(event.clipboardData.files));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) form.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    send(event.dataTransfer.files);
  });
}

// Of small pictures the pixels are shown, as the model sees them; photographs are drawn smoothly.
for (const image of document.querySelectorAll(".samples img, .thumbs img")) {
  const draw = () => image.classList.toggle("photo", image.naturalWidth > 100);
  image.addEventListener("load", draw);
  if (image.complete) draw();
}

// Sliders say their value.
for (const slider of document.querySelectorAll("input[type=range]")) {
  slider.addEventListener("input", () => {
    document.querySelector(`output[for="${slider.id}"]`).value = slider.value;
  });
}

// Ask again and again until `done` says so; a server that does not answer is asked again later.
const poll = async (url, done) => {
  for (;;) {
    try {
      const answer = await fetch(url, { cache: "no-store" });
      if (answer.status === 404 || (answer.ok && done(await answer.json()))) return;
    } catch {
      // The server is away; the next round tries again.
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
};

// Replace parts of this page by what the server would draw now, without disturbing the rest.
const refresh = async (...selectors) => {
  const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  for (const selector of selectors) {
    const [old, now] = [document, fresh].map((page) => page.querySelector(selector));
    if (old && now) old.replaceWith(now);
  }
};

const run = document.querySelector("[data-run]");
if (run) {
  const text = run.querySelector("[data-run-text]");
  const bar = run.querySelector("progress");
  const pictures = (count) => `${count} ${count === 1 ? "picture" : "pictures"}`;
  let seen;
  poll(run.dataset.run, (state) => {
    bar.value = state.fraction;
    if (state.state === "running") text.textContent = `${state.done} of ${pictures(state.total)} done.`;
    else if (state.position) text.textContent = `Waiting for runs before this one: ${state.position}.`;
    const now = `${state.done} ${state.preview}`;
    if (seen !== undefined && seen !== now) refresh("[data-results]");
    seen = now;
    return !["waiting", "running"].includes(state.state);
  }).then(() => location.reload());
}
if (document.querySelector('[data-model-state="loading"]')) {
  poll("/api/app_state", (state) => state.state !== "loading").then(() => refresh(".model", ".cards"));
}
