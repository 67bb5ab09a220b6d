// What several scripts need: asking the server, and replacing parts of a page by what the server would draw now.

// Under which path the server is reached; "" where nothing stands before it.
export const root = document.documentElement.dataset.root ?? "";

export const every = (selector, action, root = document) => root.querySelectorAll(selector).forEach(action);

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The JSON answer of the API; an error answer becomes an Error with the server's sentence.
export const ask = async (url, options = {}) => {
  let answer;
  try {
    answer = await fetch(url, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const error = new Error(body.error?.message ?? `The server answered with status ${answer.status}.`);
  error.status = answer.status;
  throw error;
};

// The same of a server that may be busy with the uploads of others: it is asked again for two minutes.
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

// Ask again and again until `done` says so, or what is asked for is gone; a server that does not answer is asked again.
export const poll = async (url, done) => {
  for (;;) {
    const state = await ask(url).catch((error) => error);
    if (state.status === 404 || (!(state instanceof Error) && done(state))) return;
    await pause(400);
  }
};

let loaded;

// Wait until the model is loaded, if it is being loaded; several who wait share one question.
export const modelLoaded = () => {
  const loading = document.querySelector("[data-model-state=loading]");
  loaded ??= loading ? poll(`${root}/api/app_state`, (state) => state.state !== "loading") : Promise.resolve();
  return loaded;
};

export const send = (url, document, options = {}) =>
  ask(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(document), ...options });

// Replace parts of this page by those of a fresh one, without disturbing the rest; a part may come or go.
export const refresh = async (...selectors) => {
  const answer = await fetch(location.href, { cache: "no-store" });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const selector of selectors) {
    const [old, now] = [document, fresh].map((page) => page.querySelector(selector));
    if (old && now) old.replaceWith(now);
    else if (old) old.remove();
  }
  document.dispatchEvent(new CustomEvent("refreshed"));
};

// "about 12 s", "about 3 min"
export const duration = (seconds) => {
  if (seconds < 1) return "under 1 s";
  return seconds < 90 ? `about ${Math.round(seconds)} s` : `about ${Math.round(seconds / 60)} min`;
};

export const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

// Call `action` once things have been quiet for a while.
export const settled = (action, milliseconds) => {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
};
