// What the agent works with, and the way to other conversations.
import { createAction } from "./actions.js";
import { calendar, focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";

/**
 * The line above the transcript. `onChosen()` is called when another conversation is on its way, `onWatched()` when this
 * one is what the views of one workflow show.
 */
export function createChatBar(feed, notice, onChosen, onWatched) {
  const { chat } = feed;
  const model = h("span", {});
  const weather = h("span", {});
  const fact = (name, value) => h("span", { class: "dd-agent-fact" }, h("span", { class: "dd-label" }, `${name}: `), value);
  const modelFact = fact("Model", model);
  const weatherFact = fact("Weather", weather);
  const fresh = createAction(feed, notice, {
    command: "new_chat",
    pending: "One moment...",
    situation: () => String(chat.generation),
    look: () => ({ label: "New conversation", reason: chat.summary.status || chat.summary.problem || chat.following ? "" : "This is a new conversation" }),
    done: onChosen,
  });
  const watch = createAction(feed, notice, {
    command: "watch",
    pending: "One moment...",
    situation: () => feed.trace.summary.workflow_id,
    look: () => ({ label: "Timeline", args: { workflow_id: chat.summary.workflow_id }, reason: chat.summary.workflow_id ? "" : "Nothing was said yet", hint: "" }),
    done: onWatched,
  });
  const past = createPast(feed, notice, onChosen);
  const banner = h("div", { class: "dd-warning", role: "status" });
  const reconnecting = h("div", { class: "dd-warning", role: "status" });
  const problem = h("div", { class: "dd-problem", role: "status" });
  const el = h(
    "div",
    { class: "dd-chat-bar" },
    h("div", { class: "dd-chat-facts" }, h("div", { class: "dd-facts" }, modelFact, weatherFact), h("div", { class: "dd-chat-actions", role: "group", "aria-label": "Conversations" }, watch.el, past.button, fresh.el)),
    past.el,
    banner,
    reconnecting,
    problem,
  );

  function update() {
    const { summary } = chat;
    modelFact.hidden = summary.model === "";
    setText(model, summary.model);
    weatherFact.hidden = summary.weather === "";
    setText(weather, summary.weather);
    setText(banner, summary.notice);
    setText(reconnecting, summary.connected ? "" : "Server not reachable, reconnecting...");
    setText(problem, summary.problem ? `Problem: ${summary.problem}` : "");
    for (const part of [watch, fresh, past]) part.update();
  }

  return {
    el,
    update,
    setDisconnected(lost) {
      for (const part of [watch, fresh, past]) part.setDisconnected(lost);
    },
  };
}

/** Past conversations: a button that unfolds a list of them. */
function createPast(feed, notice, onChosen) {
  const { chat, panel } = feed;
  const id = uniqueId("past");
  const list = h("ul", { class: "dd-past-list" });
  const hint = h("p", { class: "dd-past-hint" });
  const el = h("div", { class: "dd-past", id, hidden: true, role: "region", "aria-label": "Past conversations", onkeydown: onKey }, hint, list);
  const button = focusable("button", { type: "button", class: "dd-button dd-plain", "aria-expanded": "false", "aria-controls": id, onclick: () => toggle(el.hidden) }, "Past conversations");
  let lost = false;
  let shown = "";
  let listedWith = "";

  /** The conversation shown, once somebody has said something in it. */
  const begun = () => (chat.rows.length > 0 ? chat.summary.workflow_id : "");

  function toggle(open) {
    el.hidden = !open;
    setAttribute(button, "aria-expanded", String(open));
    if (open && !lost) ask();
    update();
  }

  async function ask() {
    listedWith = begun();
    const answer = await feed.command("list_chats");
    if (!answer.ok && !answer.alert) notice.say(answer.message);
  }

  function onKey(event) {
    if (event.key !== "Escape") return;
    toggle(false);
    button.focus();
  }

  async function choose(workflow_id) {
    button.focus();
    toggle(false);
    if (workflow_id === chat.summary.workflow_id) return;
    const answer = await feed.command("open_chat", { workflow_id });
    if (answer.ok) onChosen();
    else if (!answer.alert) notice.say(answer.message);
  }

  function makeItem({ workflow_id, title, status, started }) {
    const here = workflow_id === chat.summary.workflow_id;
    const words = title || (here && firstWords()) || "(nothing said yet)";
    const state = { RUNNING: here ? "shown now" : "open" }[status] ?? `ended: ${status}`;
    return h(
      "li",
      {},
      focusable(
        "button",
        { type: "button", class: "dd-past-item", "aria-current": here ? "true" : null, onclick: () => choose(workflow_id) },
        h("span", { class: "dd-past-title" }, words),
        h("span", { class: "dd-past-facts" }, `${calendar(started)}, ${state}`),
      ),
    );
  }

  /** What the list calls a conversation; it is a moment behind. */
  const firstWords = () => (chat.first === 0 && chat.rows.length > 0 ? chat.rows[0][1].text : "");

  function update() {
    if (el.hidden) return;
    if (!lost && begun() !== "" && begun() !== listedWith) ask();
    const { chats } = panel.summary;
    hint.hidden = !lost && chats !== null && chats.length > 0;
    setText(hint, lost ? FAR_END.lost : chats === null ? "Looking for conversations..." : "No conversations yet");
    const now = JSON.stringify([chats, chat.summary.workflow_id, firstWords()]);
    if (now === shown) return;
    shown = now;
    list.replaceChildren(...(chats ?? []).map(makeItem));
  }

  return {
    el,
    button,
    update,
    setDisconnected(value) {
      lost = value;
      update();
    },
  };
}
