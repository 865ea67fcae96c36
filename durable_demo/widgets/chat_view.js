// The Chat tab. The agent comes with the next version; until then the tab says so and leads to Monty.
import { focusable, h, icon } from "./dom.js";

const DOING = { RUNNING: "is running", PAUSED: "is paused", STOPPING: "is stopping" };

/** The chat and its status bar; `openTrace` is called when somebody follows the bar to the trace. */
export function createChatView(feed, openTrace) {
  const step = (strong, rest) => h("li", {}, h("strong", {}, strong), rest);
  const intro = h(
    "div",
    { class: "dd-chat-empty" },
    h("div", { class: "dd-chat-picture" }, icon("CHAT")),
    h("p", { class: "dd-empty-title" }, "The chat agent arrives in the next version"),
    h("p", {}, "Monty works now: a durable workflow that sleeps, quotes Monty Python and survives crashes."),
    h(
      "ol",
      { class: "dd-steps" },
      step("Start Monty", " in the bar above sets it going"),
      step("Workflow Trace", " shows each step as it happens"),
      step("Stop Workflow", " ends it gracefully, with its totals"),
    ),
  );
  const words = h("span", {});
  const bar = focusable("button", { type: "button", class: "dd-statusbar", onclick: openTrace }, words);
  const el = h("div", { class: "dd-chat" }, intro, h("div", { role: "status" }, bar));

  function update() {
    const { status } = feed.summary;
    bar.hidden = status === "";
    const what = feed.ended ? `has ended: ${status}` : DOING[status];
    const name = feed.monty ? "Monty workflow" : feed.summary.workflow_type || "Workflow";
    const text = `Status: ${name} ${what} (click Workflow Trace tab to view)`;
    if (words.textContent !== text) words.textContent = text;
  }

  return { el, update };
}
