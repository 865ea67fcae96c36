// The runs: every workflow of this person, running and ended, a page at a time.
import { focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { RUN_COLUMNS, createRunRow, createRunsButton, createRunsMenu, runIsOpen } from "./runs_row.js";

const RUNS_PER_PAGE = 25;
const RUNS_COMPARED = 8;
const RUNS_POLL_MS = 2_000;
const RUNS_TICK_MS = 1_000;
const RUNS_PATIENCE_MS = 2_000;

/** The table of the channel `runs`, with what can be done to one run or to those that are chosen. */
export function createRunsView(feed, notice, go) {
  const { runs, trace } = feed;
  const rows = new Map();
  const chosen = new Set();
  let lost = "";
  let visible = false;
  let frame = 0;
  let current = "";

  const menu = createRunsMenu();
  const filter = createRunsFilter(draw);
  const pager = createRunsPager(notice, () => {
    table.el.scrollTop = 0;
    draw();
  });
  const table = createRunsTable();
  const choice = createRunsChoice(notice, { compare, act, clear });
  const listing = createRunsListing(feed, () => visible && !lost, schedule, tick);
  const warning = h("div", { class: "dd-warning dd-rt-warning", role: "status" });
  const none = h("div", { class: "dd-rt-none" }, h("p", {}, "No run matches this filter."), focusable("button", { type: "button", class: "dd-button dd-plain", onclick: filter.reset }, "Show all"));
  const more = h("span", { class: "dd-rt-older" }, "Older ones are not shown.");
  const empty = createRunsEmpty(() => go("chat"));
  table.el.append(none);
  const content = h("div", { class: "dd-rt-content" }, filter.el, table.el, h("div", { class: "dd-rt-foot" }, choice.el, h("div", { class: "dd-rt-pages" }, more, pager.el)));
  const el = h("div", { class: "dd-rt" }, warning, empty.el, content, menu.el);

  // --- drawing -------------------------------------------------------------------------------------------------------

  function schedule() {
    frame ||= requestAnimationFrame(draw);
  }

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!visible) return;
    const all = runs.rows.map(([, run]) => run).reverse();
    const { listed, problem, more: older } = runs.summary;
    setText(warning, problem || listing.problem);
    empty.draw(all.length === 0, runs.ready, listed, problem !== "");
    content.hidden = all.length === 0;
    more.hidden = !older;
    filter.draw(all);
    if (listed) forget(all);
    const matching = all.filter(filter.matches);
    none.hidden = matching.length > 0;
    pager.el.hidden = matching.length === 0;
    drawRows(pager.page(matching));
    choice.draw(all.filter((run) => chosen.has(run.workflow_id)), lost);
  }

  function drawRows(page) {
    current = trace.summary.workflow_id;
    const ids = new Set(page.map((run) => run.workflow_id));
    let bereft = false;
    for (const [id, row] of rows) {
      if (ids.has(id)) continue;
      if (id === menu.workflow_id) menu.close();
      bereft ||= row.el.matches(":focus-within");
      row.el.remove();
      rows.delete(id);
    }
    let place = table.first;
    for (const run of page) {
      const id = run.workflow_id;
      if (!rows.has(id)) rows.set(id, makeRow(id));
      const row = rows.get(id);
      row.draw(run, { chosen: chosen.has(id), current: id === current, lost });
      if (row.el === place) place = place.nextElementSibling;
      else table.insert(row.el, place);
      if (id !== menu.workflow_id) continue;
      if (lost || !runIsOpen(run)) menu.close();
      else menu.offer(run);
    }
    if (bereft) table.el.focus({ preventScroll: true });
  }

  function makeRow(id) {
    const row = createRunRow(id, notice, {
      choose(value) {
        if (value) chosen.add(id);
        else chosen.delete(id);
        draw();
      },
      watch: () => order("watch", { workflow_id: id }, "trace"),
      more() {
        if (menu.workflow_id === id) menu.close();
        else menu.open(row.run, row.more.el, (verb) => (verb === "terminate" ? row.ask() : row.more.during(() => act([id], verb))));
      },
      terminate: () => row.more.during(() => act([id], "terminate")),
    });
    return row;
  }

  /** Those that are not listed any more are not chosen either. */
  function forget(all) {
    const known = new Set(all.map((run) => run.workflow_id));
    for (const id of chosen) if (!known.has(id)) chosen.delete(id);
  }

  function tick() {
    for (const row of rows.values()) row.tick();
  }

  // --- commands ------------------------------------------------------------------------------------------------------

  /** Waits for an answer; says so if it is long in coming. */
  async function patiently(answer) {
    const hint = setTimeout(() => notice.say(FAR_END.busy), RUNS_PATIENCE_MS);
    const answered = await answer;
    clearTimeout(hint);
    return answered;
  }

  async function order(name, args, tab) {
    const answer = await patiently(feed.command(name, args));
    notice.say(answer.alert ? "" : answer.message);
    // Nobody is led away from where they have gone meanwhile.
    if (answer.ok && visible) go(tab);
  }

  function compare(chosenRuns) {
    return order("compare", { workflow_ids: chosenRuns.map((run) => run.workflow_id) }, "compare");
  }

  /** Tells runs to do something, and the person what became of it. */
  async function act(workflow_ids, verb) {
    const answers = await patiently(Promise.all(workflow_ids.map((workflow_id) => feed.command("act_on", { workflow_id, verb }))));
    const accepted = answers.filter((answer) => answer.ok).length;
    const telling = answers.find((answer) => !answer.ok) ?? (answers.length === 1 ? answers[0] : {});
    const words = telling.alert ? "" : (telling.message ?? "");
    notice.say(answers.length === 1 ? words : `Accepted by ${accepted} of ${answers.length} runs. ${words}`);
    listing.ask();
  }

  function clear() {
    chosen.clear();
    table.el.focus({ preventScroll: true });
    draw();
  }

  // --- life ----------------------------------------------------------------------------------------------------------

  const unlisten = [
    runs.listen(schedule),
    // Its lines come often, another workflow seldom.
    trace.listen(() => trace.summary.workflow_id !== current && schedule()),
  ];
  return {
    el,
    actions: [],
    show(value) {
      visible = value;
      if (!visible) menu.close();
      listing.ask();
      draw();
    },
    setDisconnected(value) {
      lost = value ? FAR_END.lost : "";
      if (value) listing.abandon();
      listing.ask();
      draw();
    },
    dispose() {
      visible = false;
      menu.close();
      listing.dispose();
      cancelAnimationFrame(frame);
      for (const end of unlisten) end();
    },
  };
}

/** The frame that scrolls, with the table's head in it. */
function createRunsTable() {
  const head = RUN_COLUMNS.map((name, place) => h("th", { scope: "col", role: "columnheader", class: `dd-rt-${name.toLowerCase()}` }, place > 0 ? name : h("span", { class: "dd-hidden" }, name)));
  const table = h("table", { class: "dd-rt-table", role: "table" }, h("caption", { class: "dd-hidden" }, "Your workflows, newest first"), h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)));
  return {
    el: focusable("div", { class: "dd-rt-frame", role: "region", "aria-label": "Runs", tabindex: 0 }, table),
    get first() {
      return table.tHead.nextElementSibling;
    },
    insert: (body, place) => table.insertBefore(body, place),
  };
}

/** What is there instead of a table: waiting, looking, or the way to the first workflow. */
function createRunsEmpty(onStart) {
  const title = h("p", { class: "dd-empty-title" });
  const hint = h("p", {});
  const start = focusable("button", { type: "button", class: "dd-button dd-plain", onclick: onStart }, "Go to the tab Chat");
  const el = h("div", { class: "dd-rt-empty" }, title, hint, start);

  function words(ready, listed, failed) {
    if (!ready) return ["", FAR_END.waitingView];
    if (failed) return ["The workflows could not be listed", "It is tried again every 2 seconds."];
    if (!listed) return ["", "Looking for workflows..."];
    return ["No workflows yet", "Start a Monty workflow, or say something in the tab Chat"];
  }

  function draw(shown, ready, listed, failed) {
    el.hidden = !shown;
    const [first, second] = words(ready, listed, failed);
    setText(title, first);
    setText(hint, second);
    start.hidden = !(ready && listed && !failed);
  }

  return { el, draw };
}

/** All, running or ended; and of which type, once there are several. */
function createRunsFilter(onChange) {
  const name = uniqueId("filter");
  const wanted = { All: () => true, Running: runIsOpen, Ended: (run) => !runIsOpen(run) };
  let state = "All";
  const radios = Object.keys(wanted).map((words) =>
    focusable("input", { type: "radio", name, value: words, checked: words === "All", onchange: () => choose(words) }),
  );
  const labels = radios.map((radio) => h("label", {}, radio, h("span", {}, radio.value)));
  const select = focusable("select", { class: "dd-rt-select", onchange: onChange });
  const types = h("label", { class: "dd-rt-types" }, h("span", { class: "dd-label" }, "Type"), select);
  const el = h("div", { class: "dd-rt-filter" }, h("fieldset", { class: "dd-rt-states" }, h("legend", { class: "dd-hidden" }, "Show"), ...labels), types);
  let offered = "";

  function choose(words) {
    state = words;
    onChange();
  }

  function draw(all) {
    const found = [...new Set(all.map((run) => run.workflow_type))].sort();
    types.hidden = found.length < 2;
    if (found.join() === offered) return;
    offered = found.join();
    const before = select.value;
    select.replaceChildren(h("option", { value: "" }, "All types"), ...found.map((type) => h("option", { value: type }, type)));
    select.value = found.length > 1 && found.includes(before) ? before : "";
  }

  return {
    el,
    draw,
    matches: (run) => wanted[state](run) && (select.value === "" || run.workflow_type === select.value),
    reset() {
      select.value = "";
      radios[0].checked = true;
      radios[0].focus();
      choose("All");
    },
  };
}

/** "1-25 of 140", Newer, Older. The first page is always the newest; another one stays on its runs as new ones arrive. */
function createRunsPager(notice, onTurn) {
  const range = h("span", { class: "dd-rt-range", role: "status" });
  const newer = createRunsButton(notice, "Newer", () => turn(start - RUNS_PER_PAGE < RUNS_PER_PAGE ? 0 : start - RUNS_PER_PAGE));
  const older = createRunsButton(notice, "Older", () => turn(start + RUNS_PER_PAGE));
  const buttons = h("span", { class: "dd-rt-turn" }, newer.el, older.el);
  const el = h("div", { class: "dd-rt-pager" }, range, buttons);
  let list = [];
  let start = 0;
  let first = "";

  function turn(place) {
    start = place;
    first = list[place].workflow_id;
    onTurn();
  }

  /** The runs of this page. */
  function page(all) {
    list = all;
    if (start > 0) {
      const moved = list.findIndex((run) => run.workflow_id === first);
      start = moved < 0 ? Math.min(start, Math.max(0, list.length - 1)) : moved;
    }
    const end = Math.min(start + RUNS_PER_PAGE, list.length);
    first = list[start]?.workflow_id;
    setText(range, `${start + 1}-${end} of ${list.length}`);
    buttons.hidden = list.length <= RUNS_PER_PAGE;
    newer.set(start > 0 ? "" : "These are the newest");
    older.set(end < list.length ? "" : "These are the oldest");
    return list.slice(start, end);
  }

  return { el, page };
}

/** "2 chosen", and what can be done to all of them. */
function createRunsChoice(notice, { compare, act, clear }) {
  let runs = [];
  const actAll = (verb) => act(runs.filter(runIsOpen).map((run) => run.workflow_id), verb);
  const count = h("span", { class: "dd-rt-count" });
  const comparing = createRunsButton(notice, "Compare", () => compare(runs), { tone: "primary" });
  const stopping = createRunsButton(notice, "Stop", () => actAll("stop"), { about: "the chosen runs" });
  const canceling = createRunsButton(notice, "Cancel", () => actAll("cancel"), { about: "the chosen runs" });
  const clearing = createRunsButton(notice, "Clear choice", clear);
  const el = h("div", { class: "dd-rt-choice", role: "group", "aria-label": "Chosen runs" }, count, ...[comparing, stopping, canceling, clearing].map((button) => button.el));

  function draw(now, lost) {
    runs = now;
    el.hidden = runs.length === 0;
    setText(count, `${runs.length} chosen:`);
    comparing.set(lost || (runs.length > RUNS_COMPARED ? `At most ${RUNS_COMPARED} runs can be compared; ${runs.length} are chosen` : ""));
    const over = lost || (runs.some(runIsOpen) ? "" : "None of the chosen runs is running");
    stopping.set(over);
    canceling.set(over);
  }

  return { el, draw };
}

/** Has the kernel list the runs, again and again, and calls `tick` each second, while `wanted()` and the page is looked at. */
function createRunsListing(feed, wanted, onAnswer, tick) {
  let question = null;
  let next = 0;
  let ticking = 0;

  async function ask() {
    clearTimeout(next);
    clearInterval(ticking);
    if (!wanted() || document.hidden) return;
    ticking = setInterval(tick, RUNS_TICK_MS);
    if (question !== null) return;
    const mine = {};
    question = mine;
    const answer = await feed.command("list_runs");
    if (question !== mine) return;
    question = null;
    listing.problem = answer.ok || answer.alert ? "" : answer.message;
    onAnswer();
    next = setTimeout(ask, RUNS_POLL_MS);
  }

  document.addEventListener("visibilitychange", ask);
  const listing = {
    /** Why the kernel did not answer last time. */
    problem: "",
    /** Asks now, unless a question is under way, and goes on; ends it all if nobody looks. */
    ask,
    /** The answer to the question under way will not come. */
    abandon: () => (question = null),
    dispose() {
      document.removeEventListener("visibilitychange", ask);
      ask();
    },
  };
  return listing;
}
