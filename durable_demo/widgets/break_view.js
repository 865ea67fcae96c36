// Break it: what is broken now, what can be broken, and what happened.
import { clock, focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { createRunsButton } from "./runs_row.js";
import { createBreakPoll, breakSecondsLeft } from "./break_poll.js";
import { createBreakCards } from "./break_cards.js";
import { createBreakStopwatch } from "./break_stopwatch.js";
import { FAR_END } from "./far_end.js";

const BREAK_POLL_MS = 1_000;
const BREAK_TICK_MS = 100;
const BREAK_PATIENCE_MS = 2_000;
const BREAK_SLOW = "Still at work...";
const BREAK_STATES = { running: "running", starting: "starting...", frozen: "frozen", dead: "dead", away: "away" };

/** The tab over the channels `break`, `recovery` and `chat_recovery`, and the problems of `trace` and `chat`. */
export function createBreakView(feed, notice, voice, go) {
  const state = feed.break;
  let visible = false;
  let lost = "";
  let frame = 0;
  let ticking = 0;
  let known = null;
  let arrived = 0;

  const poll = createBreakPoll(feed, () => (visible && !lost ? BREAK_POLL_MS : null));
  const chips = h("ul", { class: "dd-bk-chips", "aria-label": "Broken on purpose" });
  const fine = h("span", { class: "dd-bk-fine" }, "Nothing is broken");
  const reset = createBreakReset(feed, notice);
  const warning = h("div", { class: "dd-warning dd-bk-warning", role: "status" });
  const processes = createBreakProcesses(notice, order);
  const cards = createBreakCards(notice, order);
  const watches = [createBreakStopwatch(feed.recovery, feed.trace, "Workflow", (words) => voice.say([words])), createBreakStopwatch(feed.chat_recovery, feed.chat, "Conversation", (words) => voice.say([words]))];
  const choose = (name, words) => focusable("button", { type: "button", class: "dd-button dd-plain", onclick: () => go(name) }, words);
  const empty = h("div", { class: "dd-bk-empty" }, h("p", { class: "dd-empty-title" }, "Nothing to watch yet"), h("p", {}, "Start a workflow, then break something"), h("div", { class: "dd-bk-ways" }, choose("chat", "Go to the tab Chat"), choose("runs", "Choose a run")));
  const log = createBreakLog();
  const heading = uniqueId("happened");
  const happened = h("section", { class: "dd-bk-happened", "aria-labelledby": heading }, h("div", { class: "dd-bk-heading", id: heading, role: "heading", "aria-level": 3 }, "What happened"), empty, ...watches.map((watch) => watch.el), log.el);
  const el = h(
    "div",
    { class: "dd-bk" },
    warning,
    reset.el,
    h("div", { class: "dd-bk-now" }, fine, chips),
    h("div", { class: "dd-bk-both" }, h("div", { class: "dd-bk-left" }, processes.el, cards.el), happened),
  );

  // --- drawing -------------------------------------------------------------------------------------------------------

  function schedule() {
    if (visible) frame ||= requestAnimationFrame(draw);
  }

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!visible) return;
    const { summary, ready } = state;
    if (known !== summary) [known, arrived] = [summary, Date.now()];
    setText(warning, !ready ? FAR_END.waitingView : summary.problem);
    fine.hidden = summary.broken.length > 0 || !summary.ready;
    drawChips();
    reset.draw(summary, lost);
    processes.draw(summary, lost);
    cards.draw(summary, lost);
    log.draw(summary.incidents);
    for (const watch of watches) watch.draw();
    empty.hidden = watches.some((watch) => watch.shown);
    tickWhile();
  }

  function drawChips() {
    const { broken, now } = state.summary;
    chips.hidden = broken.length === 0;
    while (chips.children.length > broken.length) chips.lastChild.remove();
    broken.forEach(([words, end], place) => {
      if (!chips.children[place]) chips.append(h("li", { class: "dd-bk-chip" }));
      const left = breakSecondsLeft(end, now, arrived);
      setText(chips.children[place], left === null ? words : `${words} (${left} s left)`);
    });
  }

  /** The figures run by themselves, as long as anything waits. */
  function tickWhile() {
    const runs = visible && !lost && (watches.some((watch) => watch.waiting) || state.summary.broken.some(([, end]) => end !== null));
    if (!runs) {
      clearInterval(ticking);
      ticking = 0;
    } else ticking ||= setInterval(tick, BREAK_TICK_MS);
  }

  function tick() {
    for (const watch of watches) watch.tick();
    drawChips();
  }

  // --- commands ------------------------------------------------------------------------------------------------------

  /** Tells the kernel a verb; says so if the answer is long in coming. */
  async function order(verb, value) {
    const hint = setTimeout(() => notice.say(BREAK_SLOW), BREAK_PATIENCE_MS);
    const answer = await feed.command("break_it", { verb, value });
    clearTimeout(hint);
    notice.retract(BREAK_SLOW);
    poll.ask();
    return answer;
  }

  // --- life ----------------------------------------------------------------------------------------------------------

  const unlisten = [state, feed.recovery, feed.chat_recovery, feed.trace, feed.chat].map((channel) => channel.listen(schedule));
  return {
    el,
    actions: [reset.button],
    /** Asks whether to reset everything, in this tab. */
    askReset: reset.ask,
    show(value) {
      visible = value;
      draw();
      tickWhile();
      poll.ask();
    },
    setDisconnected(value) {
      lost = value ? FAR_END.lost : "";
      if (value) poll.abandon();
      draw();
      poll.ask();
    },
    dispose() {
      visible = false;
      tickWhile();
      poll.dispose();
      cancelAnimationFrame(frame);
      for (const end of unlisten) end();
    },
  };
}

/** The button that brings everything back, the question before it, and what it did. */
function createBreakReset(feed, notice) {
  const id = uniqueId("reset");
  const button = createRunsButton(notice, "Reset everything", ask, { tone: "danger" });
  const keep = createRunsButton(notice, "Keep", drop);
  const really = createRunsButton(notice, "Reset", () => (drop(), run()), { tone: "danger", about: "everything" });
  const words = h("p", { id }, "Reset everything? All that is broken is mended, all running workflows are terminated, and server and Worker are made healthy. It takes up to 20 s.");
  const question = h("div", { class: "dd-bk-question", role: "alertdialog", "aria-label": "Reset everything?", "aria-describedby": id, hidden: true, onkeydown: onKey }, words, h("div", { class: "dd-bk-ways" }, really.el, keep.el));
  const report = h("p", { class: "dd-bk-report", role: "status" });

  function ask() {
    question.hidden = false;
    keep.el.focus();
  }

  function drop() {
    const inside = question.matches(":focus-within");
    question.hidden = true;
    if (inside) button.el.focus();
  }

  function onKey(event) {
    event.stopPropagation();
    if (event.key === "Escape") drop();
  }

  async function run() {
    const { ok, message } = await feed.command("reset");
    if (!ok) notice.say(message);
  }

  return {
    button: button.el,
    el: h("div", {}, question, report),
    ask,
    draw({ resetting, reset }, lost) {
      button.set(lost || (resetting ? "A reset is under way" : ""));
      really.set(lost || (resetting ? "A reset is under way" : ""));
      setText(report, resetting ? "Resetting..." : reset);
    },
  };
}

/** Server and Workers, each with its pid and state. */
function createBreakProcesses(notice, order) {
  const server = createBreakProcess("Server");
  const workers = new Map();
  const none = h("li", { class: "dd-bk-process" }, "No Worker");
  const list = h("ul", { class: "dd-bk-processes", "aria-label": "Processes" }, server.el, none);

  function makeWorker({ pid, module }) {
    const kill = createRunsButton(notice, "Kill", () => order("kill_worker", String(pid)), { about: `Worker ${pid}` });
    return { ...createBreakProcess(module ? `%%${module}` : "Worker", kill), kill };
  }

  return {
    el: list,
    draw({ server: one, workers: all, ready, possible }, lost) {
      server.el.hidden = one === null;
      if (one) server.draw(one);
      none.hidden = !ready || all.length > 0 || possible.workers !== "";
      const pids = new Set(all.map(({ pid }) => pid));
      for (const [pid, worker] of workers) {
        if (pids.has(pid)) continue;
        worker.el.remove();
        workers.delete(pid);
      }
      for (const worker of all) {
        if (!workers.has(worker.pid)) {
          workers.set(worker.pid, makeWorker(worker));
          list.append(workers.get(worker.pid).el);
        }
        workers.get(worker.pid).draw(worker);
        workers.get(worker.pid).kill.set(lost || (worker.state === "dead" ? "It is dead already" : ""));
      }
    },
  };
}

function createBreakProcess(noun, button) {
  const name = h("span", { class: "dd-bk-name" });
  const condition = h("span", { class: "dd-bk-condition" });
  const el = h("li", { class: "dd-bk-process" }, h("span", { class: "dd-bk-mark", "aria-hidden": "true" }), name, condition, ...(button ? [button.el] : []));
  return {
    el,
    draw({ pid, state }) {
      setText(name, pid === null ? noun : `${noun} ${pid}`);
      setText(condition, BREAK_STATES[state] ?? state);
      setAttribute(el, "data-state", state);
    },
  };
}

/** What the supervisor saw of processes and network, newest last. */
function createBreakLog() {
  const list = focusable("ol", { class: "dd-bk-lines", tabindex: 0, "aria-label": "What the supervisor saw" });
  const summary = focusable("summary", {}, "What the supervisor saw");
  const el = h("details", { class: "dd-bk-log" }, summary, list);
  let shown = "";
  return {
    el,
    draw(incidents) {
      el.hidden = incidents.length === 0;
      const now = `${incidents.length} ${incidents.at(-1)}`;
      if (now === shown) return;
      shown = now;
      list.replaceChildren(...incidents.map(([at, text]) => h("li", { class: "dd-bk-line" }, h("time", { datetime: at }, clock(at)), h("span", {}, text))));
      list.scrollTop = list.scrollHeight;
    },
  };
}
