// What bars are called: for details, table and screen readers.
import { calendar } from "./dom.js";
import { timelineDuration, timelineMoment } from "./timeline_time.js";

const TIMELINE_KINDS = {
  activity: "Activity",
  timer: "Timer",
  signal: "Signal",
  update: "Update",
  child: "Child Workflow",
  seam: "Next run",
  gap: "No Worker",
  problem: "Problem",
  workflow: "Workflow",
};
const TIMELINE_PHASES = { queued: "Queued", running: "Attempt", backoff: "Back-off", earlier: "Earlier attempts" };
const TIMELINE_EARLIER = "The history keeps only the last attempt of an Activity; whoever watches live sees each.";
const TIMELINE_TONES = {
  ...{ queued: "live", running: "live", retrying: "live" },
  ...{ failed: "failed", rejected: "failed", timed_out: "late", canceled: "off", terminated: "off", closed: "off" },
};

/** How a state looks: `live`, `done`, `failed`, `late` (timed out) or `off` (canceled). */
export function timelineTone({ state, kind, end }) {
  if (kind === "problem") return "failed";
  if (kind === "gap") return "off";
  return TIMELINE_TONES[state] ?? (end === null ? "live" : "done");
}

/** `Activity`, `Timer` ... */
export function timelineKind(bar) {
  return TIMELINE_KINDS[bar.kind] ?? bar.kind;
}

/** A state in words: `timed out`. */
export function timelineState(bar) {
  return bar.state === "over" ? "ended" : bar.state.replaceAll("_", " ");
}

/** Whether the label says this word already. */
export function timelineSaid(bar, word) {
  return `${timelineLabel(bar)} `.startsWith(`${word} `);
}

/** What a bar, band or mark is called. */
export function timelineLabel(bar) {
  return bar.label || timelineKind(bar);
}

const timelineGists = new WeakMap();

/** The first text in a result, "" if there is none: what a bar tells beside its name. */
export function timelineGist(bar) {
  if (!timelineGists.has(bar)) timelineGists.set(bar, timelineFirstText(bar.result));
  return timelineGists.get(bar);
}

function timelineFirstText(json) {
  let value;
  try {
    value = JSON.parse(json);
  } catch {
    return ""; // not JSON, or cut
  }
  const values = typeof value === "object" && value !== null ? Object.values(value) : [value];
  return (values.find((each) => typeof each === "string") ?? "").replace(/\s+/g, " ");
}

const timelineSentences = new WeakMap();

/** One sentence; says no duration that grows. */
export function timelineSentence(bar) {
  if (!timelineSentences.has(bar)) timelineSentences.set(bar, timelineMakeSentence(bar));
  return timelineSentences.get(bar);
}

function timelineMakeSentence(bar) {
  const words = [timelineLabel(bar)];
  if (!timelineSaid(bar, timelineKind(bar))) words.push(timelineKind(bar));
  if (bar.state) words.push(timelineState(bar));
  if (bar.attempt > 1) words.push(`attempt ${bar.attempt}`);
  words.push(`${bar.end === bar.start ? "at" : "from"} ${timelineMoment(bar.start)}`);
  if (bar.end !== null && bar.end !== bar.start) words.push(timelineDuration(bar.end - bar.start));
  return words.join(", ");
}

/** What several bars that are drawn as one have in common. */
export function timelineCrowd(items, now) {
  const counts = new Map();
  for (const { bar } of items) counts.set(timelineState(bar), (counts.get(timelineState(bar)) ?? 0) + 1);
  const states = [...counts].filter(([state]) => state).map(([state, count]) => `${count} ${state}`);
  const start = items[0].bar.start;
  const end = items.reduce((latest, { bar }) => Math.max(latest, bar.end ?? now), start);
  return { count: items.length, states: states.join(", "), start, end };
}

/** One part of a bar: `{name, times, length, note, hint}`. */
export function timelinePart([phase, start, end, attempt, note], now) {
  const name = phase === "running" ? `Attempt ${attempt}` : (TIMELINE_PHASES[phase] ?? phase);
  const hint = phase === "earlier" ? TIMELINE_EARLIER : "";
  if (start > now) return { name, times: `from ${timelineMoment(start)} on`, length: "", note, hint };
  const times = `${timelineMoment(start)} \u2013 ${end === null ? "now" : timelineMoment(end)}`;
  return { name, times, length: timelineDuration((end ?? now) - start), note, hint };
}

/** Local date and time with milliseconds. */
export function timelineDate(ms) {
  return `${calendar(ms).slice(0, 10)} ${timelineMoment(ms)}`;
}
