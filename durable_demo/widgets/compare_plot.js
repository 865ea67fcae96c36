// The plot of a comparison: for each workflow a row with all of its times, a box around their middle half, and a median.
import { focusable, h, setAttribute, setText } from "./dom.js";

const COMPARE_SVG = "http://www.w3.org/2000/svg";
const COMPARE_TONES = 4;
const COMPARE_FEWEST = 3;
/** The median's place among a workflow's cells. */
const COMPARE_MEDIAN = 3;
const COMPARE_INKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight", "text-anchor"];

/** Pixels at a font of 14 px; all of them grow with it. */
const COMPARE_ROW = { height: 82, name: 17, strip: 44, label: 74, box: 11, median: 17, spread: 13 };
const COMPARE_AXIS = { height: 48, label: 18, title: 40, side: 24 };

/** Outlines of the marks of one workflow, by its place: its own shape, so that no row is told by its colour alone. */
const COMPARE_SHAPES = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${x} ${y - r}l${r} ${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${x} ${y - 1.3 * r}l${r} ${1.3 * r}l${-r} ${1.3 * r}l${-r} ${-1.3 * r}z`,
  (x, y, r) => `M${x} ${y + r}l${r} ${-2 * r}h${-2 * r}z`,
  (x, y, r) => `M${x - r / 3} ${y - r}h${(2 * r) / 3}v${(2 * r) / 3}h${(2 * r) / 3}v${(2 * r) / 3}h${(-2 * r) / 3}v${(2 * r) / 3}h${(-2 * r) / 3}v${(-2 * r) / 3}h${(-2 * r) / 3}v${(-2 * r) / 3}h${(2 * r) / 3}z`,
  (x, y, r) => `M${x - r / 2} ${y - 1.2 * r}h${r}v${2.4 * r}h${-r}z`,
  (x, y, r) => `M${x - 1.2 * r} ${y - r / 2}h${2.4 * r}v${r}h${-2.4 * r}z`,
];

function compareNode(tag, attributes = {}, text = "") {
  const node = document.createElementNS(COMPARE_SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

/** The mark of the workflow at this place, to stand before its name. */
export function compareMark(place) {
  const svg = compareNode("svg", { viewBox: "-8 -8 16 16", class: "dd-cp-mark", "aria-hidden": "true", "data-tone": place % COMPARE_TONES });
  svg.append(compareNode("path", { d: COMPARE_SHAPES[place](0, 0, 6) }));
  return svg;
}

/** The plot, with what its rows say when they are looked at. `host` gives it its width. */
export function createComparePlot() {
  const svg = compareNode("svg", { role: "img", class: "dd-cp-svg" });
  const ticks = compareNode("g");
  const axisTitle = compareNode("text", { class: "dd-cp-axis", "text-anchor": "middle" });
  svg.append(ticks, axisTitle);
  const hits = h("div", { class: "dd-cp-hits" });
  const words = h("p", { class: "dd-cp-words" });
  const picture = h("div", { class: "dd-cp-picture" }, svg, hits);
  const el = h("div", { class: "dd-cp-plot" }, picture, words);
  const rows = new Map();
  let shown = null;
  let axisShown = "";
  let looked = "";

  function look(id) {
    looked = id;
    const place = shown.runs.findIndex((run) => run.workflow_id === id);
    setText(words, place < 0 ? compareLegend(shown) : compareSentence(shown.runs[place], place));
  }

  function makeRow(id) {
    const part = (tag, name, more = {}) => compareNode(tag, { class: `dd-cp-${name}`, ...more });
    const parts = {
      range: part("path", "range"), dots: part("path", "dots"), box: part("path", "box"), p90: part("path", "p90"), median: part("path", "median"),
      mark: part("path", "dots"), name: part("text", "name"), label: part("text", "label"),
    };
    const g = compareNode("g");
    g.append(...Object.values(parts));
    svg.append(g);
    const leave = () => look("");
    const hit = focusable("div", {
      class: "dd-cp-hit", role: "group", tabindex: 0, onpointerenter: () => look(id), onfocus: () => look(id), onpointerleave: leave, onblur: leave,
    });
    return { g, parts, hit, drawn: "" };
  }

  function draw(summary) {
    shown = summary;
    const { runs, axis } = summary;
    const width = picture.clientWidth;
    if (width === 0) return;
    const unit = parseFloat(getComputedStyle(picture).fontSize) / 14;
    const side = COMPARE_AXIS.side * unit;
    const rowHeight = COMPARE_ROW.height * unit;
    const bottom = runs.length * rowHeight;
    const height = bottom + (axis ? COMPARE_AXIS.height * unit : 0);
    const start = axis?.start ?? 0;
    const scale = axis ? (width - 2 * side) / (axis.end - axis.start) : 0;
    const frame = { x: (time) => compareRound(side + (time - start) * scale), width, unit };
    setAttribute(svg, "width", width);
    setAttribute(svg, "height", height);
    setAttribute(svg, "aria-label", compareDescription(summary));
    drawAxis(axis, frame, bottom);
    for (const [id, row] of rows) {
      if (runs.some((run) => run.workflow_id === id)) continue;
      row.g.remove();
      row.hit.remove();
      rows.delete(id);
    }
    runs.forEach((run, place) => {
      if (!rows.has(run.workflow_id)) rows.set(run.workflow_id, makeRow(run.workflow_id));
      drawRow(rows.get(run.workflow_id), run, place, frame, `${width} ${unit} ${start} ${axis?.end}`);
    });
    look(looked);
  }

  function drawAxis(axis, { x, width, unit }, bottom) {
    const drawn = JSON.stringify([axis, width, unit, bottom]);
    if (drawn === axisShown) return;
    axisShown = drawn;
    ticks.replaceChildren();
    setText(axisTitle, axis?.title ?? "");
    if (!axis) return;
    for (const [time, label] of axis.ticks) {
      ticks.append(
        compareNode("path", { class: "dd-cp-grid", d: `M${x(time)} 0V${bottom + 5 * unit}` }),
        compareNode("text", { class: "dd-cp-axis", x: x(time), y: bottom + COMPARE_AXIS.label * unit, "text-anchor": "middle" }, label),
      );
    }
    setAttribute(axisTitle, "x", width / 2);
    setAttribute(axisTitle, "y", bottom + COMPARE_AXIS.title * unit);
  }

  function drawRow(row, run, place, frame, where) {
    const { parts, g, hit } = row;
    const drawn = [where, place, run.count, run.status].join(" ");
    if (hits.children[place] !== hit && !hit.contains(document.activeElement)) hits.insertBefore(hit, hits.children[place] ?? null);
    setAttribute(hit, "aria-label", compareSentence(run, place));
    if (drawn === row.drawn) return;
    row.drawn = drawn;
    const { x, width, unit } = frame;
    const top = place * COMPARE_ROW.height * unit;
    setAttribute(hit, "style", `top: ${top}px; height: ${COMPARE_ROW.height * unit}px`);
    setAttribute(g, "transform", `translate(0 ${compareRound(top)})`);
    setAttribute(g, "data-tone", place % COMPARE_TONES);
    setAttribute(parts.mark, "d", COMPARE_SHAPES[place](8 * unit, (COMPARE_ROW.name - 5) * unit, 5 * unit));
    setText(parts.name, compareName(run, place, width / (8.2 * unit)));
    compareSet(parts.name, { x: 20 * unit, y: COMPARE_ROW.name * unit });
    setAttribute(parts.dots, "d", compareDots(run, place, frame));
    const middle = COMPARE_ROW.strip * unit;
    const line = (time, reach) => `M${x(time)} ${compareRound(middle - reach * unit)}v${compareRound(2 * reach * unit)}`;
    const half = compareRound(COMPARE_ROW.box * unit);
    // Of a few times each speaks for itself.
    const few = run.count < COMPARE_FEWEST;
    setAttribute(parts.range, "d", few ? "" : `${line(run.min, 5)}M${x(run.min)} ${compareRound(middle)}H${x(run.max)}${line(run.max, 5)}`);
    setAttribute(parts.box, "d", few ? "" : `M${x(run.q1)} ${compareRound(middle - half)}H${x(run.q3)}v${2 * half}H${x(run.q1)}z`);
    setAttribute(parts.median, "d", few ? "" : line(run.median, COMPARE_ROW.median));
    setAttribute(parts.p90, "d", few ? "" : line(run.p90, COMPARE_ROW.median));
    setText(parts.label, few ? run.counted : `median ${run.cells[COMPARE_MEDIAN]}`);
    const at = run.count === 0 ? 20 * unit : x(run.median);
    const anchor = run.count === 0 || at < width * 0.25 ? "start" : at > width * 0.75 ? "end" : "middle";
    compareSet(parts.label, { x: at, y: (run.count === 0 ? COMPARE_ROW.strip + 5 : COMPARE_ROW.label) * unit, "text-anchor": anchor });
  }

  return { el, draw, watched: picture, file: () => compareFile(svg, shown) };
}

const compareLegend = ({ noun }) => `Each mark is one ${noun}. Box: the middle half. Thick line: median. Dashed line: p90. Thin line: shortest to longest.`;

const compareRound = (value) => Math.round(value * 10) / 10;

function compareSet(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
}

/** All times of a workflow as one path: thousands of nodes would be slow. */
function compareDots(run, place, { x, unit }) {
  const outline = COMPARE_SHAPES[place];
  const size = (run.times.length > 300 ? 2 : run.times.length > 60 ? 3 : 4) * unit;
  const first = run.count - run.times.length;
  return run.times
    .map((time, index) => {
      // Multiples of the golden ratio fill the strip evenly, and a time keeps its height when others come or go.
      const shift = 2 * (((first + index) * 0.618034) % 1) - 1;
      return outline(x(time), compareRound((COMPARE_ROW.strip + shift * COMPARE_ROW.spread) * unit), size);
    })
    .join("");
}

/** The Workflow ID with its place, cut in its middle to so many characters. */
function compareName({ workflow_id: id }, place, room) {
  const kept = Math.max(12, Math.floor(room) - 6);
  return `${place + 1}  ${id.length <= kept ? id : `${id.slice(0, Math.ceil(kept / 2) - 2)}...${id.slice(-Math.floor(kept / 2) + 1)}`}`;
}

const compareSentence = (run, place) => `${place + 1} ${run.workflow_id}: ${run.numbers}.`;

function compareDescription({ runs, axis, finding }) {
  return [`Plot of the times of ${runs.length} ${runs.length === 1 ? "workflow" : "workflows"}, ${axis?.title.toLowerCase() ?? "none yet"}.`, finding, ...runs.map(compareSentence)].join(" ");
}

/** The plot as the text of an SVG file that stands alone, in the colours in which it is shown. */
function compareFile(svg, { finding }) {
  const copy = svg.cloneNode(true);
  const sources = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((node, index) => {
    const look = getComputedStyle(sources[index]);
    for (const name of COMPARE_INKS) node.setAttribute(name, look.getPropertyValue(name));
    node.removeAttribute("class");
  });
  const paper = getComputedStyle(svg.closest(".durable-demo")).backgroundColor;
  const [width, height] = [Number(svg.getAttribute("width")), Number(svg.getAttribute("height"))];
  copy.removeAttribute("class");
  copy.setAttribute("viewBox", `0 -8 ${width} ${height + 8}`);
  copy.setAttribute("height", height + 8);
  copy.prepend(compareNode("title", {}, finding), compareNode("rect", { y: -8, width, height: height + 8, fill: paper }));
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}\n`;
}
