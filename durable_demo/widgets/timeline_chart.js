// The picture on the page: it grows with the clock, and mouse, fingers and keys move through it.
import { focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { timelineAxis, timelineBody, timelineFrame } from "./timeline_drawing.js";
import { createTimelineLayout } from "./timeline_layout.js";
import { createTimelineCanvas, createTimelineText, timelineSvg } from "./timeline_paint.js";
import { createTimelineWindow } from "./timeline_window.js";

const TIMELINE_TICK_MS = 100;
const TIMELINE_STILL_TICK_MS = 1_000;
const TIMELINE_ZOOM = 1.6;
const TIMELINE_PAN = 0.15;
const TIMELINE_NEAR_PX = 5;
const TIMELINE_DRAG_PX = 4;
const TIMELINE_HELP = "Up and Down go from bar to bar, Enter pins its details, Escape unpins; + and - zoom, 0 shows all; Left and Right pan, Home and End go to the begin and the end";

/**
 * The chart of the channel `timeline`.
 *
 * `onLook(items)` is called with what the reader points at or has moved to, `onChoose(item)` with what is pinned, or null;
 * `onDraw(layout, now)` after each drawing.
 */
export function createTimelineChart(timeline, { onLook, onChoose, onDraw }) {
  const id = uniqueId("timeline");
  const axis = timelineSvg();
  const body = timelineSvg();
  for (const svg of [axis, body]) svg.setAttribute("role", "presentation");
  axis.setAttribute("class", "dd-tl-axis");
  axis.setAttribute("aria-hidden", "true");
  body.setAttribute("class", "dd-tl-lanes");
  const el = focusable(
    "div",
    { class: "dd-tl-chart", role: "listbox", tabindex: 0, "aria-label": "Timeline", "aria-describedby": `${id}-help`, onkeydown: onKey, onscroll: () => schedule() },
    axis,
    body,
  );
  const help = h("p", { class: "dd-tl-help", id: `${id}-help` }, TIMELINE_HELP, ". Ctrl and the wheel zooms.");
  const paintAxis = createTimelineCanvas(axis);
  const paintBody = createTimelineCanvas(body);
  const layouts = createTimelineLayout();
  const win = createTimelineWindow();
  const stillness = matchMedia("(prefers-reduced-motion: reduce)");

  let layout = layouts.arrange([]);
  let workflow = "";
  let stale = true;
  let frame = null;
  let hits = [];
  let text = null;
  let font = "";
  let current = null;
  let chosen = null;
  let tallest = 0;
  let visible = false;
  let lost = false;
  let request = 0;
  let timer = 0;

  // --- clock ---------------------------------------------------------------------------------------------------------

  // The kernel's clock less this page's: a message that took long would set it back, so the quickest one counts.
  let skew = -Infinity;
  let heard = null;
  let frozen = null;

  function hear() {
    const { now } = timeline.summary;
    if (now === null || now === heard) return;
    heard = now;
    skew = Math.max(skew, now - performance.now());
  }

  const moving = () => timeline.active && !lost && timeline.summary.connected && Number.isFinite(skew);

  function present() {
    const { summary } = timeline;
    if (!timeline.active) return Math.max(summary.end ?? summary.now ?? -Infinity, layout.end);
    // Nobody knows what happens while the kernel or the server is away: nothing grows then.
    if (moving()) frozen = skew + performance.now();
    return Math.max(frozen ?? summary.now ?? -Infinity, layout.end);
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  function schedule() {
    if (visible) request ||= requestAnimationFrame(draw);
  }

  function tick() {
    clearTimeout(timer);
    if (!visible || !moving()) return;
    // Where half a pixel is long, there is less to see than the clock would make us draw.
    const seen = (frame.to - frame.from) / (frame.right - frame.left) / 2;
    const quick = Math.min(TIMELINE_STILL_TICK_MS, Math.max(TIMELINE_TICK_MS, seen));
    timer = setTimeout(schedule, stillness.matches ? TIMELINE_STILL_TICK_MS : quick);
  }

  function renew() {
    // Rows that come anew are most often those of the same workflow, after a message was lost: the reader stays where he is.
    if (workflow !== timeline.summary.workflow_id) {
      workflow = timeline.summary.workflow_id;
      layouts.restart();
      win.restart();
      frozen = current = null;
      tallest = 0;
      choose(null);
      onLook([]);
    }
    if (!stale) return;
    stale = false;
    layout = layouts.arrange(timeline.rows);
    if (current !== null && !itemOf(current)) current = null;
    if (chosen !== null && !itemOf(chosen)) choose(null);
  }

  function measure() {
    const style = getComputedStyle(el);
    const unit = parseFloat(style.fontSize) / 14;
    const wanted = `${12 * unit}px ${style.getPropertyValue("--dd-mono")}`;
    if (wanted !== font) {
      font = wanted;
      text = createTimelineText(font);
    }
    return unit;
  }

  /** What is known of the whole picture, for `timelineFrame`. */
  function picture() {
    const now = present();
    const begin = Math.min(timeline.summary.start ?? Infinity, layout.begin);
    return { layout, begin: Number.isFinite(begin) ? begin : now, now, live: timeline.active, unit: measure(), text };
  }

  function draw() {
    request = 0;
    if (!visible || el.clientWidth === 0) return;
    renew();
    const { begin, ...known } = picture();
    win.bound(begin, Math.max(known.now, begin), known.live);
    const view = { top: el.scrollTop - 60, bottom: el.scrollTop + el.clientHeight + 60 };
    frame = timelineFrame({ ...known, width: el.clientWidth, ...win.current(), id, view, current, chosen });
    // It never gets lower, so that what is below it does not go up and down.
    tallest = Math.max(tallest, Math.ceil(frame.axisHeight + frame.height) + el.offsetHeight - el.clientHeight);
    el.style.setProperty("--dd-tl-height", `${tallest}px`);
    const height = Math.max(frame.height, el.clientHeight - frame.axisHeight);
    setAttribute(axis, "height", frame.axisHeight);
    setAttribute(body, "height", height);
    for (const svg of [axis, body]) setAttribute(svg, "width", frame.right);
    const drawn = timelineBody(frame, height);
    hits = drawn.hits;
    paintAxis(timelineAxis(frame));
    paintBody(drawn.shapes);
    const shown = current !== null && hits.some(({ items }) => items.length === 1 && items[0].number === current);
    setAttribute(el, "aria-activedescendant", shown ? frame.optionId(current) : null);
    onDraw(layout, frame.now);
    tick();
  }

  // --- one bar -------------------------------------------------------------------------------------------------------

  const itemOf = (number) => layout.known.get(number);

  function choose(number) {
    chosen = number;
    onChoose(number === null ? null : itemOf(number));
    schedule();
  }

  /** To the bar so many places further on in time. */
  function step(by) {
    const { items } = layout;
    if (items.length === 0) return;
    const here = items.findIndex((item) => item.number === current);
    // From nowhere it begins with what is in view: the newest, or going forwards the oldest.
    const { from, to } = win.current();
    const seen = items.flatMap(({ bar }, place) => (bar.start <= to && (bar.end ?? Infinity) >= from ? [place] : []));
    const start = by > 0 ? (seen[0] ?? 0) : (seen.at(-1) ?? items.length - 1);
    goTo(items[here < 0 ? start : Math.min(items.length - 1, Math.max(0, here + by))]);
  }

  function goTo(item) {
    current = item.number;
    win.reveal(item.bar.start, item.bar.end ?? present());
    const lane = frame.lanes.find(({ name }) => name === item.bar.lane);
    if (lane) {
      const row = Math.max(0, lane.rows.findIndex((items) => items.includes(item)));
      const middle = lane.top + frame.head + (19 + 26 * row) * frame.unit;
      const room = el.clientHeight - frame.axisHeight;
      const rim = 19 * frame.unit;
      el.scrollTop = Math.min(middle - rim, Math.max(middle + rim - room, el.scrollTop));
    }
    onLook([item]);
    schedule();
  }

  /** What is at or close to this point of the page: the nearest of what lies above. */
  function pick(event) {
    const box = body.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (frame === null || x < frame.left || y < 0) return null;
    let found = null;
    let distance = TIMELINE_NEAR_PX;
    for (const hit of hits) {
      const away = Math.max(hit.x1 - x, x - hit.x2, hit.y1 - y, y - hit.y2, 0);
      if (away <= distance) [found, distance] = [hit, away];
    }
    return found;
  }

  // --- keys ----------------------------------------------------------------------------------------------------------

  /** Zooming by keys or buttons goes to the bar that the reader is at, unless the live end is followed. */
  function zoom(factor) {
    const { from, to } = win.current();
    const start = win.following && timeline.active ? null : itemOf(current)?.bar.start;
    win.zoom(factor, start >= from && start <= to ? start : null);
  }

  const KEYS = {
    ArrowUp: () => step(-1),
    ArrowDown: () => step(1),
    "[": () => step(-1),
    "]": () => step(1),
    ArrowLeft: () => win.pan(-TIMELINE_PAN),
    ArrowRight: () => win.pan(TIMELINE_PAN),
    "+": () => zoom(1 / TIMELINE_ZOOM),
    "=": () => zoom(1 / TIMELINE_ZOOM),
    "-": () => zoom(TIMELINE_ZOOM),
    0: () => win.fit(),
    Home: () => win.toBegin(),
    End: () => win.follow(),
    Enter: () => current !== null && choose(current),
    " ": () => current !== null && choose(current),
    Escape: () => choose(null),
  };

  function onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
    schedule();
  }

  // --- mouse and fingers ---------------------------------------------------------------------------------------------

  const momentAt = (clientX) => frame.from + ((clientX - body.getBoundingClientRect().left - frame.left) / (frame.right - frame.left)) * (frame.to - frame.from);

  function zoomAt(factor, clientX) {
    win.zoom(factor, momentAt(clientX));
    schedule();
  }

  function onWheel(event) {
    if (frame === null) return;
    const pixels = event.deltaMode === 1 ? 16 : 1;
    if (event.ctrlKey || event.metaKey) zoomAt(Math.exp(Math.min(1, Math.max(-1, (event.deltaY * pixels) / 150))), event.clientX);
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      win.pan((event.deltaX * pixels) / (frame.right - frame.left));
      schedule();
    } else return; // the page scrolls
    event.preventDefault();
  }

  const pointers = new Map();
  let dragged = false;

  function onDown(event) {
    if (event.button !== 0 || frame === null) return;
    if (pointers.size === 0) dragged = false;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  }

  function onMove(event) {
    const before = pointers.get(event.pointerId);
    if (before === undefined) {
      const hit = pick(event);
      el.classList.toggle("dd-tl-pointing", hit !== null);
      if (hit && chosen === null) onLook(hit.items);
      return;
    }
    const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
    if (!dragged && Math.hypot(dx, dy) < TIMELINE_DRAG_PX) return;
    if (!dragged) {
      dragged = true;
      // Not before: a captured pointer would take the click from what is under it.
      for (const pointer of pointers.keys()) event.currentTarget.setPointerCapture(pointer);
      el.classList.add("dd-tl-dragging");
    }
    const others = [...pointers].filter(([pointer]) => pointer !== event.pointerId);
    if (others.length === 1) {
      const [[, other]] = others;
      zoomAt(Math.max(20, Math.abs(before.x - other.x)) / Math.max(20, Math.abs(event.clientX - other.x)), other.x);
    } else {
      win.pan(-dx / (frame.right - frame.left));
      el.scrollTop -= dy;
    }
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    schedule();
  }

  function onUp(event) {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) el.classList.remove("dd-tl-dragging");
  }

  function onClick(event) {
    if (dragged) return;
    const hit = pick(event);
    if (hit === null) return choose(null);
    onLook(hit.items);
    if (hit.items.length > 1) return;
    current = hit.items[0].number;
    choose(current);
  }

  for (const svg of [axis, body]) {
    svg.addEventListener("pointerdown", onDown);
    svg.addEventListener("pointermove", onMove);
    for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, onUp);
    svg.addEventListener("click", onClick);
    svg.addEventListener("dblclick", (event) => frame && zoomAt(0.5, event.clientX));
  }
  el.addEventListener("wheel", onWheel, { passive: false });
  const resize = new ResizeObserver(schedule);
  resize.observe(el);

  // --- buttons -------------------------------------------------------------------------------------------------------

  const button = (label, title, act, name = label) =>
    focusable("button", { type: "button", class: "dd-button dd-plain", title, "aria-label": name, onclick: () => (act(), schedule()) }, label);
  const follow = button("Follow", "Show the newest part, and stay there (End)", win.follow);
  follow.classList.add("dd-tl-follow");
  const buttons = [
    button("\u2212", "Zoom out (-)", () => zoom(TIMELINE_ZOOM), "Zoom out"),
    button("+", "Zoom in (+)", () => zoom(1 / TIMELINE_ZOOM), "Zoom in"),
    button("Fit", "Show all of it (0)", win.fit),
    follow,
  ];

  function drawFollow() {
    setAttribute(follow, "aria-pressed", timeline.active ? String(win.following) : null);
    const words = win.following ? "Follow" : "Back to now";
    setText(follow, timeline.active ? words : "Go to end");
    setAttribute(follow, "aria-label", follow.textContent);
  }

  return {
    el,
    help,
    buttons,
    picture,
    drawFollow,
    unpin: () => choose(null),
    /** To be called when rows or the summary have changed. */
    update() {
      stale = true;
      hear();
      schedule();
    },
    show(shown) {
      visible = shown;
      schedule();
    },
    setDisconnected(value) {
      lost = value;
      schedule();
    },
    dispose() {
      visible = false;
      cancelAnimationFrame(request);
      clearTimeout(timer);
      resize.disconnect();
    },
  };
}
