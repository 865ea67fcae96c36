// The whole timeline as an SVG file that stands alone: no style sheet, no script, nothing to load.
import { setAttribute } from "./dom.js";
import { timelineLegend, timelineText } from "./timeline_bars.js";
import { timelineAxis, timelineBody, timelineFrame } from "./timeline_drawing.js";
import { createTimelineCanvas, timelineShape, timelineSvg } from "./timeline_paint.js";
import { timelineDate } from "./timeline_words.js";

const TIMELINE_FILE_WIDTH = 1_200;
const TIMELINE_INKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "stroke-linecap", "stroke-linejoin", "paint-order", "font-family", "font-size", "font-weight", "text-anchor", "opacity"];
/** What XML cannot hold, escaped or not. */
const TIMELINE_NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** The file's text. `host` is where the picture is shown: its colours are those of the file. */
export function timelineFile(host, { begin, ...picture }, summary, id) {
  const { unit, layout, now } = picture;
  const width = Math.max(TIMELINE_FILE_WIDTH * unit, host.clientWidth);
  const length = Math.max(100, now - begin);
  const frame = timelineFrame({ ...picture, width, from: begin - 0.012 * length, to: now + 0.05 * length, id, view: { top: -Infinity, bottom: Infinity } });
  const legend = timelineFileLegend(frame);
  const head = 40 * unit;
  const legendTop = head + frame.axisHeight + frame.height;
  const height = Math.ceil(legendTop + legend.height);
  const name = summary.workflow_id || "Timeline";
  const facts = [summary.workflow_type, summary.status, timelineDate(begin)].filter(Boolean).join(" \u00b7 ");
  const title = frame.text.fit(name, width * 0.6);

  const group = (shapes, y, key) => timelineShape("g", { transform: `translate(0 ${y})` }, shapes, key);
  const svg = timelineSvg();
  svg.setAttribute("class", "dd-tl-file");
  setAttribute(svg, "width", width);
  setAttribute(svg, "height", height);
  setAttribute(svg, "viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  createTimelineCanvas(svg)([
    timelineShape("title", {}, `Timeline of ${name}`),
    timelineShape("desc", {}, `${facts}. ${layout.items.length} bars and marks.`),
    timelineShape("rect", { class: "dd-tl-paper", width, height }),
    timelineText("dd-tl-lane dd-tl-day", 10 * unit, 25 * unit, title),
    timelineText("dd-tl-tick", 26 * unit + frame.text.width(title) * 1.08, 25 * unit, facts),
    timelineShape("svg", { y: head + frame.axisHeight, width, height: frame.height, overflow: "hidden" }, timelineBody(frame, frame.height).shapes, "body"),
    group(timelineAxis(frame), head, "axis"),
    group(legend.shapes, legendTop, "legend"),
  ]);
  host.append(svg);
  timelineSettle(svg);
  svg.remove();
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(svg)}\n`;
}

/** Takes what the page's style makes of each node into the node itself, as far as it is not what the root hands down. */
function timelineSettle(svg) {
  const ground = getComputedStyle(svg);
  for (const name of TIMELINE_INKS) setAttribute(svg, name, ground.getPropertyValue(name));
  const inks = new Map();
  const walker = document.createTreeWalker(svg, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) {
      node.data = node.data.replace(TIMELINE_NOT_XML, "\ufffd");
      continue;
    }
    for (const name of ["role", "id"]) if (name !== "id" || node.localName !== "pattern") node.removeAttribute(name);
    for (const { name } of [...node.attributes]) if (name.startsWith("aria-")) node.removeAttribute(name);
    const look = node.getAttribute("class");
    if (look === null) continue;
    const key = `${node.localName} ${look}`;
    if (!inks.has(key)) {
      const style = getComputedStyle(node);
      inks.set(key, TIMELINE_INKS.map((name) => [name, style.getPropertyValue(name)]).filter(([name, value]) => value !== svg.getAttribute(name)));
    }
    // A fill that the node has of its own is a pattern.
    for (const [name, value] of inks.get(key)) if (!(name === "fill" && node.hasAttribute("fill"))) node.setAttribute(name, value);
    node.removeAttribute("class");
  }
  svg.removeAttribute("class");
}

function timelineFileLegend(frame) {
  const { unit, text, right } = frame;
  let x = 10 * unit;
  let y = 14 * unit;
  const shapes = timelineLegend(frame).map(([name, swatch]) => {
    const room = 32 * unit + text.width(name);
    if (x + room > right - 10 * unit) [x, y] = [10 * unit, y + 22 * unit];
    const place = `translate(${Math.round(x)} ${Math.round(y)})`;
    x += room + 18 * unit;
    return timelineShape("g", { transform: place }, [...swatch, timelineText("dd-tl-tick", 32 * unit, 11 * unit, name)]);
  });
  return { shapes, height: y + 28 * unit };
}

/** Hands the text to the browser as a file to be saved. */
export function timelineSave(text, workflowId) {
  const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `timeline-${workflowId.replace(/[^\w.-]+/g, "_") || "workflow"}.svg`;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
