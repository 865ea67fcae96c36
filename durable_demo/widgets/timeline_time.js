// Times on the timeline: words for moments and durations, and where the axis has its ticks.
import { calendar, clock } from "./dom.js";

const TIMELINE_SECOND = 1_000;
const TIMELINE_MINUTE = 60 * TIMELINE_SECOND;
const TIMELINE_HOUR = 60 * TIMELINE_MINUTE;
const TIMELINE_DAY = 24 * TIMELINE_HOUR;
const TIMELINE_STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * TIMELINE_SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * TIMELINE_MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * TIMELINE_HOUR),
  ...[1, 2, 7, 14, 28, 91, 182, 364].map((count) => count * TIMELINE_DAY),
];

/** `250 ms`, `4.2 s`, `2 min 5 s`, `3 h 12 min`, `3 d 4 h`. */
export function timelineDuration(ms) {
  const length = Math.max(0, Math.round(ms));
  if (length < TIMELINE_SECOND) return `${length} ms`;
  if (length < TIMELINE_MINUTE - 50) return `${(length / TIMELINE_SECOND).toFixed(1)} s`;
  const pair = (big, bigName, small, smallName) => {
    const whole = Math.round(length / small);
    const rest = whole % (big / small);
    return `${Math.floor((whole * small) / big)} ${bigName}${rest ? ` ${rest} ${smallName}` : ""}`;
  };
  if (length < TIMELINE_HOUR - TIMELINE_SECOND / 2) return pair(TIMELINE_MINUTE, "min", TIMELINE_SECOND, "s");
  if (length < TIMELINE_DAY - TIMELINE_MINUTE / 2) return pair(TIMELINE_HOUR, "h", TIMELINE_MINUTE, "min");
  return pair(TIMELINE_DAY, "d", TIMELINE_HOUR, "h");
}

/** Local time of day with milliseconds, `10:30:15.250`. */
export function timelineMoment(ms) {
  return `${clock(ms)}.${String(new Date(ms).getMilliseconds()).padStart(3, "0")}`;
}

function timelineTickLabel(at, step) {
  if (step < TIMELINE_SECOND) return timelineMoment(at).slice(0, step >= 100 ? -2 : step >= 10 ? -1 : undefined);
  if (step < TIMELINE_MINUTE) return clock(at);
  const midnight = clock(at) === "00:00:00";
  return step >= TIMELINE_DAY || midnight ? calendar(at).slice(5, 10) : clock(at).slice(0, 5);
}

/** Moments at round clock times from `from` to `to`, so far apart that their labels fit: `{at, label, day}`. */
export function timelineTicks(from, to, width, textWidth) {
  const pixels = width / (to - from);
  const step = TIMELINE_STEPS.find((each) => each * pixels >= textWidth(timelineTickLabel(from, each)) * 1.25) ?? TIMELINE_STEPS.at(-1);
  const moments = step < TIMELINE_HOUR ? timelineEvenMoments(from, to, step) : timelineCalendarMoments(from, to, step);
  return moments.map((at) => ({ at, label: timelineTickLabel(at, step), day: step >= TIMELINE_MINUTE && clock(at) === "00:00:00" }));
}

function timelineEvenMoments(from, to, step) {
  const shift = new Date(from).getTimezoneOffset() * TIMELINE_MINUTE;
  const moments = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) moments.push(at);
  return moments;
}

/** By the calendar, as a day may have 23 or 25 hours. */
function timelineCalendarMoments(from, to, step) {
  const hours = Math.min(24, step / TIMELINE_HOUR);
  const days = Math.max(1, step / TIMELINE_DAY);
  const first = new Date(from);
  const moments = [];
  const epochDay = Math.floor(Date.UTC(first.getFullYear(), first.getMonth(), first.getDate()) / TIMELINE_DAY);
  for (let day = -(epochDay % days); ; day += days) {
    for (let hour = 0; hour < 24; hour += hours) {
      const at = new Date(first.getFullYear(), first.getMonth(), first.getDate() + day, hour).getTime();
      if (!(at <= to)) return moments;
      if (at >= from) moments.push(at);
    }
  }
}
