// What happened to one workflow since something was broken: the stopwatch, what it counted, and when what was seen.
import { clock, focusable, h, setAttribute, setText } from "./dom.js";

const BREAK_SOURCES = { break: "you", process: "process", event: "workflow", progress: "progress" };
/** The figure's words, by status; the kernel has others for all of it as one sentence. */
const BREAK_WORDS = { waiting: "without progress: it waits", recovered: "without progress, then it went on", untouched: "at most between two signs of progress", ended: "without progress, until it ended" };

/**
 * The stopwatch in a channel; `noun` tells which workflow it is, and the channel `told` whether it cannot go on.
 *
 * `say(words)` is for screen readers.
 */
export function createBreakStopwatch(channel, told, noun, say) {
  const id = h("code", {});
  const problem = h("div", { class: "dd-problem" });
  const done = h("p", { class: "dd-bk-done" });
  const figure = h("span", { class: "dd-bk-figure" });
  const words = h("span", { class: "dd-bk-unit" });
  const headline = h("p", { class: "dd-bk-headline" });
  const facts = h("ul", { class: "dd-bk-facts" });
  const list = focusable("ol", { class: "dd-bk-lines", tabindex: 0, "aria-label": `What happened to the ${noun.toLowerCase()}, in order` });
  const time = h("div", { class: "dd-bk-time" }, figure, " ", words);
  const content = h("div", {}, done, time, headline, facts, list);
  const none = h("p", { class: "dd-bk-none" }, "Nothing was broken since this is shown.");
  const el = h("div", { class: "dd-bk-watch", role: "group", "aria-label": noun }, h("div", { class: "dd-bk-who" }, h("span", { class: "dd-label" }, `${noun}: `), id), problem, none, content);
  let known = channel.summary;
  let arrived = Date.now();
  let said = "";

  /** Seconds without progress, as far as it is known at this moment. */
  function seconds() {
    const { status, gap, waiting_since: since, now } = channel.summary;
    return status === "waiting" ? Math.max(gap, (now + Date.now() - arrived - Date.parse(since)) / 1_000) : gap;
  }

  function draw() {
    const { workflow_id, status, done: what, headline: words_, facts: counted, in_hand } = channel.summary;
    if (known !== channel.summary) [known, arrived] = [channel.summary, Date.now()];
    el.hidden = workflow_id === "";
    setText(id, workflow_id);
    setText(problem, told.summary.problem ? `Problem: ${told.summary.problem}` : "");
    none.hidden = status !== "";
    content.hidden = status === "";
    setAttribute(el, "data-status", status);
    setText(done, what);
    const idle = status === "untouched" && !in_hand;
    time.hidden = idle;
    setText(words, BREAK_WORDS[status] ?? "");
    headline.hidden = status === "recovered" || status === "waiting"; // the figure says it
    setText(headline, words_);
    drawBreakList(facts, counted.map((fact) => [fact, () => h("li", {}, fact)]));
    const lines = channel.rows.map(([number, ...line]) => [number, ...line]).sort((one, other) => one[1].localeCompare(other[1]) || one[0] - other[0]);
    drawBreakList(list, lines.map(([number, at, source, text]) => [`${number} ${text}`, () => h("li", { class: `dd-bk-line dd-bk-from-${source}` }, h("time", { datetime: at }, clock(at)), h("span", { class: "dd-bk-source" }, BREAK_SOURCES[source] ?? ""), h("span", {}, text))]));
    tick();
    speak();
  }

  /** Brings the figure up to now. */
  function tick() {
    setText(figure, `${seconds().toFixed(1)} s`);
  }

  function speak() {
    const { status, done: what, headline: words_, since } = channel.summary;
    const now = `${since} ${status === "waiting"} ${status}`;
    if (now === said) return;
    if (said && status) say(status === "waiting" ? what : `${noun}: ${words_}`);
    said = now;
  }

  return {
    el,
    draw,
    tick,
    get waiting() {
      return channel.summary.status === "waiting";
    },
    get shown() {
      return channel.summary.workflow_id !== "";
    },
  };
}

/** Keeps the children that are wanted still, by key, so that a selection survives. */
function drawBreakList(el, wanted) {
  const before = new Map([...el.children].map((child) => [child.dataset.key, child]));
  const after = wanted.map(([key, make]) => {
    const child = before.get(String(key)) ?? make();
    child.dataset.key = key;
    return child;
  });
  if (after.length === el.children.length && after.every((child, place) => child === el.children[place])) return;
  const atEnd = el.scrollTop + el.clientHeight >= el.scrollHeight - 4;
  el.replaceChildren(...after);
  if (atEnd) el.scrollTop = el.scrollHeight;
}
