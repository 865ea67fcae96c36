// The Event History as the server keeps it: every event of the workflow that is shown, its JSON on demand.
import { calendar, clock, focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { createEventFilter, eventGroup } from "./history_filter.js";
import { createEventJson } from "./history_json.js";
import { createLogEnd } from "./log_end.js";
import { createWebLink } from "./web_link.js";

const EVENTS_PER_FRAME = 250;
const EVENTS_PER_BLOCK = 100;
const BLOCKS_GONE_PER_FRAME = 3;

/** The events of the channel `history`. */
export function createHistoryView(feed, notice, go) {
  const { history } = feed;
  let visible = false;
  let lost = false;
  let frame = 0;

  const waiting = h("p", {}, FAR_END.waitingView);
  const emptyTitle = h("p", { class: "dd-empty-title" }, "No event history yet");
  const emptyHint = h("p", {}, "Start a workflow, or choose one in the tab Runs");
  const runs = focusable("button", { type: "button", class: "dd-button dd-plain", onclick: () => go("runs") }, "Choose a run");
  const empty = h("div", { class: "dd-eh-empty" }, waiting, emptyTitle, emptyHint, runs);
  const filter = createEventFilter(schedule);
  const events = createEventRows(history, filter, read);
  const content = h("div", { class: "dd-eh-content" }, filter.el, events.el);
  const link = createWebLink(feed, notice);

  function read(number) {
    if (lost) return Promise.resolve({ ok: false, message: FAR_END.lost });
    return feed.command("read_entry", { number });
  }

  function schedule() {
    if (visible) frame ||= requestAnimationFrame(draw);
  }

  function draw() {
    frame = 0;
    const nothing = history.rows.length === 0;
    empty.hidden = !nothing;
    content.classList.toggle("dd-eh-away", nothing);
    waiting.hidden = history.ready;
    emptyTitle.hidden = emptyHint.hidden = runs.hidden = !history.ready;
    if (events.draw()) schedule();
  }

  const unlisten = history.listen((changed) => {
    events.mark(changed);
    schedule();
  });
  const unlistenAll = feed.listen(link.update);
  draw();
  return {
    el: h("div", { class: "dd-eh" }, empty, content),
    actions: [link.el],
    show(shown) {
      visible = shown;
      schedule();
    },
    setDisconnected(value) {
      lost = value;
    },
    dispose() {
      unlisten();
      unlistenAll();
      cancelAnimationFrame(frame);
      events.dispose();
      filter.dispose();
    },
  };
}

/** A type such as ACTIVITY_TASK_SCHEDULED as the Web UI writes it: ActivityTaskScheduled. */
function eventName(type) {
  return type.split("_").map((word) => word.charAt(0) + word.slice(1).toLowerCase()).join("");
}

// As in the trace, all rows that are kept stand in the page, for Ctrl-F and for who reads on. They have one height, so a
// block that is out of view costs nothing and still has its exact size, however many of its rows are filtered out.
function createEventRows(history, filter, read) {
  const columns = ["#", "Run", "Time", "Event", "Note"].map((name) => h("span", { class: `dd-eh-${name === "#" ? "id" : name.toLowerCase()}` }, name));
  const head = h("div", { class: "dd-eh-head", "aria-hidden": "true" }, ...columns);
  const earlier = h("div", { class: "dd-earlier" });
  const rowsHost = h("div", { onclick: onClick, onkeydown: onKey, onfocusin: onFocus });
  const clear = focusable("button", { type: "button", class: "dd-button dd-plain", onclick: filter.clear }, "Clear filter");
  const noMatch = h("div", { class: "dd-eh-none", hidden: true }, h("p", {}, "No event matches the filter."), clear);
  const log = focusable("div", { class: "dd-log dd-eh-log", role: "group", "aria-label": "Events", tabindex: -1 }, head, earlier, rowsHost, noMatch);
  const end = createLogEnd(log, rowsHost, {
    next: () => history.next,
    words: (unseen) => (unseen > 0 ? `Jump to latest (${unseen} new ${unseen === 1 ? "event" : "events"})` : "Jump to latest"),
  });
  const el = h("div", { class: "dd-log-frame" }, log, end.jump);

  let generation = -1;
  let rows = [];
  let blocks = [];
  let firstRow = 0;
  let stale = new Set();
  let gone = [];
  // The one row that Tab leads to: where the reader was, else the newest.
  let stop = null;
  let visited = false;

  // --- drawing -------------------------------------------------------------------------------------------------------

  /** Brings the rows up to the feed and the filter, a part of them at a time; returns whether more is to be done. */
  function draw() {
    if (generation !== history.generation) begin();
    for (const block of gone.splice(0, BLOCKS_GONE_PER_FRAME)) block.el.remove();
    dropRows();
    for (const number of stale) {
      const row = rows[number - firstRow];
      if (row) redraw(row, history.rows[number - history.first]);
    }
    stale.clear();
    const last = Math.min(history.next, firstRow + rows.length + EVENTS_PER_FRAME);
    for (let number = firstRow + rows.length; number < last; number += 1) append(history.rows[number - history.first]);
    const filtered = filterBlocks();
    setText(earlier, history.first > 0 ? `... ${history.first} earlier events not shown` : "");
    log.classList.toggle("dd-eh-runs", history.summary.runs > 1);
    if (filtered) {
      const shown = blocks.reduce((sum, block) => sum + block.shown, 0);
      noMatch.hidden = shown > 0;
      filter.tell(shown, rows.length, history.summary.runs);
    }
    if (!visited || !stop?.shown) moveStop(nearest(rows.length, -1), false);
    end.settle();
    return !filtered || last < history.next || gone.length > 0;
  }

  function begin() {
    generation = history.generation;
    // To take all away at once is a long task, and so is `hidden`, which discards their layout: these classes do not.
    for (const block of blocks) block.el.className = "dd-eh-gone";
    gone.push(...blocks);
    rows = [];
    blocks = [];
    stale = new Set();
    stop = null;
    firstRow = history.first;
    end.follow();
  }

  function dropRows() {
    let held = false;
    while (rows.length > 0 && firstRow < history.first) {
      const row = rows.shift();
      held ||= row.el.matches(":focus") || row.json?.el.matches(":focus-within");
      if (row.shown) row.block.shown -= 1;
      row.shown = false;
      row.block.rows.shift();
      row.el.remove();
      row.json?.el.remove();
      if (row.block.rows.length === 0) blocks.shift().el.remove();
      else sizeBlock(row.block);
      firstRow += 1;
    }
    if (rows.length === 0) firstRow = Math.max(firstRow, history.first);
    if (held) nearest(-1, 1)?.el.focus({ preventScroll: true });
  }

  function append(data) {
    let block = blocks.at(-1);
    if (block === undefined || block.rows.length >= EVENTS_PER_BLOCK) {
      block = { el: h("div", { class: "dd-eh-block" }), rows: [], shown: 0, version: filter.version };
      blocks.push(block);
      rowsHost.append(block.el);
    }
    const cells = ["id", "run", "time", "event", "note"].map((name) => h("span", { class: `dd-eh-${name}` }));
    const button = focusable("button", { type: "button", class: "dd-eh-row", "aria-expanded": "false", tabindex: -1, "data-number": data[0] }, ...cells);
    const row = { el: button, cells, block, group: "", words: "", shown: false, json: null };
    fill(row, data);
    block.rows.push(row);
    rows.push(row);
    block.el.append(button);
    row.shown = filter.matches(row);
    button.hidden = !row.shown;
    block.shown += row.shown;
    sizeBlock(block);
  }

  function fill(row, [, id, run, timestamp, type, note]) {
    const name = eventName(type);
    const texts = [id, run, `${clock(timestamp)}.${timestamp.slice(20, 23)}`, name, note];
    texts.forEach((text, place) => setText(row.cells[place], String(text)));
    row.group = eventGroup(type);
    row.words = `#${id} ${name} ${type} ${note}`.toLowerCase();
    setAttribute(row.cells[2], "title", calendar(timestamp));
    setAttribute(row.el, "data-group", row.group);
    setAttribute(row.el, "data-bad", /_(FAILED|TIMED_OUT|TERMINATED)$/.test(type) ? "true" : null);
  }

  /** An event that has taken the place of another. */
  function redraw(row, data) {
    fill(row, data);
    row.block.version = -1;
    row.json?.load();
  }

  /** Applies the filter, the newest first, until EVENTS_PER_FRAME rows have come or gone; returns whether all is done. */
  function filterBlocks() {
    let changed = 0;
    for (let place = blocks.length - 1; place >= 0; place -= 1) {
      const block = blocks[place];
      if (block.version === filter.version) continue;
      if (changed >= EVENTS_PER_FRAME) return false;
      block.version = filter.version;
      block.shown = 0;
      for (const row of block.rows) {
        const shown = filter.matches(row);
        block.shown += shown;
        if (shown === row.shown) continue;
        changed += 1;
        row.shown = shown;
        row.el.hidden = !shown;
        if (row.json) row.json.el.hidden = !shown;
      }
      sizeBlock(block);
    }
    return true;
  }

  function sizeBlock({ el: node, shown }) {
    node.hidden = shown === 0;
    node.style.setProperty("--dd-eh-shown", shown);
  }

  // --- one row -------------------------------------------------------------------------------------------------------

  const rowOf = (node) => rows[Number(node.closest(".dd-eh-row")?.dataset.number ?? NaN) - firstRow];

  function onClick(event) {
    const row = rowOf(event.target);
    if (row) toggle(row);
  }

  function toggle(row) {
    const number = Number(row.el.dataset.number);
    if (row.json) {
      row.json.el.remove();
      row.json = null;
    } else {
      leaveEnd();
      const label = `event ${row.cells[0].textContent}, ${row.cells[3].textContent}`;
      row.json = createEventJson(label, () => read(number), () => reveal(row));
      row.json.el.id = uniqueId("json");
      row.el.after(row.json.el);
      row.json.load();
    }
    setAttribute(row.el, "aria-expanded", String(row.json !== null));
    setAttribute(row.el, "aria-controls", row.json?.el.id);
    row.block.el.classList.toggle("dd-eh-open", row.block.rows.some(({ json }) => json !== null));
  }

  /** Scrolls so far that the JSON is seen, with its row, if the reader is still there. */
  function reveal(row) {
    if (!row.json || !row.el.matches(":focus")) return;
    const below = row.json.el.getBoundingClientRect().bottom - log.getBoundingClientRect().bottom;
    const above = row.el.getBoundingClientRect().top - head.getBoundingClientRect().bottom;
    if (below > 0) log.scrollTop += Math.min(below, above);
  }

  // --- keyboard ------------------------------------------------------------------------------------------------------

  /** The next row that is shown, from a place in that direction. */
  function nearest(place, step) {
    do place += step;
    while (rows[place]?.shown === false);
    return rows[place] ?? null;
  }

  function moveStop(row, byReader = true) {
    visited = byReader && row !== null;
    if (row === stop) return;
    if (stop) setAttribute(stop.el, "tabindex", -1);
    stop = row;
    if (stop) setAttribute(stop.el, "tabindex", 0);
  }

  function leaveEnd() {
    end.leave();
    log.classList.add("dd-reading");
  }

  function onFocus(event) {
    const row = rowOf(event.target);
    if (!row) return;
    moveStop(row);
    leaveEnd();
  }

  function onKey(event) {
    const row = rowOf(event.target);
    if (!row || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const here = Number(row.el.dataset.number) - firstRow;
    const ways = { ArrowDown: [here, 1], ArrowUp: [here, -1], Home: [-1, 1], End: [rows.length, -1] };
    if (!(event.key in ways)) return;
    event.preventDefault();
    nearest(...ways[event.key])?.el.focus();
    if (event.key !== "End") return;
    end.follow();
    end.settle();
  }

  return {
    el,
    draw,
    mark: (changed) => changed.forEach((number) => stale.add(number)),
    dispose: end.dispose,
  };
}
