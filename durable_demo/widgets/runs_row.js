// One run in the table, the menu of what can be done to it, and the question before it is terminated.
import { calendar, clock, focusable, h, icon, setAttribute, setText, uniqueId } from "./dom.js";

const RUN_DASH = "-";
const RUN_EDGE_PX = 8;

/** What a run can be told from its menu, by the command's verb. */
const RUN_VERBS = { stop: "Stop", pause: "Pause", resume: "Resume", cancel: "Cancel", terminate: "Terminate..." };
const RUN_OPEN = ["RUNNING", "PAUSED", "STOPPING"];
/** The types of which the kernel knows whether they are paused. */
const RUN_TOLD = ["MontyPythonWorkflow", "ChatWorkflow"];

/** The columns of the table; a row has a cell for each, in this order. */
export const RUN_COLUMNS = ["Choose", "Workflow", "Type", "Status", "Started", "Duration", "Iterations", "Quotes", "Messages", "Actions"];

/** Whether something can still be done to a run. */
export const runIsOpen = (run) => RUN_OPEN.includes(run.status);

/** Whether a run can be told this now. */
function runTakes({ workflow_type: type, status }, verb) {
  if (verb === "pause") return status !== "PAUSED" && type !== "ChatWorkflow";
  if (verb === "resume") return status === "PAUSED" || !RUN_TOLD.includes(type);
  return true;
}

/** `8.9 s`, `50 s`, `1 min 5 s`, `2 h 5 min`, `3 d 4 h`, in the words of figures.py; whole seconds while it goes on. */
function runDuration(ms, ended) {
  const seconds = Math.max(0, ms / 1_000);
  if (ended && seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = ended ? Math.round(seconds) : Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (large, largeName, small, smallName) => {
    const parts = Math.round(whole / small);
    const rest = parts % (large / small);
    return `${Math.floor((parts * small) / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ""}`;
  };
  if (whole < 3_600) return two(60, "min", 1, "s");
  return whole < 86_370 ? two(3_600, "h", 60, "min") : two(86_400, "d", 3_600, "h");
}

/**
 * A button that says why it cannot be pressed now, and that is pressed once at a time.
 *
 * `about`, for screen readers, tells it from its like. It stays focusable, so that the keyboard does not lose its place.
 */
export function createRunsButton(notice, words, press, { tone = "plain", about = "", ...properties } = {}) {
  let reason = "";
  let busy = false;
  const el = focusable(
    "button",
    { type: "button", class: `dd-button dd-${tone}`, ...properties, onclick: () => (reason ? notice.say(reason) : during(press)) },
    words,
    ...(about ? [h("span", { class: "dd-hidden" }, ` ${about}`)] : []),
  );

  function look() {
    setAttribute(el, "aria-disabled", busy || reason ? "true" : null);
    setAttribute(el, "aria-busy", busy ? "true" : null);
    setAttribute(el, "title", reason || null);
  }

  /** Does `work` unless some is under way. */
  async function during(work) {
    if (busy) return;
    busy = true;
    look();
    await work();
    busy = false;
    look();
  }

  return {
    el,
    during,
    /** Tells why it cannot be pressed now; "" if it can. */
    set(why) {
      if (why === reason) return;
      if (reason) notice.retract(reason);
      reason = why;
      look();
    },
  };
}

/**
 * The row of one run, a `<tbody>` of its own with room for the question below it.
 *
 * `on` is told of what is done: `choose(chosen)`, `watch()`, `more()`, `terminate()`.
 */
export function createRunRow(workflow_id, notice, on) {
  const checkbox = focusable("input", { type: "checkbox", "aria-label": `Choose ${workflow_id}`, onchange: () => on.choose(checkbox.checked) });
  const shown = h("span", { class: "dd-rt-shown", title: "The tab Workflow Trace shows it" }, "shown");
  const kind = h("span", { class: "dd-rt-kind" });
  const title = h("span", { class: "dd-rt-title" });
  const statusIcon = h("span", { class: "dd-chip-icon" });
  const statusText = h("span", {});
  const chip = h("span", { class: "dd-chip" }, statusIcon, statusText);
  const mark = h("span", {});
  const why = h("span", { class: "dd-hidden" });
  const stuck = h("span", { class: "dd-rt-stuck" }, mark, why);
  const day = h("span", {});
  const time = h("span", {});
  const started = h("time", {}, day, " ", time);
  const watch = createRunsButton(notice, "Watch", on.watch, { about: workflow_id });
  const more = createRunsButton(notice, "More", on.more, { about: `actions for ${workflow_id}`, "aria-haspopup": "menu", "aria-expanded": "false", onkeydown: onMoreKey });
  const contents = [[checkbox], [h("code", {}, workflow_id), " ", h("span", { class: "dd-rt-below" }, kind, title, shown)], [], [chip, stuck], [started], [], [], [], [], [h("span", { class: "dd-rt-buttons" }, watch.el, more.el)]];
  // The roles are those of a table anyway; some browsers forget them where the style sheet makes cards of the rows.
  const cells = contents.map((content, place) => {
    const name = RUN_COLUMNS[place];
    const label = { class: `dd-rt-${name.toLowerCase()}`, "data-label": name };
    return name === "Workflow" ? h("th", { ...label, scope: "row", role: "rowheader" }, ...content) : h("td", { ...label, role: "cell" }, ...content);
  });
  const [, , type, , , duration, ...numbers] = cells;
  const row = h("tr", { role: "row" }, ...cells);
  const el = h("tbody", { role: "rowgroup" }, row);
  let run = null;
  let question = null;

  function onMoreKey(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    event.stopPropagation();
    more.el.click();
  }

  function draw(now, { chosen, current, lost }) {
    run = now;
    if (checkbox.checked !== chosen) checkbox.checked = chosen;
    row.classList.toggle("dd-rt-chosen", chosen);
    setAttribute(row, "aria-current", current ? "true" : null);
    setText(title, run.title);
    // Twice: where there is no room for the column, it stands below the Workflow ID.
    for (const place of [type, kind]) setText(place, run.workflow_type);
    setAttribute(type, "title", run.workflow_type);
    if (statusText.textContent !== run.status) {
      statusText.textContent = run.status;
      statusIcon.replaceChildren(icon(run.status));
      setAttribute(chip, "data-status", run.status);
    }
    setAttribute(stuck, "title", run.problem || null);
    setText(mark, run.problem ? " cannot go on" : "");
    setText(why, run.problem ? `: ${run.problem}` : "");
    setText(day, calendar(run.started).slice(0, -9));
    setText(time, clock(run.started));
    setAttribute(started, "datetime", run.started);
    [run.iterations, run.quotes, run.messages].forEach((value, place) => setText(numbers[place], value === null ? RUN_DASH : value.toLocaleString("en")));
    watch.set(lost);
    more.set(lost || (runIsOpen(run) ? "" : `It has ended: ${run.status}`));
    question?.terminate.set(lost);
    if (!runIsOpen(run)) drop();
    tick();
  }

  /** Brings the duration up to now. */
  function tick() {
    const end = run.closed ? new Date(run.closed) : Date.now();
    setText(duration, runDuration(end - new Date(run.started), Boolean(run.closed)));
  }

  /** Asks in place whether to terminate it. */
  function ask() {
    drop();
    const id = uniqueId("terminate");
    const keep = createRunsButton(notice, "Keep", drop, { about: workflow_id });
    const terminate = createRunsButton(notice, "Terminate", () => (drop(), on.terminate()), { tone: "danger", about: workflow_id });
    const words = h("p", { id }, "Terminate ", h("code", {}, workflow_id), "? It ends at once, without clean-up.");
    const box = h("div", { class: "dd-rt-question", role: "alertdialog", "aria-label": "Terminate?", "aria-describedby": id, onkeydown: onQuestionKey }, words, terminate.el, keep.el);
    question = { terminate, el: h("tr", { role: "row" }, h("td", { class: "dd-rt-asked", role: "cell", colspan: RUN_COLUMNS.length }, box)) };
    el.append(question.el);
    keep.el.focus();
  }

  function onQuestionKey(event) {
    event.stopPropagation();
    if (event.key === "Escape") drop();
  }

  /** Takes the question away; the keyboard goes on where it came from. */
  function drop() {
    if (question === null) return;
    if (question.el.matches(":focus-within")) more.el.focus();
    question.el.remove();
    question = null;
  }

  return {
    el,
    more,
    draw,
    tick,
    ask,
    /** As it was drawn last. */
    get run() {
      return run;
    },
  };
}

/** The menu of all rows, open for one at a time; `onChosen(verb)` is what was opened with. */
export function createRunsMenu() {
  const items = Object.entries(RUN_VERBS).map(([verb, words]) =>
    focusable("button", { type: "button", class: "dd-rt-item", role: "menuitem", tabindex: -1, "data-verb": verb, onclick: () => choose(verb) }, words),
  );
  // In the top layer: neither the table's frame nor the panel's edge cuts it off.
  const el = h("div", { class: "dd-rt-menu", role: "menu", popover: "manual", onkeydown: onKey, onfocusout: onFocusOut }, ...items);
  let opened = null;

  const offered = () => items.filter((item) => !item.hidden);

  function open(run, button, onChosen) {
    close();
    const { top } = button.getBoundingClientRect();
    opened = { workflow_id: run.workflow_id, button, onChosen, top };
    setAttribute(el, "aria-label", `Actions for ${run.workflow_id}`);
    setAttribute(button, "aria-expanded", "true");
    offer(run);
    el.showPopover();
    place(button.getBoundingClientRect());
    document.addEventListener("scroll", onScroll, true);
    offered()[0].focus({ preventScroll: true });
  }

  /** Has an item for each thing that the run can be told now. */
  function offer(run) {
    const takes = (item) => runTakes(run, item.dataset.verb);
    const focused = items.find((item) => item === document.activeElement);
    // Before it is hidden: it would take the focus with it.
    if (focused && !takes(focused)) items.find(takes).focus({ preventScroll: true });
    for (const item of items) setAttribute(item, "hidden", takes(item) ? null : "");
  }

  /** Below its button, or above it where there is no room. */
  function place({ top, bottom, right }) {
    const { width, height } = el.getBoundingClientRect();
    el.style.left = `${Math.max(RUN_EDGE_PX, Math.min(right, innerWidth - RUN_EDGE_PX) - width)}px`;
    el.style.top = `${bottom + height + RUN_EDGE_PX > innerHeight ? Math.max(RUN_EDGE_PX, top - height - 4) : bottom + 4}px`;
  }

  function close() {
    if (opened === null) return;
    const { button } = opened;
    const inside = el.matches(":focus-within");
    opened = null;
    document.removeEventListener("scroll", onScroll, true);
    setAttribute(button, "aria-expanded", "false");
    if (inside) button.focus({ preventScroll: true });
    el.hidePopover();
  }

  function choose(verb) {
    const { onChosen } = opened;
    close();
    onChosen(verb);
  }

  function onKey(event) {
    event.stopPropagation();
    const reached = offered();
    const here = reached.indexOf(event.target);
    const steps = { ArrowDown: (here + 1) % reached.length, ArrowUp: (here + reached.length - 1) % reached.length, Home: 0, End: reached.length - 1 };
    if (event.key === "Escape" || event.key === "Tab") close();
    if (!(event.key in steps)) return;
    event.preventDefault();
    reached[steps[event.key]].focus();
  }

  function onFocusOut({ relatedTarget }) {
    // On its own button, the click that follows closes it.
    if (opened && !el.contains(relatedTarget) && relatedTarget !== opened.button) close();
  }

  /** It does not follow its button, nor does it mind what else scrolls in the page. */
  function onScroll() {
    if (opened.button.getBoundingClientRect().top !== opened.top) close();
  }

  return {
    el,
    open,
    offer,
    close,
    /** The Workflow ID that it is open for; "" while it is closed. */
    get workflow_id() {
      return opened?.workflow_id ?? "";
    },
  };
}
