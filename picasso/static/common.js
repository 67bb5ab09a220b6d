// Shared functions: requests to the server, and updating parts of a page with a fresh copy from the server.

// The path prefix of the server; "" if it has none.
export const root = document.documentElement.dataset.root ?? "";

export const every = (selector, action, within = document) => within.querySelectorAll(selector).forEach(action);

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The JSON response of the API; an error response becomes an Error with the server's message.
export const ask = async (url, options = {}) => {
  let answer;
  try {
    answer = await fetch(url, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not respond. Is it still running?", { cause: error });
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  /** @type {Error & { status?: number }} */
  const error = new Error(body.error?.message ?? `The server responded with status ${answer.status}.`);
  error.status = answer.status;
  throw error;
};

// The same for a server that may be busy with other uploads: retries for two minutes.
export const askPatiently = async (url, options) => {
  for (let left = 60; ; left -= 1) {
    try {
      return await ask(url, options);
    } catch (error) {
      if (error.status !== 503 || !left) throw error;
      await pause(2000);
    }
  }
};

// Poll until `done` returns true or the resource is gone; retry if the server does not respond.
export const poll = async (url, done) => {
  for (;;) {
    const state = await ask(url).catch((error) => error);
    if (state.status === 404 || (!(state instanceof Error) && done(state))) return;
    await pause(400);
  }
};

let loaded;

// Wait until the model is loaded; several callers share one request.
export const modelLoaded = () => {
  const loading = document.querySelector("[data-model-state=loading]");
  loaded ??= loading ? poll(`${root}/api/app_state`, (state) => state.state !== "loading") : Promise.resolve();
  return loaded;
};

export const send = (url, document, options = {}) =>
  ask(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(document),
    ...options,
  });

// Tick in a fresh part what is ticked in the old one.
const keepTicks = (old, now) => {
  for (const { name, value } of old.querySelectorAll("input[type=checkbox][name]:checked")) {
    const [key, content] = [name, value].map((one) => CSS.escape(one));
    const box = now.querySelector(`input[type=checkbox][name="${key}"][value="${content}"]`);
    if (box) box.checked = true;
  }
};

// Replace parts of this page with those of a fresh copy and leave the rest; a part may appear or disappear.
export const refresh = async (...selectors) => {
  const answer = await fetch(location.href, { cache: "no-store" });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const selector of selectors) {
    const [old, now] = [document, fresh].map((page) => page.querySelector(selector));
    if (old && now) {
      keepTicks(old, now);
      old.replaceWith(now);
    } else if (old) old.remove();
  }
  document.dispatchEvent(new CustomEvent("refreshed"));
};

// "about 12 s", "about 3 min"
export const duration = (seconds) => {
  if (seconds < 1) return "under 1 s";
  return seconds < 90 ? `about ${Math.round(seconds)} s` : `about ${Math.round(seconds / 60)} min`;
};

export const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

// One run of `action` at a time; asked for in the meantime, it runs once more. It may ask for that itself.
/** @type {(action: (again: () => void) => Promise<void>) => () => Promise<void>} */
export const inTurn = (action) => {
  let [running, wanted] = [false, false];
  const again = () => {
    wanted = true;
  };
  return async () => {
    again();
    if (running) return;
    running = true;
    while (wanted) {
      wanted = false;
      await action(again);
    }
    running = false;
  };
};

// Debounce `action`.
export const settled = (action, milliseconds) => {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
};
