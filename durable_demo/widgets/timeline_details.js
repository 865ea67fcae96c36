// What is known of one bar, in a place of its own: it stays when the mouse moves on, and can be read and copied.
import { focusable, h, setAttribute, setText } from "./dom.js";
import { timelineDuration } from "./timeline_time.js";
import { timelineCrowd, timelineDate, timelineKind, timelineLabel, timelinePart, timelineSaid, timelineState, timelineTone } from "./timeline_words.js";

const TIMELINE_HINT = "Point at a bar, or focus the chart and press Up or Down: its attempts, input, result and error are shown here. Click or Enter pins them.";

/** `unpin` is called when the reader lets the pinned bar go. */
export function createTimelineDetails(unpin) {
  const hint = h("p", { class: "dd-tl-hint" }, TIMELINE_HINT);
  const title = h("strong", { class: "dd-tl-title" });
  const state = h("span", { class: "dd-tl-state" });
  const kind = h("span", { class: "dd-tl-kind" });
  const release = focusable("button", { type: "button", class: "dd-button dd-plain dd-tl-unpin", hidden: true, onclick: unpin }, "Unpin");
  const times = h("p", { class: "dd-tl-times" });
  const parts = h("ol", { class: "dd-tl-parts" });
  const texts = ["Input", "Result", "Error"].map((name) => {
    const text = h("pre", {});
    return { name: name.toLowerCase(), text, el: h("div", { class: `dd-tl-text dd-tl-text-${name.toLowerCase()}` }, h("span", { class: "dd-label" }, name), text) };
  });
  const content = h(
    "div",
    { class: "dd-tl-about", hidden: true },
    h("div", { class: "dd-tl-heading" }, title, state, kind, release),
    times,
    h("div", { class: "dd-tl-columns" }, parts, ...texts.map((text) => text.el)),
  );
  const el = focusable("div", { class: "dd-tl-details", role: "region", "aria-label": "Details", tabindex: 0 }, hint, content);

  let items = [];
  let pinned = null;
  let drawnParts = "";

  /** Brings the words up to date: an open bar grows, and an item may have been replaced by a newer one. */
  function draw(layout, now) {
    if (layout) items = items.flatMap(({ number }) => layout.known.get(number) ?? []);
    hint.hidden = items.length > 0;
    content.hidden = items.length === 0;
    if (items.length === 1) drawOne(items[0].bar, now);
    else if (items.length > 1) drawMany(now);
  }

  function drawOne(bar, now) {
    const end = bar.end ?? now;
    setText(title, timelineLabel(bar));
    setText(state, timelineState(bar));
    setAttribute(state, "data-tone", timelineTone(bar));
    setText(kind, [timelineKind(bar), bar.lane, bar.attempt > 1 ? `attempt ${bar.attempt}` : ""].filter((word, place, words) => word && words.indexOf(word) === place && !timelineSaid(bar, word)).join(" \u00b7 "));
    setText(times, bar.end === bar.start ? timelineDate(bar.start) : `${timelineDate(bar.start)} \u2013 ${bar.end === null ? "now" : timelineDate(bar.end).slice(11)}  (${timelineDuration(end - bar.start)})`);
    drawParts(bar.parts.map((part) => timelinePart(part, now)));
    for (const { name, text, el: box } of texts) {
      setText(text, bar[name]);
      box.hidden = !bar[name];
    }
  }

  function drawMany(now) {
    const { count, states, start, end } = timelineCrowd(items, now);
    setText(title, `${count} together`);
    setText(state, "");
    setText(kind, items[0].bar.lane);
    setText(times, `${timelineDate(start)} \u2013 ${timelineDate(end).slice(11)}  (${timelineDuration(end - start)}): ${states || "marks"}. Zoom in (double click) to tell them apart.`);
    drawParts([]);
    for (const { el: box } of texts) box.hidden = true;
  }

  function drawParts(lines) {
    // What grows is only a text in the last one: rebuilding would take a selection away.
    const shape = JSON.stringify(lines.map(({ name, times: when, note }) => [name, when, note]));
    if (shape !== drawnParts) {
      drawnParts = shape;
      parts.replaceChildren(
        ...lines.map(({ name, times: when, note, hint: remark }) =>
          h(
            "li",
            {},
            h("span", { class: "dd-tl-part-name" }, name),
            h("span", {}, when),
            h("span", { class: "dd-tl-part-length" }),
            ...(note ? [h("span", { class: "dd-tl-part-note" }, note)] : []),
            ...(remark ? [h("span", { class: "dd-tl-part-hint" }, remark)] : []),
          ),
        ),
      );
    }
    parts.hidden = lines.length === 0;
    lines.forEach(({ length }, place) => setText(parts.children[place].querySelector(".dd-tl-part-length"), length));
  }

  return {
    el,
    draw,
    look(found) {
      if (pinned === null) items = found;
    },
    pin(item) {
      pinned = item;
      if (item) items = [item];
      release.hidden = item === null;
      el.classList.toggle("dd-tl-pinned", item !== null);
    },
  };
}
