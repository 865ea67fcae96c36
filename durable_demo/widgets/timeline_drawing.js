// The whole picture as shapes: axis, lanes, and in them what is in view. The page and the SVG file are painted from it.
import { calendar } from "./dom.js";
import { timelineBar, timelineCrowdBar, timelineMark, timelinePatterns, timelinePixel, timelineText } from "./timeline_bars.js";
import { timelineShape } from "./timeline_paint.js";
import { timelineDuration, timelineTicks } from "./timeline_time.js";
import { timelineLabel, timelineSentence } from "./timeline_words.js";

const TIMELINE_TINY = 3;
const TIMELINE_CROWDED = 11;

/**
 * Where things stand in a picture `width` pixels wide that shows the time `from` to `to`.
 *
 * `unit` is the size of a pixel at the usual text size, `id` begins the ids of its patterns and items, `view` the
 * `top` and `bottom` of what need be drawn, `current` and `chosen` the numbers of items to be stressed.
 */
export function timelineFrame({ layout, width, from, to, now, live, unit, text, id, view, current = null, chosen = null }) {
  // Where it is narrow, names stand above their bars.
  const narrow = width < 520 * unit;
  const left = narrow ? 0 : Math.round((width > 1_000 * unit ? 180 : 140) * unit);
  const head = narrow ? 20 * unit : 0;
  const scale = (width - left) / (to - from);
  let top = 6 * unit;
  const lanes = layout.lanes.map((lane) => {
    const placed = { ...lane, top, height: head + (12 + 26 * Math.max(1, lane.rows.length)) * unit };
    top += placed.height;
    return placed;
  });
  return {
    ...{ layout, lanes, from, to, now, live, unit, text, id, left, head, right: width, view, current, chosen },
    height: top + 6 * unit,
    axisHeight: Math.round(46 * unit),
    x: (moment) => left + (moment - from) * scale,
    optionId: (number) => `${id}-${number}`,
  };
}

/** The axis above the lanes, with what belongs to all lanes at once. */
export function timelineAxis(frame) {
  const { unit, left, right, axisHeight, text } = frame;
  const [ticksY, stripY] = [17 * unit, 38 * unit];
  const shapes = [timelineShape("rect", { class: "dd-tl-corner", x: 0, y: 0, width: left, height: axisHeight })];
  const date = calendar(frame.from).slice(0, 10);
  shapes.push(timelineText("dd-tl-tick", 10 * unit, ticksY, date));
  const first = Math.max(left + 2, 18 * unit + text.width(date));
  for (const { at, label, day } of timelineTicks(frame.from, frame.to, right - left, text.width)) {
    const x = frame.x(at);
    shapes.push(timelineShape("line", { class: "dd-tl-grid", x1: timelinePixel(x), x2: timelinePixel(x), y1: 22 * unit, y2: axisHeight }));
    // A label that the border would cut, or that the date is in the way of, is left out.
    const half = text.width(label) / 2;
    if (x - half < first || x + half > right - 2) continue;
    shapes.push(timelineText(`dd-tl-tick dd-tl-middle${day ? " dd-tl-day" : ""}`, x, ticksY, label));
  }
  shapes.push(...timelineStrip(frame, stripY));
  shapes.push(timelineShape("line", { class: "dd-tl-border", x1: 0, x2: right, y1: axisHeight - 0.5, y2: axisHeight - 0.5 }));
  return shapes;
}

/** Names of gaps and seams, as far as there is room for them, and of the live end. */
function timelineStrip(frame, y) {
  const { unit, text, left, right } = frame;
  const shapes = [];
  let limit = right - 4 * unit;
  if (frame.live) {
    const x = frame.x(frame.now);
    if (x >= left && x <= right) {
      const half = text.width("now") / 2;
      const middle = Math.min(x, right - half - 4 * unit);
      shapes.push(timelineText("dd-tl-strip dd-tl-now-word dd-tl-middle", middle, y, "now"));
      limit = middle - half - 8 * unit;
    }
  }
  const named = [...frame.layout.gaps, ...frame.layout.seams].sort((one, other) => one.bar.start - other.bar.start);
  const shown = named.filter(({ bar }) => frame.x(bar.end ?? frame.now) >= left && frame.x(bar.start) <= right);
  const rim = 5 * unit;
  let taken = left;
  shown.forEach(({ bar }, place) => {
    const isGap = bar.kind === "gap";
    const start = Math.max(frame.x(bar.start), left);
    const words = isGap ? `${timelineLabel(bar)} ${timelineDuration((bar.end ?? frame.now) - bar.start)}` : timelineLabel(bar);
    const wide = text.width(words) + 2 * rim;
    const next = shown[place + 1] ? Math.max(frame.x(shown[place + 1].bar.start), start) : limit;
    const after = Math.max(taken, start + (isGap ? 0 : rim));
    // A seam is a line: its name may stand on either side of it.
    const before = !isGap && start - taken >= wide && Math.min(next, limit) - after < wide;
    const x = before ? start - wide + rim : after;
    const cut = x - start > 3 * rim ? "" : text.fit(words, Math.min(next - rim, limit) - x);
    if (cut) shapes.push(timelineText("dd-tl-strip", x, y, cut));
    taken = Math.max(taken, x + text.width(cut) + 2 * rim);
  });
  return shapes;
}

/**
 * The lanes and what is in them: `{shapes, hits}`.
 *
 * A hit is where something is: `{x1, x2, y1, y2, items}`; those that come later lie above.
 */
export function timelineBody(frame, height) {
  const { left, right, unit, head } = frame;
  const hits = [];
  const behind = frame.layout.gaps.map((item) => timelineGap(item, frame, height, hits)).filter(Boolean);
  const seams = frame.layout.seams.map((item) => timelineSeam(item, frame, height, hits)).filter(Boolean);
  const inView = frame.lanes.filter((lane) => lane.top + lane.height >= frame.view.top && lane.top <= frame.view.bottom);
  const things = inView.flatMap((lane) => timelineLane(lane, frame, hits));
  const still = (shapes, key) => timelineShape("g", { "aria-hidden": "true" }, shapes, key);
  const grid = timelineTicks(frame.from, frame.to, right - left, frame.text.width).map(({ at }) => {
    const x = timelinePixel(frame.x(at));
    return timelineShape("line", { class: "dd-tl-grid", x1: x, x2: x, y1: 0, y2: height });
  });
  const room = head > 0 ? right : left;
  const names = inView.flatMap((lane) => [
    ...(head > 0 ? [timelineShape("rect", { class: "dd-tl-corner", x: 0, y: lane.top, width: right, height: head })] : []),
    timelineText("dd-tl-lane", 10 * unit, lane.top + (head > 0 ? 14 : 23) * unit, frame.text.fit(lane.name, room - 18 * unit)),
    timelineShape("line", { class: "dd-tl-border", x1: 0, x2: right, y1: lane.top + lane.height - 0.5, y2: lane.top + lane.height - 0.5 }),
    timelineShape("rect", { class: "dd-tl-hover", x: 0, y: lane.top, width: room, height: head || lane.height }, [timelineShape("title", {}, lane.name)]),
  ]);
  const now = frame.x(frame.now);
  const edge = frame.live && now >= left && now <= right ? [timelineShape("line", { class: "dd-tl-now", x1: timelinePixel(now), x2: timelinePixel(now), y1: 0, y2: height })] : [];
  const shapes = [
    timelinePatterns(frame),
    still(grid, "grid"),
    timelineShape("g", { role: "presentation" }, [...behind, ...seams], "bands"),
    still(edge, "edge"),
    timelineShape("g", { role: "presentation" }, things, "things"),
    still([timelineShape("rect", { class: "dd-tl-corner", x: 0, y: 0, width: left, height }), ...names, timelineShape("line", { class: "dd-tl-border", x1: left - 0.5, x2: left - 0.5, y1: 0, y2: height })], "names"),
  ];
  return { shapes, hits };
}

/** One or more items as one thing to look at, to point at and to hear of. */
function timelineThing(items, frame, box, shapes, hits) {
  const [{ number, bar }] = items;
  hits.push({ ...box, items });
  const stressed = items.length === 1 && (number === frame.current || number === frame.chosen);
  const { x1, x2, y1, y2 } = box;
  const ring = { class: number === frame.chosen ? "dd-tl-ring dd-tl-chosen" : "dd-tl-ring", rx: 4 * frame.unit };
  const around = { x: timelinePixel(x1 - 3), y: timelinePixel(y1 - 3), width: timelinePixel(x2 - x1 + 6), height: timelinePixel(y2 - y1 + 6) };
  return timelineShape(
    "g",
    {
      id: frame.optionId(number),
      role: "option",
      "aria-selected": String(number === frame.chosen),
      "aria-label": items.length === 1 ? timelineSentence(bar) : `${items.length} together, first ${timelineSentence(bar)}`,
    },
    stressed ? [...shapes, timelineShape("rect", { ...ring, ...around })] : shapes,
    `${number}`,
  );
}

function timelineGap(item, frame, height, hits) {
  const { bar } = item;
  const [start, stop] = [frame.x(bar.start), frame.x(bar.end ?? frame.now)];
  if (stop < frame.left || start > frame.right) return null;
  const x1 = Math.max(frame.left - 4, start);
  const x2 = Math.max(x1 + 2, Math.min(frame.right + 4, stop));
  const ink = { class: "dd-tl-gap", x: timelinePixel(x1), y: -2, width: timelinePixel(x2 - x1), height: height + 4, fill: `url(#${frame.id}-gap)` };
  return timelineThing([item], frame, { x1, x2, y1: 0, y2: height }, [timelineShape("rect", ink)], hits);
}

function timelineSeam(item, frame, height, hits) {
  const x = frame.x(item.bar.start);
  if (x < frame.left || x > frame.right) return null;
  const line = timelineShape("line", { class: "dd-tl-seam", x1: timelinePixel(x), x2: timelinePixel(x), y1: 0, y2: height });
  return timelineThing([item], frame, { x1: x - 2, x2: x + 2, y1: 0, y2: height }, [line], hits);
}

function timelineLane(lane, frame, hits) {
  const { unit } = frame;
  const rowY = (row) => lane.top + frame.head + (19 + 26 * row) * unit;
  const bars = lane.rows.flatMap((items, row) => (rowY(row) + 20 * unit < frame.view.top || rowY(row) - 20 * unit > frame.view.bottom ? [] : timelineRow(items, frame, rowY(row), hits)));
  return [...bars, ...timelineMarks(lane, frame, rowY(0), hits)];
}

/** Neighbours that would be less than a pixel apart become one. */
function timelineRow(items, frame, y, hits) {
  const height = 18 * frame.unit;
  const groups = [];
  for (const item of items) {
    const x = frame.x(item.bar.start);
    const end = frame.x(item.bar.end ?? frame.now);
    if (end < frame.left - 20) continue;
    if (x > frame.right + 20) {
      groups.push({ x, end, items: [], after: true });
      break;
    }
    const last = groups.at(-1);
    const tiny = end - x < TIMELINE_TINY && item.number !== frame.current && item.number !== frame.chosen;
    if (tiny && last?.tiny && x - last.end < 1) {
      last.items.push(item);
      last.end = Math.max(last.end, end);
    } else groups.push({ x, end, items: [item], tiny });
  }
  return groups.flatMap(({ x, end, items: together, after }, place) => {
    if (after) return [];
    const free = groups[place + 1]?.x ?? Infinity;
    if (together.length > 1) {
      const shapes = timelineCrowdBar(together, frame, x, end, y, height);
      return [timelineThing(together, frame, timelineBox(x, end, y, height), shapes, hits)];
    }
    const { shapes, from, to } = timelineBar(together[0], frame, y, height, free);
    return [timelineThing(together, frame, timelineBox(Math.max(from, frame.left - 20), Math.min(to, frame.right + 20), y, height), shapes, hits)];
  });
}

const timelineBox = (x1, x2, y, height) => ({ x1, x2, y1: y - height / 2, y2: y + height / 2 });

/** Marks that would cover each other become one with their number. */
function timelineMarks({ marks, rows }, frame, y, hits) {
  const { unit, text } = frame;
  const groups = [];
  for (const item of marks) {
    const x = frame.x(item.bar.start);
    if (x < frame.left - 10 || x > frame.right + 10) continue;
    const last = groups.at(-1);
    const apart = item.number === frame.current || item.number === frame.chosen;
    if (last && !apart && !last.apart && x - last.x < TIMELINE_CROWDED * unit) last.items.push(item);
    else groups.push({ x, items: [item], apart });
  }
  return groups.map(({ x, items: together }, place) => {
    const kinds = new Set(together.map(({ bar }) => bar.kind));
    const [{ bar }] = together;
    const shapes = timelineMark(kinds.size === 1 ? bar : { ...bar, kind: "" }, frame, x, y);
    const room = Math.min(frame.right, groups[place + 1]?.x ?? Infinity) - x - 22 * unit;
    const words = together.length > 1 ? `${together.length}\u00d7` : timelineLabel(bar);
    const cut = rows.length === 0 && (text.width(words) <= room || room > 60 * unit) ? text.fit(words, room) : "";
    if (cut && x >= frame.left) shapes.push(timelineText("dd-tl-beside", x + 11 * unit, y + 4 * unit, cut));
    return timelineThing(together, frame, timelineBox(x - 8 * unit, x + 8 * unit, y, 16 * unit), shapes, hits);
  });
}
