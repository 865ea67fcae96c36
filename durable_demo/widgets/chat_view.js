// The Chat tab: what the agent works with, the transcript, the composer, and the bar that says what Monty does.
import { createChatBar } from "./chat_bar.js";
import { createComposer } from "./composer.js";
import { focusable, h, setText } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { createTranscript } from "./transcript.js";

const DOING = { RUNNING: "is running", PAUSED: "is paused", STOPPING: "is stopping" };
const MONTY = "MontyPythonWorkflow";

/** Whether the workflow in the trace is one that Start Monty starts. */
export const showsMonty = (trace) => trace.summary.workflow_type === MONTY;

/** The chat and its status bar; `go(tab)` leads to what the workflows behind it do. */
export function createChatView(feed, notice, outbox, voice, go) {
  const composer = createComposer(feed, notice, outbox);
  const onChosen = () => {
    outbox.leave();
    composer.focus();
  };
  const bar = createChatBar(feed, notice, onChosen, () => go("timeline"));
  const transcript = createTranscript(feed, outbox, voice, composer);
  const status = createStatusBar(feed.trace, () => go("trace"));
  const el = h("div", { class: "dd-chat" }, bar.el, transcript.el, composer.el, status.el);

  return {
    el,
    update() {
      for (const part of [bar, composer, status]) part.update();
    },
    setDisconnected(lost) {
      if (lost) outbox.lose(FAR_END.lost);
      for (const part of [bar, composer]) part.setDisconnected(lost);
    },
    dispose: transcript.dispose,
  };
}

function createStatusBar(trace, openTrace) {
  const words = h("span", {});
  const bar = focusable("button", { type: "button", class: "dd-statusbar", onclick: openTrace }, words);

  function update() {
    const { status, workflow_type: type } = trace.summary;
    bar.hidden = status === "";
    const what = trace.ended ? `has ended: ${status}` : DOING[status];
    const name = showsMonty(trace) ? "Monty workflow" : type || "Workflow";
    setText(words, `Status: ${name} ${what} (click Workflow Trace tab to view)`);
  }

  return { el: h("div", { role: "status" }, bar), update };
}
