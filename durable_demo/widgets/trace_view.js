// The live trace of one workflow: header, events, totals. Alone in a cell or as a tab of the panel.
import { createRunActions, createNotice } from "./actions.js";
import { createAlerts, createDisconnection, mount } from "./alerts.js";
import { calendar, clock, focusable, h, icon, setAttribute, setText, uniqueId } from "./dom.js";
import { feedOf } from "./feed.js";

const ROWS_PER_FRAME = 500;
const ROWS_PER_BLOCK = 100;
const AT_END_PX = 24;
const HAND_MS = 1_000;
const SPEAK_INTERVAL_MS = 1_500;

/** Header, events and totals of the feed's workflow. The buttons and `voice` are the caller's to place: a hidden voice is silent. */
export function createTraceView(feed) {
  const waiting = h("p", {}, "Waiting for the kernel: it may be busy with a cell.");
  const emptyTitle = h("p", { class: "dd-empty-title" }, "No workflow trace available");
  const emptyHint = h("p", {}, "Start a Monty workflow from the Chat tab to see trace output");
  const empty = h("div", { class: "dd-empty" }, waiting, emptyTitle, emptyHint);
  const header = createHeader(feed);
  const events = createEvents(feed);
  const totals = h("div", { class: "dd-totals" });
  const content = h("div", { class: "dd-trace-content" }, header.el, events.el, totals);
  const announcer = createAnnouncer(feed);
  const el = h("div", { class: "dd-trace" }, empty, content);

  let frame = 0;
  function draw() {
    frame = 0;
    const nothing = feed.summary.status === "" && feed.lines.length === 0;
    empty.hidden = !nothing;
    content.hidden = nothing;
    waiting.hidden = feed.ready;
    emptyTitle.hidden = emptyHint.hidden = !feed.ready;
    header.draw();
    setText(totals, feed.summary.footer);
    if (events.draw()) schedule();
  }
  function schedule() {
    frame ||= requestAnimationFrame(draw);
  }

  const unlisten = feed.listen((changed) => {
    events.mark(changed);
    announcer.hear();
    schedule();
  });
  draw();
  return {
    el,
    voice: announcer.el,
    dispose() {
      unlisten();
      cancelAnimationFrame(frame);
      events.dispose();
      announcer.dispose();
    },
  };
}

function createHeader(feed) {
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
    const { summary } = feed;
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
    progress.hidden = !feed.active;
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
function createEvents(feed) {
  const id = uniqueId("events");
  const earlier = h("div", { class: "dd-earlier" });
  const rowsHost = h("div", {});
  const log = focusable(
    "div",
    { class: "dd-log", role: "log", "aria-live": "off", "aria-labelledby": id, tabindex: 0, onscroll: onScroll },
    earlier,
    rowsHost,
  );
  const jump = focusable("button", { type: "button", class: "dd-button dd-jump", hidden: true, onclick: jumpToLatest });
  const el = h("div", { class: "dd-events" }, h("div", { class: "dd-label", id }, "Events:"), h("div", { class: "dd-log-frame" }, log, jump));

  let generation = -1;
  let rows = [];
  let firstRow = 0;
  let stale = new Set();
  let following = true;
  let lastTop = 0;
  let touched = -Infinity;
  let seen = 0;

  function makeRow([number, timestamp, text, kind]) {
    const time = h("time", { datetime: timestamp, title: calendar(timestamp) }, clock(timestamp));
    return h("div", { class: "dd-line", "data-kind": kind, "data-number": number }, time, h("span", {}, text));
  }

  /** Brings the rows up to the feed, at most ROWS_PER_FRAME of them; returns whether more are to come. */
  function draw() {
    if (generation !== feed.generation) {
      generation = feed.generation;
      rowsHost.replaceChildren();
      rows = [];
      stale = new Set();
      firstRow = feed.first;
      following = true;
    }
    while (rows.length > 0 && firstRow < feed.first) dropFirstRow();
    if (rows.length === 0) firstRow = Math.max(firstRow, feed.first);
    for (const number of stale) {
      const place = number - firstRow;
      if (place < 0 || place >= rows.length) continue;
      const row = makeRow(feed.lines[number - feed.first]);
      rows[place].replaceWith(row);
      rows[place] = row;
    }
    stale.clear();
    const end = Math.min(feed.next, firstRow + rows.length + ROWS_PER_FRAME);
    for (let number = firstRow + rows.length; number < end; number += 1) appendRow(makeRow(feed.lines[number - feed.first]));
    setText(earlier, feed.first > 0 ? `... ${feed.first} earlier lines not shown` : "");
    if (following) pin();
    drawJump();
    return end < feed.next;
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

  function pin() {
    log.scrollTop = log.scrollHeight;
    lastTop = log.scrollTop;
    seen = feed.next;
  }

  function drawJump() {
    const unseen = feed.next - seen;
    jump.hidden = following;
    setText(jump, unseen > 0 ? `Jump to latest (${unseen} new ${unseen === 1 ? "line" : "lines"})` : "Jump to latest");
  }

  function onScroll() {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < AT_END_PX;
    // Only an upward move is the reader's: rows that come or take their real height move the end away, never the top up.
    // Jupyter takes cells out of the page and puts them back, which shows the top: the reader has no hand in that.
    if (atEnd) following = true;
    else if (log.scrollTop < lastTop - 1 && (log.scrollTop > 0 || performance.now() - touched < HAND_MS)) following = false;
    lastTop = log.scrollTop;
    if (following && !atEnd) pin();
    if (following) seen = feed.next;
    log.classList.toggle("dd-reading", !following);
    drawJump();
  }

  function jumpToLatest() {
    following = true;
    log.classList.remove("dd-reading");
    pin();
    drawJump();
    log.focus({ preventScroll: true });
  }

  for (const hand of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    log.addEventListener(hand, () => (touched = performance.now()), { passive: true });
  }
  const resize = new ResizeObserver(() => {
    if (following) pin();
    else if (log.clientHeight > 0) onScroll(); // all may be in view now
  });
  resize.observe(log);
  resize.observe(rowsHost);

  return {
    el,
    draw,
    mark: (changed) => changed.forEach((number) => stale.add(number)),
    dispose: () => resize.disconnect(),
  };
}

/** Says quotes, status changes and problems to a screen reader, a few at a time; all the rest would drown the listener. */
function createAnnouncer(feed) {
  const el = h("div", { class: "dd-hidden", role: "status", "aria-live": "polite" });
  let generation = -1;
  let heard = 0;
  let status = "";
  let queue = [];
  let timer = 0;

  function hear() {
    // One voice is enough when the same feed is shown several times; it must be one that is not hidden.
    if (!feed.speaker?.getClientRects().length) feed.speaker = el;
    const news = [];
    if (generation === feed.generation) {
      for (const [, , text, kind] of feed.lines.slice(Math.max(0, heard - feed.first))) {
        if (kind === "quote" || kind === "problem") news.push(text);
      }
      if (feed.summary.status !== status && feed.summary.status) news.push(`Status: ${feed.summary.status}`);
    }
    generation = feed.generation;
    heard = feed.next;
    status = feed.summary.status;
    if (news.length === 0 || feed.speaker !== el) return;
    queue.push(...news);
    timer ||= setTimeout(speak, SPEAK_INTERVAL_MS);
  }

  function speak() {
    timer = 0;
    const left = queue.length - 3;
    el.textContent = (left > 0 ? `${left} more. ` : "") + queue.slice(-3).join(" ");
    queue = [];
  }

  return {
    el,
    hear,
    dispose() {
      clearTimeout(timer);
      if (feed.speaker === el) feed.speaker = null;
    },
  };
}

/** A view of its own: buttons above the trace, no tabs. */
function createStandalone(feed) {
  const notice = createNotice();
  const actions = createRunActions(feed, notice);
  const alerts = createAlerts(feed);
  const trace = createTraceView(feed);
  const disconnection = createDisconnection(feed);
  const bar = h("div", { class: "dd-actions", role: "group", "aria-label": "Workflow" }, ...actions.map((action) => action.el));
  const body = h("div", { class: "dd-body" }, trace.el);
  const el = h("section", { class: "durable-demo", "aria-label": "Workflow trace" }, h("div", { class: "dd-bar" }, bar), disconnection.el, alerts.el, notice.el, body, trace.voice);
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
    },
  };
}

export default function traceViewWidget() {
  // Shared by all views of one model; anywidget keeps nothing else between initialize and render.
  let feed;
  return {
    initialize({ model }) {
      feed = feedOf(model);
    },
    render({ model, el }) {
      return mount(model, el, feed, createStandalone(feed));
    },
  };
}
