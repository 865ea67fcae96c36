// Several workflows beside one another: what is seen, a plot, and the numbers.
import { focusable, h, setAttribute, setText } from "./dom.js";
import { createComparePlot } from "./compare_plot.js";
import { createCompareTable } from "./compare_table.js";
import { FAR_END } from "./far_end.js";

const COMPARE_POLL_MS = 3_000;

/** The comparison in the channel `compare`; while one of its workflows runs, it is read again and again. */
export function createCompareView(feed, notice, go) {
  const { compare } = feed;
  let visible = false;
  let lost = false;
  let asking = false;
  let disposed = false;
  let timer = 0;
  let frame = 0;

  const chooser = () => focusable("button", { type: "button", class: "dd-button dd-plain", onclick: () => go("runs") }, "Choose runs");
  const choose = chooser();
  const save = focusable("button", { type: "button", class: "dd-button dd-plain", onclick: saveFile }, "Save SVG");
  const waiting = h("p", {}, FAR_END.waitingView);
  const reading = h("p", { role: "status" });
  const nothing = h("div", { class: "dd-cp-nothing" }, h("p", { class: "dd-empty-title" }, "Nothing to compare yet"), h("p", {}, "Choose two or more workflows in the tab Runs"), chooser());
  const empty = h("div", { class: "dd-cp-empty" }, waiting, reading, nothing);
  const problem = h("div", { class: "dd-problem dd-cp-problem", role: "status" });
  const finding = h("p", { class: "dd-cp-finding" });
  const state = h("p", { class: "dd-cp-state" });
  const plot = createComparePlot();
  const table = createCompareTable(remove, () => choose.focus());
  const notes = h("div", { class: "dd-cp-notes" });
  const content = h("div", { class: "dd-cp-content" }, h("div", { class: "dd-cp-head" }, finding, state), h("div", { class: "dd-cp-both" }, plot.el, h("div", { class: "dd-cp-numbers" }, table.el, notes)));
  const el = h("div", { class: "dd-cp" }, problem, empty, content);

  const unfinished = () => compare.summary.runs.some((run) => !run.ended);
  const sameAsked = ({ workflow_ids: ids, runs }) => ids.length === runs.length && runs.every((run, at) => run.workflow_id === ids[at]);

  function schedule() {
    if (visible) frame ||= requestAnimationFrame(draw);
  }

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!visible) return;
    const { summary, ready } = compare;
    const some = summary.runs.length > 0;
    empty.hidden = some;
    content.hidden = !some;
    waiting.hidden = ready;
    nothing.hidden = !ready || summary.busy;
    setText(reading, ready && summary.busy && !some ? compareReading(summary) : "");
    setText(problem, summary.problem);
    setAttribute(save, "aria-disabled", some ? null : "true");
    if (some) {
      setText(finding, summary.finding);
      setText(state, summary.busy && !sameAsked(summary) ? compareReading(summary) : unfinished() ? `Read again every ${COMPARE_POLL_MS / 1_000} s while a workflow runs.` : "");
      setText(notes, summary.notes.join("\n"));
      table.draw(summary);
      plot.draw(summary);
    } else if (el.contains(document.activeElement) && content.contains(document.activeElement)) choose.focus();
    pollLater();
  }

  // --- reading again -------------------------------------------------------------------------------------------------

  function pollLater() {
    if (visible && !lost && !asking && unfinished()) timer ||= setTimeout(poll, COMPARE_POLL_MS);
  }

  async function poll() {
    clearTimeout(timer);
    timer = 0;
    if (!visible || lost || asking || !unfinished()) return;
    if (!compare.summary.busy) {
      asking = true;
      const answer = await feed.command("compare", { workflow_ids: compare.summary.workflow_ids });
      asking = false;
      if (disposed) return;
      if (!answer.ok && !answer.alert) notice.say(answer.message);
    }
    pollLater();
  }

  // --- what a person does --------------------------------------------------------------------------------------------

  async function remove(id) {
    if (lost) {
      notice.say(FAR_END.lost);
      return;
    }
    const answer = await feed.command("compare", { workflow_ids: compare.summary.workflow_ids.filter((other) => other !== id) });
    notice.say(answer.ok || answer.alert ? "" : answer.message);
  }

  function saveFile() {
    if (compare.summary.runs.length === 0) {
      notice.say("There is nothing to save yet");
      return;
    }
    const url = URL.createObjectURL(new Blob([plot.file()], { type: "image/svg+xml" }));
    h("a", { href: url, download: "comparison.svg" }).click();
    // Not at once: the browser reads it after the click.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  const unlisten = compare.listen(schedule);
  const resize = new ResizeObserver(schedule);
  resize.observe(plot.watched);
  return {
    el,
    actions: [choose, save],
    show(value) {
      visible = value;
      draw();
      if (visible) poll();
    },
    setDisconnected(value) {
      lost = value;
      table.setDisconnected(value);
      draw();
    },
    dispose() {
      disposed = true;
      unlisten();
      resize.disconnect();
      clearTimeout(timer);
      cancelAnimationFrame(frame);
    },
  };
}

const compareReading = ({ workflow_ids: ids }) => `Reading the Event History of ${ids.length} ${ids.length === 1 ? "workflow" : "workflows"}...`;
