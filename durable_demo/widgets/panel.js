// The panel: title, tabs, and the buttons of the tab that is shown.
import { createAction, createNotice, createRunActions } from "./actions.js";
import { createAlerts, createDisconnection, mount } from "./alerts.js";
import { createBreakBanner } from "./break_banner.js";
import { createBreakView } from "./break_view.js";
import { createChatView, showsMonty } from "./chat_view.js";
import { createCompareView } from "./compare_view.js";
import { focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { feedOf } from "./feed.js";
import { createHistoryView } from "./history_view.js";
import { createOutbox } from "./outbox.js";
import { createRunsView } from "./runs_view.js";
import { createStartForm } from "./start_form.js";
import { createSubject } from "./subject.js";
import { createTimelineView } from "./timeline_view.js";
import { createTraceView } from "./trace_view.js";
import { createVoice } from "./voice.js";

/** Which tab was last chosen, or null: for the next view of the same model, also after a reload of the page. */
export function createMemory(key) {
  const name = `durable-demo tab ${key}`;
  let tab = null;
  try {
    tab = sessionStorage.getItem(name);
  } catch {
    // no storage in this page (sandboxed frame): the tab is kept for the other views only
  }
  return {
    get: () => tab,
    set(value) {
      tab = value;
      try {
        sessionStorage.setItem(name, value);
      } catch {
        // as above
      }
    },
  };
}

/**
 * WAI-ARIA tabs with automatic activation; all in the browser, so that they work while the kernel is busy.
 *
 * Each has `name`, `label`, its `panel`, what `bars` are shown with it (several may share one), and may have
 * `show(visible)`.
 */
function createTabs(tabs, memory, onChange) {
  const buttons = tabs.map(({ name, label, panel }) => {
    const id = uniqueId(name);
    panel.id = `${id}-panel`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", id);
    return focusable("button", { type: "button", class: "dd-tab", role: "tab", id, "aria-controls": panel.id, onclick: () => choose(name) }, ...label);
  });
  const el = h("div", { class: "dd-tabs", role: "tablist", "aria-label": "Views", onkeydown: onKey }, ...buttons);

  function choose(name, { focus = false } = {}) {
    if (name !== memory.get()) onChange();
    const { bars } = tabs.find((tab) => tab.name === name);
    tabs.forEach((tab, place) => {
      const chosen = tab.name === name;
      setAttribute(buttons[place], "aria-selected", String(chosen));
      setAttribute(buttons[place], "tabindex", chosen ? 0 : -1);
      tab.panel.hidden = !chosen;
      for (const bar of tab.bars) bar.hidden = !bars.includes(bar);
      tab.show?.(chosen);
      if (chosen && focus) buttons[place].focus();
    });
    memory.set(name);
  }

  function onKey(event) {
    const here = buttons.indexOf(event.target.closest("[role=tab]"));
    const last = buttons.length - 1;
    const steps = { ArrowRight: here === last ? 0 : here + 1, ArrowLeft: here === 0 ? last : here - 1, Home: 0, End: last };
    if (here < 0 || !(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    choose(tabs[steps[event.key]].name, { focus: true });
  }

  const first = tabs.find((tab) => tab.name === memory.get()) ?? tabs[0];
  choose(first.name);
  return { el, choose };
}

function createStartAction(feed, notice) {
  const { trace, panel } = feed;
  return createAction(feed, notice, {
    command: "start_monty",
    pending: "Starting...",
    tone: "primary",
    look() {
      if (!trace.ready) return { label: "Start Monty", reason: FAR_END.waiting };
      if (panel.summary.starting) return { label: "Starting...", reason: "A Monty workflow is starting" };
      if (showsMonty(trace) && trace.active && trace.following) return { label: "Monty Running...", reason: `${trace.summary.workflow_id} is running` };
      return { label: "Start Monty", reason: "" };
    },
  });
}

/** The whole panel over a feed; `outbox` and `memory` are shared by all views of it. */
export function createPanel(feed, outbox, memory) {
  const notice = createNotice();
  const alerts = createAlerts(feed, () => outbox.lost);
  const start = createStartAction(feed, notice);
  const startForm = createStartForm(feed, notice, () => {});
  const runActions = createRunActions(feed, notice);
  const voice = createVoice(feed);
  const go = (name) => tabs.choose(name, { focus: true });
  const trace = createTraceView(feed.trace, voice);
  const chat = createChatView(feed, notice, outbox, voice, go);
  const timeline = createTimelineView(feed, notice, go);
  const history = createHistoryView(feed, notice, go);
  const breaking = createBreakView(feed, notice, voice, go);
  const banner = createBreakBanner(feed, () => {
    go("break");
    breaking.askReset();
  });
  const runs = createRunsView(feed, notice, go);
  const compare = createCompareView(feed, notice, go);
  const subjects = [timeline, history].map(() => createSubject(feed.trace, () => go("runs")));
  const dot = h("span", { class: "dd-dot", hidden: true }, h("span", { "aria-hidden": "true" }, "\u25cf"));
  const dotWords = h("span", { class: "dd-hidden" });
  dot.append(dotWords);

  const bar = (label, elements) => h("div", { class: "dd-actions", role: "group", "aria-label": label }, ...elements);
  const startOne = bar("Monty", [start.el]);
  const startMany = bar("Start workflows", [startForm.button]);
  const startOptions = h("div", {}, startForm.el);
  const running = bar("Workflow", runActions.slice(0, -1).map((action) => action.el));
  const clear = runActions.at(-1);
  function showBreaking(visible) {
    breaking.show(visible);
    banner.show(!visible);
  }
  const view = (name, label, { el, actions = [], show }, bars = [], above = []) => {
    const own = actions.length > 0 ? [bar(label, actions)] : [];
    return { name, label: [label], panel: h("div", {}, ...above, el), bars: [...bars, ...own], show };
  };
  const views = [
    view("chat", "Chat", chat, [startOne, startMany, startOptions]),
    { ...view("trace", "Workflow Trace", { el: trace.el, actions: [clear.el] }, [running]), label: ["Workflow Trace", dot] },
    view("timeline", "Timeline", timeline, [running], [subjects[0].el]),
    view("history", "Event History", history, [running], [subjects[1].el]),
    view("break", "Break it", { ...breaking, show: showBreaking }),
    view("runs", "Runs", runs, [startMany, startOptions]),
    view("compare", "Compare", compare),
  ];
  const bars = [...new Set(views.flatMap((one) => one.bars))].filter((one) => one !== startOptions);
  const tabs = createTabs(views, memory, () => notice.say(""));
  const disconnection = createDisconnection(feed);

  const el = h(
    "section",
    { class: "durable-demo", "aria-label": "Durable AI Agent" },
    h("div", { class: "dd-title", role: "heading", "aria-level": 2 }, "Durable AI Agent"),
    tabs.el,
    h("div", { class: "dd-bar" }, ...bars),
    disconnection.el,
    banner.el,
    alerts.el,
    notice.el,
    startOptions,
    h("div", { class: "dd-body" }, ...views.map((one) => one.panel)),
    voice.el,
  );

  function update() {
    for (const part of [start, startForm, ...runActions, alerts, chat, ...subjects]) part.update();
    dot.hidden = !feed.trace.active;
    const paused = feed.trace.summary.status === "PAUSED";
    dot.classList.toggle("dd-still", paused);
    setText(dotWords, paused ? " paused" : " running");
  }
  const unlisten = feed.listen(update);
  const unlistenOutbox = outbox.listen(alerts.update);
  update();
  return {
    el,
    setDisconnected(lost) {
      el.classList.toggle("dd-lost", lost);
      disconnection.set(lost);
      for (const part of [start, startForm, ...runActions, chat, timeline, history, breaking, banner, runs, compare]) part.setDisconnected(lost);
    },
    dispose() {
      unlisten();
      unlistenOutbox();
      for (const part of [trace, chat, timeline, history, breaking, banner, runs, compare, voice]) part.dispose();
    },
  };
}

export default function panelWidget() {
  // Shared by all views of one model; anywidget keeps nothing else between initialize and render.
  let feed;
  let outbox;
  let memory;
  return {
    initialize({ model }) {
      feed = feedOf(model, ["trace", "panel", "chat", "timeline", "history", "break", "recovery", "chat_recovery", "runs", "compare"]);
      outbox = createOutbox(feed);
      memory = createMemory(model.get("key"));
    },
    render({ model, el }) {
      return mount(model, el, feed, createPanel(feed, outbox, memory));
    },
  };
}
