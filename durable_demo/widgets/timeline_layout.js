// Which bar stands where: lanes in the order in which they appeared, and in a lane a row for each bar that overlaps others.

const TIMELINE_MARKS = new Set(["signal", "update", "problem", "workflow"]);

/** Places the rows of a channel; remembers the order of its lanes. */
export function createTimelineLayout() {
  let names = [];

  /**
   * Returns `{items, known, lanes, gaps, seams, begin, end}`.
   *
   * `items` are in time order, `known` has them by their numbers. An item is `{number, bar, mark}`. A lane is `{name, rows, marks}`: `rows` are lists of items that do not overlap, in
   * time order. `end` is the last moment that is known of.
   */
  function arrange(rows) {
    const items = rows.map(([number, bar]) => ({ number, bar, mark: bar.end === bar.start && TIMELINE_MARKS.has(bar.kind) }));
    const named = new Set(names);
    for (const { bar } of items) {
      if (bar.kind === "gap" || bar.kind === "seam" || named.has(bar.lane)) continue;
      named.add(bar.lane);
      names.push(bar.lane);
    }
    const known = new Map(items.map((item) => [item.number, item]));
    items.sort((one, other) => one.bar.start - other.bar.start || one.number - other.number);
    const lanes = new Map(names.map((name) => [name, { name, rows: [], marks: [], ends: [] }]));
    const gaps = [];
    const seams = [];
    let end = -Infinity;
    for (const item of items) {
      const { bar, mark } = item;
      end = Math.max(end, bar.start, bar.end ?? -Infinity);
      if (bar.kind === "gap") gaps.push(item);
      else if (bar.kind === "seam") seams.push(item);
      else if (mark) lanes.get(bar.lane).marks.push(item);
      else timelineStack(lanes.get(bar.lane), item);
    }
    const used = [...lanes.values()].filter((lane) => lane.rows.length > 0 || lane.marks.length > 0);
    return { items, known, lanes: used, gaps, seams, begin: items[0]?.bar.start ?? Infinity, end };
  }

  return { arrange, restart: () => (names = []) };
}

/** Into the first row that is free: later bars never move it, as what they need to know is when earlier ones ended. */
function timelineStack(lane, item) {
  const { start, end } = item.bar;
  let row = lane.ends.findIndex((taken) => taken <= start);
  if (row < 0) row = lane.rows.push([]) - 1;
  lane.rows[row].push(item);
  // Bars of no length at one moment stand below each other too.
  lane.ends[row] = end === null ? Infinity : Math.max(end, start + 1);
}
