// The timeline in words: a table for those who cannot see the picture, and for those who want to copy from it.
import { focusable, h, setText } from "./dom.js";
import { timelineDuration } from "./timeline_time.js";
import { timelineDate, timelineKind, timelineLabel, timelineState } from "./timeline_words.js";

const TIMELINE_TABLE_ROWS = 200;
const TIMELINE_COLUMNS = ["Lane", "What", "Start", "Duration", "State", "Attempts", "Error"];

/** `onToggle` is called when it is opened or closed. */
export function createTimelineTable(onToggle) {
  const caption = h("caption", {});
  const head = h("thead", {}, h("tr", {}, ...TIMELINE_COLUMNS.map((name) => h("th", { scope: "col" }, name))));
  const body = h("tbody", {});
  const frame = focusable("div", { class: "dd-tl-table", role: "region", "aria-label": "Timeline as table", tabindex: 0 }, h("table", {}, caption, head, body));
  const el = h("details", { class: "dd-tl-words", ontoggle: onToggle }, focusable("summary", {}, "Show as table"), frame);
  let rows = new Map();
  const written = new WeakMap();

  function words({ bar }, now) {
    const length = bar.end === bar.start ? "" : timelineDuration((bar.end ?? now) - bar.start);
    return [bar.lane, timelineLabel(bar), timelineDate(bar.start), bar.end === null ? `${length} so far` : length, timelineState(bar) || timelineKind(bar), bar.attempt > 0 ? `${bar.attempt}` : "", bar.error];
  }

  function draw({ items }, now) {
    if (!el.open) return;
    const shown = items.slice(-TIMELINE_TABLE_ROWS);
    setText(caption, shown.length < items.length ? `The newest ${shown.length} of ${items.length}` : `All ${items.length}`);
    const kept = new Map(shown.map(({ number }) => [number, rows.get(number) ?? h("tr", {}, ...TIMELINE_COLUMNS.map(() => h("td", {})))]));
    for (const [number, row] of rows) if (!kept.has(number)) row.remove();
    rows = kept;
    let place = body.firstChild;
    for (const item of shown) {
      const row = rows.get(item.number);
      if (row === place) place = place.nextSibling;
      else body.insertBefore(row, place);
      // What has ended is written once.
      if (written.get(row) === item.bar && item.bar.end !== null) continue;
      written.set(row, item.bar);
      words(item, now).forEach((text, column) => setText(row.children[column], text));
    }
  }

  return { el, draw };
}
