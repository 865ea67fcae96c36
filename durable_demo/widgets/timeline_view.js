// The live timeline of one workflow: picture, details and table. Alone in a cell or as a tab of the panel.
import { createRunActions, createNotice } from "./actions.js";
import { createAlerts, createDisconnection, mount } from "./alerts.js";
import { calendar, focusable, h, icon, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { feedOf } from "./feed.js";
import { timelineLegend, timelinePatterns } from "./timeline_bars.js";
import { createTimelineChart } from "./timeline_chart.js";
import { createTimelineDetails } from "./timeline_details.js";
import { timelineFrame } from "./timeline_drawing.js";
import { timelineFile, timelineSave } from "./timeline_export.js";
import { createTimelineCanvas, timelineSvg } from "./timeline_paint.js";
import { createTimelineTable } from "./timeline_table.js";
import { timelineDuration } from "./timeline_time.js";

/** Picture, details and table of the channel `timeline`; `go` leads to another tab, where there are tabs. */
export function createTimelineView(feed, notice, go) {
  const { timeline } = feed;
  const waiting = h("p", {}, FAR_END.waitingView);
  const emptyTitle = h("p", { class: "dd-empty-title" }, "No timeline yet");
  const emptyHint = h("p", {}, "Start a workflow, or choose one in the tab Runs");
  const toRuns = focusable("button", { type: "button", class: "dd-button dd-plain", onclick: () => go("runs") }, "Choose a run");
  const empty = h("div", { class: "dd-empty" }, waiting, emptyTitle, emptyHint, toRuns);

  const details = createTimelineDetails(() => {
    chart.unpin();
    chart.el.focus({ preventScroll: true });
  });
  const table = createTimelineTable(() => chart.update());
  let shown = [null, 0];
  const drawDetails = () => details.draw(...shown);
  const chart = createTimelineChart(timeline, {
    onLook: (items) => (details.look(items), drawDetails()),
    onChoose: (item) => (details.pin(item), drawDetails()),
    onDraw(...drawn) {
      shown = drawn;
      drawDetails();
      table.draw(...drawn);
      const { start, end } = timeline.summary;
      setText(runtime, start === null ? "" : timelineDuration((end ?? drawn[1]) - start));
      chart.drawFollow();
      legend.draw();
    },
  });
  const saveId = uniqueId("file");
  const save = focusable("button", { type: "button", class: "dd-button dd-plain", title: "All of it as a picture, to be shared", onclick: saveFile }, "Save SVG");
  const tools = h("div", { class: "dd-tl-tools", role: "group", "aria-label": "Timeline" }, ...chart.buttons, save);
  const legend = createTimelineLegend(chart);
  const runtime = h("span", { class: "dd-tl-runtime" });
  const earlier = h("span", { class: "dd-tl-earlier" });
  const reconnecting = h("div", { class: "dd-warning", role: "status" });
  const facts = h("div", { class: "dd-facts" }, h("div", { class: "dd-fact" }, h("span", { class: "dd-label" }, "Runtime: "), runtime), earlier);
  const content = h("div", { class: "dd-tl-content" }, h("div", { class: "dd-tl-top" }, facts, tools), reconnecting, chart.el, legend.el, details.el, chart.help, table.el);
  const el = h("div", { class: "dd-tl" }, empty, content);

  function saveFile() {
    timelineSave(timelineFile(chart.el, chart.picture(), timeline.summary, saveId), timeline.summary.workflow_id);
    notice.say("The timeline has been saved as an SVG file.");
  }

  function update() {
    const nothing = timeline.summary.status === "" && timeline.rows.length === 0;
    empty.hidden = !nothing;
    content.hidden = nothing;
    waiting.hidden = timeline.ready;
    emptyTitle.hidden = emptyHint.hidden = !timeline.ready;
    toRuns.hidden = !timeline.ready || !go;
    setText(reconnecting, timeline.summary.connected ? "" : "Server not reachable, reconnecting...");
    setText(earlier, timeline.first > 0 ? `... ${timeline.first} earlier ones not shown` : "");
    chart.update();
  }

  const unlisten = timeline.listen(update);
  update();
  return {
    el,
    actions: [],
    show: chart.show,
    setDisconnected: chart.setDisconnected,
    dispose() {
      unlisten();
      chart.dispose();
    },
  };
}

/** Which workflow it is, and how it is. */
function createTimelineSubject(timeline) {
  const workflow = h("code", {});
  const statusIcon = h("span", { class: "dd-chip-icon" });
  const statusText = h("span", {});
  const chip = h("span", { class: "dd-chip" }, statusIcon, statusText);
  const started = h("span", {});
  const fact = (name, value) => h("div", { class: "dd-fact" }, h("span", { class: "dd-label" }, `${name}: `), value);
  const el = h("div", { class: "dd-tl-subject" }, h("div", { class: "dd-facts" }, fact("Workflow", workflow), fact("Status", chip), fact("Started", started)));

  function update() {
    const { workflow_id: id, status, start } = timeline.summary;
    el.hidden = id === "";
    setText(workflow, id);
    setText(started, start === null ? "" : calendar(start));
    if (statusText.textContent === status) return;
    setText(statusText, status);
    statusIcon.replaceChildren(icon(status));
    setAttribute(chip, "data-status", status);
  }

  return { el, update };
}

function createTimelineLegend(chart) {
  const el = h("ul", { class: "dd-tl-legend", "aria-label": "Legend" });
  const id = uniqueId("legend");
  let known = {};
  let drawn = "";

  function draw() {
    const { unit, layout, live, ...picture } = chart.picture();
    if (known.unit === unit && known.layout === layout && known.live === live) return;
    known = { unit, layout, live };
    const frame = timelineFrame({ ...picture, ...known, width: 1, from: 0, to: 1, id, view: {} });
    const looks = timelineLegend(frame);
    const wanted = `${unit} ${looks.map(([name]) => name)}`;
    if (drawn === wanted) return;
    drawn = wanted;
    el.replaceChildren(
      ...looks.map(([name, shapes], place) => {
        const svg = timelineSvg();
        for (const [key, value] of Object.entries({ width: 26 * unit, height: 14 * unit, "aria-hidden": "true", class: "dd-tl-swatch" })) svg.setAttribute(key, value);
        createTimelineCanvas(svg)(place === 0 ? [timelinePatterns(frame), ...shapes] : shapes);
        return h("li", {}, svg, h("span", {}, name));
      }),
    );
  }

  return { el, draw };
}

/** A view of its own: the workflow and its buttons above the timeline, no tabs. */
function createTimelineAlone(feed) {
  const notice = createNotice();
  const alerts = createAlerts(feed);
  // What Clear empties is a trace.
  const [stop, pause, cancel] = createRunActions(feed, notice);
  const actions = [stop, pause, cancel];
  const subject = createTimelineSubject(feed.timeline);
  const view = createTimelineView(feed, notice, null);
  const disconnection = createDisconnection(feed);
  const bar = h("div", { class: "dd-actions", role: "group", "aria-label": "Workflow" }, ...actions.map((action) => action.el));
  const body = h("div", { class: "dd-body" }, subject.el, view.el);
  const el = h("section", { class: "durable-demo", "aria-label": "Workflow timeline" }, h("div", { class: "dd-bar" }, bar), disconnection.el, alerts.el, notice.el, body);
  const update = () => [...actions, alerts, subject].forEach((part) => part.update());
  const unlisten = feed.listen(update);
  update();
  view.show(true);
  return {
    el,
    setDisconnected(lost) {
      disconnection.set(lost);
      for (const part of [...actions, view]) part.setDisconnected(lost);
    },
    dispose() {
      unlisten();
      view.dispose();
    },
  };
}

export default function timelineViewWidget() {
  // Shared by all views of one model; anywidget keeps nothing else between initialize and render.
  let feed;
  return {
    initialize({ model }) {
      feed = feedOf(model, ["trace", "timeline", "panel"]);
    },
    render({ model, el }) {
      return mount(model, el, feed, createTimelineAlone(feed));
    },
  };
}
