// The shapes of bars and marks. What a part is can be seen without its colour: by its outline, its hatching or its symbol.
import { timelineShape } from "./timeline_paint.js";
import { timelineDuration } from "./timeline_time.js";
import { timelineGist, timelineLabel, timelineTone } from "./timeline_words.js";

/** In a box of 10: stroked, not filled. */
const TIMELINE_SYMBOLS = {
  done: "M1.2 5.4 3.9 8.1 8.8 2.2",
  failed: "M1.5 1.5 8.5 8.5M8.5 1.5 1.5 8.5",
  late: "M5 .8A4.2 4.2 0 1 0 5 9.2 4.2 4.2 0 1 0 5 .8M5 2.6V5.2L7 6.2",
  off: "M5 .8A4.2 4.2 0 1 0 5 9.2 4.2 4.2 0 1 0 5 .8M2.2 7.8 7.8 2.2",
  live: "M2.5 1.5 7.5 5 2.5 8.5",
};
const TIMELINE_SMALLEST = 3;

/** Rounded, so that a node is not written for a change that nobody sees. */
export const timelinePixel = (value) => Math.round(value * 10) / 10;

const timelineRect = (look, x, y, width, height, more = {}) =>
  timelineShape("rect", { class: look, x: timelinePixel(x), y: timelinePixel(y), width: timelinePixel(Math.max(0, width)), height: timelinePixel(height), ...more });

export const timelineText = (look, x, y, words, more = {}) => timelineShape("text", { class: look, x: timelinePixel(x), y: timelinePixel(y), ...more }, words);

/** A symbol with its middle at (x, y), such as the tick of what has completed. */
function timelineSymbol(name, look, x, y, size) {
  const place = `translate(${timelinePixel(x - size / 2)} ${timelinePixel(y - size / 2)}) scale(${size / 10})`;
  return timelineShape("path", { class: `dd-tl-symbol ${look}`, d: TIMELINE_SYMBOLS[name], transform: place });
}

/** A symbol that stands out from what is beneath it: even a bar of a few pixels tells by its shape that it went wrong. */
function timelineBadge(name, frame, x, y) {
  const size = 11 * frame.unit;
  return [
    timelineShape("circle", { class: `dd-tl-mark dd-tl-${name}`, cx: timelinePixel(x), cy: timelinePixel(y), r: timelinePixel(size / 2) }),
    timelineSymbol(name, "dd-tl-on", x, y, size * 0.62),
  ];
}

/** A surface of one look, `x` to `x + width`, in the middle of which `y` is. */
function timelineBlock(look, frame, x, y, width, height) {
  const body = { rx: timelinePixel(Math.min(3 * frame.unit, width / 2)) };
  const box = [x, y - height / 2, width, height];
  switch (look) {
    case "queued":
      return [timelineRect("dd-tl-queued", x + 0.75, y - height / 2 + 0.75, width - 1.5, height - 1.5, body)];
    case "backoff":
      return [
        timelineRect("dd-tl-hatched", ...box, { ...body, fill: `url(#${frame.id}-backoff)` }),
        timelineRect("dd-tl-backoff", x + 0.5, y - height / 2 + 0.5, width - 1, height - 1, body),
      ];
    case "earlier":
      return [
        timelineRect("dd-tl-hatched", ...box, { ...body, fill: `url(#${frame.id}-earlier)` }),
        timelineRect("dd-tl-earlier", x + 0.5, y - height / 2 + 0.5, width - 1, height - 1, body),
      ];
    default:
      return [timelineRect(`dd-tl-solid dd-tl-${look}`, ...box, body)];
  }
}

/** The patterns that blocks refer to by the frame's id. */
export function timelinePatterns(frame) {
  const pattern = (name, size, kids, turned = true) => {
    const ink = { id: `${frame.id}-${name}`, width: size, height: size, patternUnits: "userSpaceOnUse" };
    return timelineShape("pattern", turned ? { ...ink, patternTransform: "rotate(45)" } : ink, kids, name);
  };
  const line = (look, x1, y1, x2, y2) => timelineShape("line", { class: look, x1, y1, x2, y2 });
  const { unit } = frame;
  const [close, wide] = [5 * unit, 8 * unit];
  return timelineShape("defs", {}, [
    pattern("backoff", close, [line("dd-tl-hatch-backoff", 0, 0, 0, close)]),
    pattern("earlier", close, [line("dd-tl-hatch-earlier", 0, 0, 0, close), line("dd-tl-hatch-earlier", 0, 0, close, 0)]),
    pattern("gap", wide, [line("dd-tl-hatch-gap", 0, 0, 0, wide)]),
  ]);
}

const timelineParts = (bar) => (bar.parts.length > 0 ? bar.parts : [["running", bar.start, bar.end, bar.attempt, ""]]);

/** How each part of a bar looks; an attempt after which something came has failed. */
function timelineLooks(bar) {
  const parts = timelineParts(bar);
  return parts.map(([phase, , , , note], place) => {
    if (phase !== "running") return phase;
    if (place === parts.length - 1) return timelineTone(bar);
    return /time-?out/i.test(note) ? "late" : "failed";
  });
}

/** The parts of a bar in pixels. */
function timelinePieces(bar, frame) {
  const looks = timelineLooks(bar);
  return timelineParts(bar).map(([phase, start, end, attempt], place) => {
    const begin = frame.x(start);
    const x = Math.max(frame.left - 20, begin);
    const stop = Math.min(frame.right + 20, frame.x(end ?? frame.now));
    const solid = phase === "running";
    return { look: looks[place], solid, again: solid && attempt > 1 ? attempt : 0, x, width: stop - x, length: (end ?? frame.now) - start, seen: stop >= frame.left && begin <= frame.right };
  });
}

/** One bar with its label, `free` pixels up to the next one in its row. */
export function timelineBar(item, frame, y, height, free) {
  const { bar } = item;
  const { unit } = frame;
  const tone = timelineTone(bar);
  const thin = bar.kind === "timer" || bar.kind === "workflow";
  const thickness = thin ? Math.round(height * 0.5) : height;
  const pieces = timelinePieces(bar, frame);
  const end = pieces.reduce((most, piece) => Math.max(most, piece.x + piece.width), -Infinity);
  const shapes = [];
  for (const piece of pieces) {
    if (!piece.seen || (piece.width < 0.5 && pieces.length > 1)) continue;
    // What stands between two others must not be widened over its neighbour.
    const width = pieces.length > 1 ? piece.width : Math.max(TIMELINE_SMALLEST, piece.width);
    shapes.push(...timelineBlock(piece.look, frame, piece.x, y, width, thickness));
  }
  if (end - frame.x(bar.start) < TIMELINE_SMALLEST && pieces.length > 1) {
    shapes.push(...timelineBlock(tone, frame, frame.x(bar.start), y, TIMELINE_SMALLEST, thickness));
  }

  const symbol = 9 * unit;
  let outside = Math.max(end, frame.x(bar.start) + TIMELINE_SMALLEST) + 4 * unit;
  let ended = tone === "live" || tone === "done";
  for (const piece of pieces.filter(({ seen, solid }) => seen && solid)) {
    const stop = piece.x + piece.width;
    piece.begin = Math.max(piece.x, frame.left) + 5 * unit;
    piece.limit = Math.min(stop, frame.right) - 5 * unit;
    if (!thin && piece.width > symbol + 8 * unit && stop <= frame.right + 1) {
      shapes.push(timelineSymbol(piece.look, "dd-tl-on", stop - symbol / 2 - 5 * unit, y, symbol));
      piece.limit = stop - symbol - 10 * unit;
      ended ||= stop >= end - 1;
    }
    if (piece.again && !thin && piece.limit - piece.begin > frame.text.width(`${piece.again}`)) {
      shapes.push(timelineText("dd-tl-attempt", piece.begin, y + 4 * unit, `${piece.again}`));
      piece.begin += frame.text.width(`${piece.again}`) + 7 * unit;
    }
  }
  if (!ended && end >= frame.left && end <= frame.right) {
    const beside = free - outside > 20 * unit;
    shapes.push(...(beside ? timelineBadge(tone, frame, outside + 5 * unit, y) : timelineBadge(tone, frame, end - 1, y - thickness / 2)));
    if (beside) outside += 15 * unit;
  }
  shapes.push(...timelineBarWords(item, frame, y, pieces, thin, outside, free));
  return { shapes, from: frame.x(bar.start), to: Math.max(end, frame.x(bar.start) + TIMELINE_SMALLEST) };
}

/**
 * The label in the widest attempt, or else behind the bar; a bar that is called as its lane tells of its result.
 *
 * What stands in one of several attempts is the duration of that one.
 */
function timelineBarWords({ bar }, frame, y, pieces, thin, outside, free) {
  const { unit, text } = frame;
  const whole = (bar.end ?? frame.now) - bar.start;
  const several = pieces.filter(({ look }) => look !== "queued").length > 1;
  const label = timelineLabel(bar);
  const named = label !== bar.lane;
  const baseline = y + 4 * unit;
  const rooms = thin ? [] : pieces.filter(({ seen, solid, begin, limit }) => seen && solid && limit > begin);
  const inside = ({ begin, limit }) => limit - begin;
  const widest = rooms.reduce((best, each) => (best && inside(best) >= inside(each) ? best : each), null);
  const room = widest ? inside(widest) : 0;
  const beside = Math.min(free, frame.right - 4 * unit) - outside - 6 * unit;
  const length = timelineDuration(several && widest ? widest.length : whole);
  const [words, more] = named ? [label, length] : [length, timelineGist(bar)];
  const fits = text.width(words);
  const within = fits <= room || (room > 70 * unit && room >= beside);
  const shapes = [];
  for (const piece of several ? rooms : []) {
    const own = timelineDuration(piece.length);
    if (!(within && piece === widest) && text.width(own) <= inside(piece)) shapes.push(timelineText("dd-tl-on", piece.begin, baseline, own));
  }
  if (within) {
    shapes.push(timelineText("dd-tl-on", widest.begin, baseline, text.fit(words, room)));
    const rest = more && room - fits > 80 * unit ? text.fit(more, room - fits - 8 * unit) : "";
    if (rest) shapes.push(timelineText("dd-tl-on", widest.begin + fits + 8 * unit, baseline, rest));
    return shapes;
  }
  const behind = named ? label : timelineDuration(whole);
  if (outside < frame.left || (text.width(behind) > beside && beside < 90 * unit)) return shapes;
  return [...shapes, timelineText("dd-tl-beside", outside, baseline, text.fit(behind, beside))];
}

/** Bars too small to be told apart. */
export function timelineCrowdBar(items, frame, x, end, y, height) {
  const tones = new Set(items.map(({ bar }) => timelineTone(bar)));
  const look = tones.size === 1 ? [...tones][0] : "mixed";
  const width = Math.max(TIMELINE_SMALLEST, end - x);
  const shapes = timelineBlock(look, frame, x, y, width, height);
  const left = Math.max(x, frame.left);
  const words = `${items.length}\u00d7`;
  if (Math.min(end, frame.right) - left > frame.text.width(words) + 12 * frame.unit) shapes.push(timelineText("dd-tl-on", left + 6 * frame.unit, y + 4 * frame.unit, words));
  if (tones.has("failed")) shapes.push(...timelineBadge("failed", frame, x + width / 2, y - height / 2));
  return shapes;
}

/** A mark with its middle at (x, y). */
export function timelineMark(bar, frame, x, y) {
  const r = 6.5 * frame.unit;
  const at = (dx, dy) => `${timelinePixel(x + dx * r)} ${timelinePixel(y + dy * r)}`;
  const path = (look, ...points) => timelineShape("path", { class: `dd-tl-mark ${look}`, d: `M${points.join("L")}Z` });
  if (bar.kind === "signal") return [path("dd-tl-signal", at(0, -1.1), at(1.1, 0), at(0, 1.1), at(-1.1, 0))];
  if (bar.kind === "update") {
    const shapes = [path("dd-tl-update", at(0, -1.1), at(1.1, 0.9), at(-1.1, 0.9))];
    return timelineTone(bar) === "failed" ? [...shapes, ...timelineBadge("failed", frame, x + 1.1 * r, y - 0.5 * r)] : shapes;
  }
  const circle = (look) => timelineShape("circle", { class: `dd-tl-mark ${look}`, cx: timelinePixel(x), cy: timelinePixel(y), r: timelinePixel(r) });
  if (bar.kind === "problem") return [circle("dd-tl-problem"), timelineText("dd-tl-on dd-tl-middle", x, y + 4 * frame.unit, "!")];
  return [circle("dd-tl-other")];
}

/** The looks of all that there is. */
function timelinePresent({ layout, live }) {
  const looks = new Set(live ? ["now"] : []);
  for (const { bar, mark } of layout.items) {
    if (mark || bar.kind === "gap" || bar.kind === "seam") looks.add(bar.kind);
    else {
      for (const look of timelineLooks(bar)) looks.add(look);
      if (bar.attempt > 1) looks.add("again");
    }
    const tone = timelineTone(bar);
    if (tone !== "live" && tone !== "done" && bar.kind !== "problem" && bar.kind !== "gap") looks.add(tone);
  }
  return looks;
}

/** An example of each look that there is, `[name, shapes]`, in a box of 26 by 14 units. */
export function timelineLegend(frame) {
  const present = timelinePresent(frame);
  const { unit } = frame;
  const [width, height, y] = [24 * unit, 12 * unit, 7 * unit];
  const block = (look, symbol) => [
    ...timelineBlock(look, frame, 1, y, width, height),
    ...(symbol ? [timelineSymbol(look, "dd-tl-on", 17 * unit, y, 8 * unit)] : []),
  ];
  const mark = (kind) => timelineMark({ kind, state: "", start: 0, end: 0 }, frame, 13 * unit, y);
  const rule = (look) => [timelineShape("line", { class: look, x1: 13 * unit, x2: 13 * unit, y1: 0, y2: 14 * unit })];
  return [
    ["queued", "queued", block("queued")],
    ["live", "running", block("live", true)],
    ["again", "attempt 2", [...block("live"), timelineText("dd-tl-attempt", 10 * unit, y + 4 * unit, "2")]],
    ["backoff", "back-off", block("backoff")],
    ["earlier", "earlier attempts", block("earlier")],
    ["done", "completed", block("done", true)],
    ["failed", "failed", block("failed", true)],
    ["late", "timed out", block("late", true)],
    ["off", "canceled", block("off", true)],
    ["signal", "Signal", mark("signal")],
    ["update", "Update", mark("update")],
    ["problem", "problem", mark("problem")],
    ["gap", "no Worker", [timelineRect("dd-tl-gap", 1, 0, width, 14 * unit, { fill: `url(#${frame.id}-gap)` })]],
    ["seam", "next run", rule("dd-tl-seam")],
    ["now", "now", rule("dd-tl-now")],
  ].flatMap(([look, name, shapes]) => (present.has(look) ? [[name, shapes]] : []));
}
