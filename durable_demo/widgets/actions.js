// Buttons that follow the workflow, not the mouse: a click shows only that it is on its way until its event comes back.
import { focusable, h, setAttribute, setText } from "./dom.js";
import { FAR_END } from "./far_end.js";

const BUSY_HINT_MS = 2_000;
const EVENT_PATIENCE_MS = 5_000;

const NOTICE_MS = 20_000;

/** Where a view says what became of a click; the words go after a while. */
export function createNotice() {
  const el = h("div", { class: "dd-notice", role: "status" });
  let expiry = 0;

  function say(text) {
    setText(el, text);
    clearTimeout(expiry);
    if (text) expiry = setTimeout(() => setText(el, ""), NOTICE_MS);
  }

  return {
    el,
    say,
    /** Takes these words back, unless others have come since. */
    retract: (text) => el.textContent === text && setText(el, ""),
  };
}

/**
 * One command as a button.
 *
 * `look()` gives `{label, reason, hint, args}`: the label, why it cannot be pressed now ("" if it can), for a button that
 * can but will change nothing, why, and the command's arguments. It stays focusable while it cannot be pressed, so that the keyboard does not lose its
 * place; pressed all the same, it says the reason. `situation()` is what its event changes, as text; `done` is called
 * when the command was carried out.
 */
export function createAction(feed, notice, { command, pending, tone = "plain", look, situation = () => runSituation(feed), done }) {
  let waitingFor = null;
  let disconnected = false;
  let explained = "";
  const label = h("span", {});
  const el = focusable("button", { type: "button", class: `dd-button dd-${tone}`, onclick: press }, label);

  const obstacle = () => (disconnected ? FAR_END.lost : look().reason);

  function update() {
    if (waitingFor !== null && waitingFor !== situation()) waitingFor = null;
    const { label: words, hint = "" } = look();
    const waits = waitingFor !== null;
    const why = obstacle();
    if (explained !== why) {
      notice.retract(explained);
      explained = "";
    }
    setText(label, waits ? pending : words);
    setAttribute(el, "aria-disabled", waits || why !== "" ? "true" : null);
    setAttribute(el, "aria-busy", waits ? "true" : null);
    setAttribute(el, "title", waits ? null : why || hint || null);
    el.classList.toggle("dd-quiet", hint !== "");
  }

  async function press() {
    if (waitingFor !== null) return;
    explained = obstacle();
    notice.say(explained);
    if (explained) return;
    const mine = situation();
    waitingFor = mine;
    update();
    const hint = setTimeout(() => notice.say(FAR_END.busy), BUSY_HINT_MS);
    const { command: name = command, args } = look();
    const answer = await feed.command(name, args);
    clearTimeout(hint);
    notice.say(answer.ok || answer.alert ? "" : answer.message);
    if (answer.ok) done?.();
    // The event that ends the waiting comes on its own; without one the button must not stay stuck.
    setTimeout(() => {
      if (waitingFor === mine) waitingFor = null;
      update();
    }, answer.ok ? EVENT_PATIENCE_MS : 0);
  }

  return {
    el,
    update,
    setDisconnected(value) {
      disconnected = value;
      update();
    },
  };
}

const runSituation = ({ trace, panel }) => [trace.generation, trace.summary.workflow_id, trace.summary.status, panel.summary.starting].join(" ");

const ended = (trace) => (trace.ended ? `The workflow has ended: ${trace.summary.status}` : "");

/** Stop Workflow, Pause or Resume, Cancel, Clear. */
export function createRunActions(feed, notice) {
  const { trace } = feed;
  const unlessActive = (reason) => (trace.active ? reason : ended(trace) || "No workflow is running");
  const isChat = () => trace.summary.workflow_type === "ChatWorkflow";
  const stopping = () => (trace.summary.status === "STOPPING" ? "The workflow is stopping already" : "");
  return [
    createAction(feed, notice, {
      command: "stop",
      pending: "Stopping...",
      tone: "danger",
      // Harmless after the end: the workflow's answer says so.
      look: () => ({ label: isChat() ? "End Conversation" : "Stop Workflow", reason: trace.ended ? "" : unlessActive(stopping()), hint: ended(trace) }),
    }),
    createAction(feed, notice, {
      pending: "One moment...",
      look: () =>
        trace.summary.status === "PAUSED"
          ? { label: "Resume", command: "resume", reason: "" }
          : { label: "Pause", command: "pause", reason: unlessActive(isChat() ? "A conversation cannot be paused" : stopping()) },
    }),
    createAction(feed, notice, {
      command: "cancel",
      pending: "Canceling...",
      look: () => ({ label: "Cancel", reason: unlessActive("") }),
    }),
    createAction(feed, notice, {
      command: "clear",
      pending: "Clearing...",
      look: () => ({ label: "Clear", reason: trace.rows.length > 0 || trace.ended ? "" : "There is nothing to clear" }),
    }),
  ];
}
