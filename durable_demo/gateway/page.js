// The panel as a page of its own: stands for anywidget's model, with a WebSocket in place of a kernel's comm.
import { setText } from "./dom.js";
import { FAR_END } from "./far_end.js";
import panelWidget, { createMemory } from "./panel.js";

const RECONNECT_MS = 500;
const RECONNECT_LIMIT_MS = 5_000;
/** Code of the close when the token is missing or wrong. */
const SIGNED_OUT = 4401;
const LOST = "Disconnected from the gateway - this page comes back by itself once it runs again (`durable-demo serve`). Workflows that run go on.";

Object.assign(FAR_END, {
  lost: "Disconnected from the gateway",
  lostBanner: LOST,
  lostInput: "Disconnected from the gateway: this page comes back by itself.",
  waiting: "Waiting for the gateway",
  waitingView: "Waiting for the gateway.",
  busy: "The gateway is busy: the click waits for it.",
  sending: "Still sending: the gateway is busy, or no Worker runs...",
  silent: (minutes) => `The gateway has not answered within ${minutes} min. Look at its terminal, or reload the page.`,
  unreachable: (why) => `The gateway cannot be reached (${why}). This page comes back by itself.`,
});

/** What tells this page from all others, also after a reload. */
function pageKey() {
  const name = "durable-demo page";
  const made = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    const key = sessionStorage.getItem(name) ?? made;
    sessionStorage.setItem(name, key);
    return key;
  } catch {
    return made; // no storage: a reload is another page
  }
}

const shownBefore = new Set();

/** Keeps in the URL what is shown, so that a reload, a bookmark and a page that comes back show the same. */
function keepInUrl({ channel, summary, following }) {
  const name = { trace: "workflow", chat: "chat" }[channel];
  if (!name || !summary) return;
  const url = new URL(location.href);
  if (summary.workflow_id) {
    shownBefore.add(name);
    url.searchParams.set(name, summary.workflow_id);
  } else if (!following && shownBefore.has(name)) url.searchParams.delete(name); // else its first event is to come
  if (url.href !== location.href) history.replaceState(null, "", url);
}

/** A model as anywidget gives it to a widget, at the end of a WebSocket that comes back when it is lost. */
function createModel(key) {
  const heard = new Set();
  const liveHeard = new Set();
  const unanswered = new Set();
  const unsent = [];
  let socket;
  let loaded = true;
  let lostBefore = 0;

  function address() {
    const url = new URL(`panel/${key}`, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    for (const name of ["workflow", "chat"]) {
      const value = new URLSearchParams(location.search).get(name);
      if (value) url.searchParams.set(name, value);
    }
    if (loaded) url.searchParams.set("loaded", "true");
    return url;
  }

  function connect() {
    socket = new WebSocket(address());
    socket.addEventListener("open", () => {
      unsent.splice(0).forEach((text) => socket.send(text));
    });
    socket.addEventListener("message", ({ data }) => {
      deliver(JSON.parse(data));
      // Who is let in is welcomed; others are sent away with a reason.
      if (lostBefore > 0) tellLive(true);
      lostBefore = 0;
      loaded = false;
    });
    socket.addEventListener("close", ({ code, reason }) => {
      FAR_END.lostBanner = reason ? `${FAR_END.lost}: ${reason}` : LOST;
      if (code === SIGNED_OUT) FAR_END.lostBanner += " Open the address that `durable-demo serve` has printed.";
      tellLive(false);
      // It may be lost for another reason than a moment ago.
      const note = document.querySelector(".dd-disconnected");
      if (note) setText(note, FAR_END.lostBanner);
      unsent.length = 0;
      // Nobody will answer what was asked of a gateway that has ended.
      for (const id of unanswered) deliver({ t: "answer", id, ok: false, message: reason || FAR_END.lost, alert: false, invalid: false });
      if (code === SIGNED_OUT) return;
      setTimeout(connect, Math.min(RECONNECT_MS * 2 ** lostBefore, RECONNECT_LIMIT_MS));
      lostBefore += 1;
    });
  }

  function tellLive(live) {
    for (const listener of liveHeard) listener.call({ model: { comm_live: live } });
  }

  function deliver(message) {
    if (message.t === "answer") unanswered.delete(message.id);
    else keepInUrl(message);
    for (const listener of heard) listener(message);
  }

  return {
    connect,
    get: (name) => ({ key })[name],
    on: (name, listener) => (name === "msg:custom" ? heard : liveHeard).add(listener),
    off() {},
    send(message) {
      const text = JSON.stringify(message);
      if (socket.readyState === WebSocket.CONNECTING) unsent.push(text);
      else if (socket.readyState === WebSocket.OPEN) socket.send(text);
      else throw new Error("the connection is lost");
      if (message.t === "command") unanswered.add(message.id);
    },
  };
}

const key = pageKey();
const memory = createMemory(key);
// Somebody who follows a link to a workflow wants to see that.
if (memory.get() === null && new URLSearchParams(location.search).has("workflow")) memory.set("trace");
const model = createModel(key);
const main = document.getElementById("panel");
model.connect();
const widget = panelWidget();
await widget.initialize({ model });
await widget.render({ model, el: main });
main.querySelector(".dd-title").setAttribute("aria-level", "1");
