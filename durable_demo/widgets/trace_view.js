// The live trace of one workflow: header, events, totals. Alone in a cell or as a tab of the panel.
import { createRunActions, createNotice } from "./actions.js";
import { createAlerts, createDisconnection, mount } from "./alerts.js";
import { calendar, clock, focusable, h, icon, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { feedOf } from "./feed.js";
import { createLogEnd } from "./log_end.js";
import { createVoice } from "./voice.js";

const ROWS_PER_FRAME = 500;
const ROWS_PER_BLOCK = 100;

/** Header, events and totals of the workflow in the channel `trace`. The buttons and the voice are the caller's to place. */
export function createTraceView(trace, voice) {
  const waiting = h("p", {}, FAR_END.waitingView);
  const emptyTitle = h("p", { class: "dd-empty-title" }, "No workflow trace available");
  const emptyHint = h("p", {}, "Start a Monty workflow from the Chat tab to see trace output");
  const empty = h("div", { class: "dd-empty" }, waiting, emptyTitle, emptyHint);
  const header = createHeader(trace);
  const events = createEvents(trace);
  const totals = h("div", { class: "dd-totals" });
  const content = h("div", { class: "dd-trace-content" }, header.el, events.el, totals);
  const announcer = createAnnouncer(trace, voice);
  const el = h("div", { class: "dd-trace" }, empty, content);

  let frame = 0;
  function draw() {
    frame = 0;
    const nothing = trace.summary.status === "" && trace.rows.length === 0;
    empty.hidden = !nothing;
    content.hidden = nothing;
    waiting.hidden = trace.ready;
    emptyTitle.hidden = emptyHint.hidden = !trace.ready;
    header.draw();
    setText(totals, trace.summary.footer);
    if (events.draw()) schedule();
  }
  function schedule() {
    frame ||= requestAnimationFrame(draw);
  }

  const unlisten = trace.listen((changed) => {
    events.mark(changed);
    announcer.hear();
    schedule();
  });
  draw();
  return {
    el,
    dispose() {
      unlisten();
      cancelAnimationFrame(frame);
      events.dispose();
    },
  };
}

function createHeader(trace) {
  const workflow = h("code", {});
  const statusIcon = h("span", { class: "dd-chip-icon" });
  const statusText = h("span", {});
  const chip = h("span", { class: "dd-chip" }, statusIcon, statusText);
  const started = h("span", {});
  const fact = (name, value) => h("div", { class: "dd-fact" }, h("span", { class: "dd-label" }, `${name}: `), value);
  const reconnecting = h("div", { class: "dd-warning", role: "status" });
  const problem = h("div", { class: "dd-problem" }, h("strong", {}, "Problem: "));
  const problemText = h("span", {});
  problem.append(problemText);

  const fill = h("div", { class: "dd-progress-fill" });
  const bar = h("div", { class: "dd-progress-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  const doing = h("span", { class: "dd-progress-activity" });
  const attempt = h("span", { class: "dd-progress-attempt" });
  const percent = h("span", { class: "dd-progress-percent" });
  const progress = h("div", { class: "dd-progress" }, h("div", { class: "dd-progress-words" }, doing, attempt, percent), bar);

  const el = h(
    "div",
    { class: "dd-header" },
    h("div", { class: "dd-facts" }, fact("Workflow", workflow), fact("Status", chip), fact("Started", started)),
    reconnecting,
    problem,
    progress,
  );

  function draw() {
    const { summary } = trace;
    setText(workflow, summary.workflow_id);
    if (statusText.textContent !== summary.status) {
      statusText.textContent = summary.status;
      statusIcon.replaceChildren(icon(summary.status));
      setAttribute(chip, "data-status", summary.status);
    }
    setText(started, summary.started ? calendar(summary.started) : "");
    setText(reconnecting, summary.connected ? "" : "Server not reachable, reconnecting...");
    problem.hidden = !summary.problem;
    setText(problemText, summary.problem);
    drawProgress(summary);
  }

  let shown = 0;

  function drawProgress({ progress: value, activity, attempt: number }) {
    // The row keeps its place between two pieces of work, so that the events below do not jump.
    progress.hidden = !trace.active;
    progress.classList.toggle("dd-idle", value === null);
    if (value === null) return;
    const whole = Math.round(value);
    const words = activity.replaceAll("_", " ");
    setText(doing, words.charAt(0).toUpperCase() + words.slice(1));
    setText(attempt, `Attempt ${number}`);
    attempt.classList.toggle("dd-again", number > 1);
    setText(percent, `${whole}%`);
    setAttribute(bar, "aria-valuenow", whole);
    setAttribute(bar, "aria-valuetext", `${whole} percent, attempt ${number}`);
    setAttribute(bar, "aria-label", words || "Progress");
    // Forwards it glides; a new piece of work begins anew at once.
    fill.style.transition = value < shown ? "none" : "";
    fill.style.width = `${Math.min(100, Math.max(0, value))}%`;
    shown = value;
  }

  return { el, draw };
}

// All rows that are kept stand in the page, also those out of view: so Ctrl-F, selection, copy and a screen reader get the
// whole trace, which windowing would take from them. With 10,000 rows, `content-visibility` on full blocks and at most
// ROWS_PER_FRAME new rows a frame (Chromium, two shared cores): built in 1.9 s without a task over 50 ms, a delta drawn
// within 8 to 16 ms, 7 MB of script heap; only dragging through all of it at once had one long task, of 50 to 110 ms.
function createEvents(trace) {
  const id = uniqueId("events");
  const earlier = h("div", { class: "dd-earlier" });
  const rowsHost = h("div", {});
  const log = focusable(
    "div",
    { class: "dd-log", role: "log", "aria-live": "off", "aria-labelledby": id, tabindex: 0 },
    earlier,
    rowsHost,
  );
  const end = createLogEnd(log, rowsHost, {
    next: () => trace.next,
    words: (unseen) => (unseen > 0 ? `Jump to latest (${unseen} new ${unseen === 1 ? "line" : "lines"})` : "Jump to latest"),
  });
  const el = h("div", { class: "dd-events" }, h("div", { class: "dd-label", id }, "Events:"), h("div", { class: "dd-log-frame" }, log, end.jump));

  let generation = -1;
  let rows = [];
  let firstRow = 0;
  let stale = new Set();

  function makeRow([number, timestamp, text, kind]) {
    const time = h("time", { datetime: timestamp, title: calendar(timestamp) }, clock(timestamp));
    return h("div", { class: "dd-line", "data-kind": kind, "data-number": number }, time, h("span", {}, text));
  }

  /** Brings the rows up to the feed, at most ROWS_PER_FRAME of them; returns whether more are to come. */
  function draw() {
    if (generation !== trace.generation) {
      generation = trace.generation;
      rowsHost.replaceChildren();
      rows = [];
      stale = new Set();
      firstRow = trace.first;
      end.follow();
    }
    while (rows.length > 0 && firstRow < trace.first) dropFirstRow();
    if (rows.length === 0) firstRow = Math.max(firstRow, trace.first);
    for (const number of stale) {
      const place = number - firstRow;
      if (place < 0 || place >= rows.length) continue;
      const row = makeRow(trace.rows[number - trace.first]);
      rows[place].replaceWith(row);
      rows[place] = row;
    }
    stale.clear();
    const last = Math.min(trace.next, firstRow + rows.length + ROWS_PER_FRAME);
    for (let number = firstRow + rows.length; number < last; number += 1) appendRow(makeRow(trace.rows[number - trace.first]));
    setText(earlier, trace.first > 0 ? `... ${trace.first} earlier lines not shown` : "");
    end.settle();
    return last < trace.next;
  }

  function appendRow(row) {
    let block = rowsHost.lastElementChild;
    if (block === null || block.childElementCount >= ROWS_PER_BLOCK) {
      // A full block outside of the view costs no layout; one that still grows has no size to rely on.
      block?.classList.add("dd-full");
      block = h("div", { class: "dd-block" });
      rowsHost.append(block);
    }
    block.append(row);
    rows.push(row);
  }

  function dropFirstRow() {
    const row = rows.shift();
    const block = row.parentElement;
    row.remove();
    if (block.childElementCount === 0) block.remove();
    firstRow += 1;
  }

  return {
    el,
    draw,
    mark: (changed) => changed.forEach((number) => stale.add(number)),
    dispose: end.dispose,
  };
}

/** Has quotes, status changes and problems said. */
function createAnnouncer(trace, voice) {
  let generation = -1;
  let heard = 0;
  let status = "";

  function hear() {
    const news = [];
    if (generation === trace.generation) {
      for (const [, , text, kind] of trace.rows.slice(Math.max(0, heard - trace.first))) {
        if (kind === "quote" || kind === "problem") news.push(text);
      }
      if (trace.summary.status !== status && trace.summary.status) news.push(`Status: ${trace.summary.status}`);
    }
    generation = trace.generation;
    heard = trace.next;
    status = trace.summary.status;
    voice.say(news);
  }

  return { hear };
}

/** A view of its own: buttons above the trace, no tabs. */
function createStandalone(feed) {
  const notice = createNotice();
  const actions = createRunActions(feed, notice);
  const alerts = createAlerts(feed);
  const voice = createVoice(feed);
  const trace = createTraceView(feed.trace, voice);
  const disconnection = createDisconnection(feed);
  const bar = h("div", { class: "dd-actions", role: "group", "aria-label": "Workflow" }, ...actions.map((action) => action.el));
  const body = h("div", { class: "dd-body" }, trace.el);
  const el = h("section", { class: "durable-demo", "aria-label": "Workflow trace" }, h("div", { class: "dd-bar" }, bar), disconnection.el, alerts.el, notice.el, body, voice.el);
  const update = () => [...actions, alerts].forEach((part) => part.update());
  const unlisten = feed.listen(update);
  update();
  return {
    el,
    setDisconnected(lost) {
      disconnection.set(lost);
      for (const action of actions) action.setDisconnected(lost);
    },
    dispose() {
      unlisten();
      trace.dispose();
      voice.dispose();
    },
  };
}

export default function traceViewWidget() {
  // Shared by all views of one model; anywidget keeps nothing else between initialize and render.
  let feed;
  return {
    initialize({ model }) {
      feed = feedOf(model, ["trace", "panel"]);
    },
    render({ model, el }) {
      return mount(model, el, feed, createStandalone(feed));
    },
  };
}
