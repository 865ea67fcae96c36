// One message and what became of it: the words of a person, the agent's steps, and its answer while it is being written.
import { calendar, clock, focusable, h, setAttribute, setText } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { renderNodes } from "./markdown.js";

const COPIED_MS = 2_000;
const MARKS = { stopped: "stopped", failed: "not answered" };

/** "User" or "AI", with the time. */
function createSpeaker(name) {
  const time = h("time", {});
  const mark = h("span", { class: "dd-turn-mark" });
  const el = h("div", { class: "dd-speaker" }, h("strong", {}, name), time, mark);
  return {
    el,
    update(timestamp, words = "") {
      setText(time, timestamp ? clock(timestamp) : "");
      setAttribute(time, "datetime", timestamp || null);
      setAttribute(time, "title", timestamp ? calendar(timestamp) : null);
      setText(mark, words);
    },
  };
}

/** Calls `draw` with a value only when it differs from the last one: what is open, selected or focused stays so. */
function whenChanged(draw) {
  let last;
  return (value) => {
    const now = JSON.stringify(value);
    if (now !== last) draw(value);
    last = now;
  };
}

/** A message that is on its way, or was not sent; `onDone()` is called when the button that was pressed goes. */
export function createOutgoingView(message, outbox, onDone) {
  const speaker = createSpeaker("User");
  const state = h("p", { class: "dd-sending" });
  let said = "";
  const button = (label, act) => focusable("button", { type: "button", class: "dd-button dd-small", onclick: () => press(act) }, label);
  const actions = h("div", { class: "dd-turn-actions" }, button("Retry", outbox.again), button("Discard", outbox.drop));
  const words = h("div", { class: "dd-words" }, message.text);
  const el = h("div", { class: "dd-turn" }, h("div", { class: "dd-message dd-user" }, speaker.el, words, state, actions));
  speaker.update(message.sent);

  function press(act) {
    act(message);
    onDone();
  }

  function doing({ waits, open }) {
    const { reason, slow } = message;
    const remedy = open ? "Retry sends it again." : "New conversation begins another, with this text.";
    if (reason) return `Not sent: ${reason.replace(/\.?$/, ".")} ${remedy}`;
    if (!slow) return "Sending...";
    return waits ? "Waiting: messages before it are not answered yet..." : FAR_END.sending;
  }

  return {
    el,
    /** `waits`: an earlier turn is still being answered. `open`: the conversation takes messages. */
    update(around) {
      el.classList.toggle("dd-not-sent", message.reason !== "");
      setText(state, doing(around));
      actions.hidden = message.reason === "";
    },
    /** What a screen reader has not heard yet: that it was not sent. */
    news() {
      const fresh = message.reason !== said && message.reason !== "";
      said = message.reason;
      return fresh ? `Not sent: ${said}` : "";
    },
  };
}

/** A turn of the conversation; `onRetry(turn)` is called when somebody wants another answer. */
export function createTurnView(onRetry) {
  let turn;
  const user = createSpeaker("User");
  const words = h("div", { class: "dd-words" });
  const ai = createSpeaker("AI");
  const interim = h("p", { class: "dd-interim" });
  const steps = createSteps();
  const progress = h("p", { class: "dd-doing" });
  const again = h("p", { class: "dd-again" });
  const answer = h("div", { class: "dd-answer" });
  const failure = h("p", { class: "dd-failure" });
  const copyLabel = h("span", {}, "Copy");
  const copy = focusable("button", { type: "button", class: "dd-button dd-small", onclick: onCopy }, copyLabel);
  const retry = focusable("button", { type: "button", class: "dd-button dd-small", onclick: () => onRetry(turn) }, "Retry");
  const el = h(
    "div",
    { class: "dd-turn" },
    h("div", { class: "dd-message dd-user" }, user.el, words),
    h("div", { class: "dd-message dd-ai" }, ai.el, interim, steps.el, again, progress, answer, failure, h("div", { class: "dd-turn-actions" }, copy, retry)),
  );

  const drawAnswer = whenChanged((nodes) => answer.replaceChildren(...renderNodes(nodes)));

  async function onCopy() {
    let words = "Copied";
    try {
      await navigator.clipboard.writeText(turn.answer);
    } catch {
      words = "Not allowed here"; // a page without https
    }
    copyLabel.textContent = words;
    setTimeout(() => (copyLabel.textContent = "Copy"), COPIED_MS);
  }

  function doing(waits) {
    if (over()) return "";
    if (turn.progress && turn.progress !== "Thinking...") return `[Progress: ${turn.progress}]`;
    if (turn.nodes.length > 0) return "";
    return waits ? "Waiting for the answer before this one..." : "Thinking...";
  }

  const over = () => turn.ended !== "";

  /** `waits`: an earlier turn is still being answered. `last`: no message came after it. */
  function update(now, { waits, last }) {
    turn = now;
    setAttribute(el, "data-status", turn.status);
    setAttribute(el, "data-message", turn.id);
    user.update(turn.received, turn.retry_of ? "again" : "");
    setText(words, turn.text);
    ai.update(turn.ended, MARKS[turn.status]);
    setText(interim, turn.interim);
    interim.hidden = turn.interim === "";
    steps.update(turn.steps);
    const retrying = !over() && turn.attempt > 1;
    again.hidden = !retrying;
    setText(again, retrying ? `Attempt ${turn.attempt}: ${turn.error || "the one before failed"}` : "");
    const line = doing(waits);
    progress.hidden = line === "";
    setText(progress, line);
    drawAnswer(turn.nodes);
    answer.classList.toggle("dd-writing", !over() && turn.nodes.length > 0);
    answer.hidden = turn.nodes.length === 0;
    failure.hidden = turn.status !== "failed";
    setText(failure, turn.status === "failed" ? turn.error : "");
    copy.hidden = turn.answer === "";
    retry.hidden = !over() || !last;
  }

  return {
    el,
    update,
    /** What a screen reader hears of a turn that is over. */
    spoken: () => ({ answered: `AI: ${answer.textContent}`, stopped: "The answer was stopped.", failed: `Not answered: ${turn.error}` })[turn.status],
  };
}

/** The tools that were called, folded up: arguments and results are for those who want to know. */
function createSteps() {
  const summary = focusable("summary", {});
  const list = h("ol", {});
  const el = h("details", { class: "dd-tool-steps" }, summary, list);
  const detail = (name, text) => (text ? [h("div", { class: "dd-label" }, name), focusable("pre", { tabindex: 0 }, text)] : []);

  const draw = whenChanged((steps) => {
    el.hidden = steps.length === 0;
    setText(summary, `${steps.length} ${steps.length === 1 ? "step" : "steps"}: ${steps.map(({ label }) => label).join(", ")}`);
    el.classList.toggle("dd-troubled", steps.some(({ error }) => error));
    list.replaceChildren(
      ...steps.map(({ label, arguments: given, result, error, attempt, ended }) =>
        h(
          "li",
          {},
          h("code", {}, label),
          h("span", { class: "dd-step-state" }, `${ended ? (error ? "failed" : "done") : "running"}${attempt > 1 ? `, attempt ${attempt}` : ""}`),
          ...detail("Arguments", given),
          ...detail("Result", result),
          ...(error ? [h("p", { class: "dd-failure" }, error)] : []),
        ),
      ),
    );
  });

  return { el, update: draw };
}
