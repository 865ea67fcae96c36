// Shapes into SVG nodes: nodes are kept from one drawing to the next, and only what differs is written.

const TIMELINE_SVG = "http://www.w3.org/2000/svg";
const TIMELINE_MEASURED = 5_000;

/** A shape to be painted; `content` is text or more shapes, `key` names its node among its siblings. */
export function timelineShape(tag, ink, content = [], key = null) {
  return { tag, ink, content, key };
}

/** An SVG element of no size yet. */
export function timelineSvg(tag = "svg") {
  return document.createElementNS(TIMELINE_SVG, tag);
}

/** Returns the function that brings what is in `node` in line with a list of shapes. */
export function createTimelineCanvas(node) {
  const root = { node, ink: {}, kids: new Map() };
  return (shapes) => timelinePaintKids(root, shapes);
}

function timelinePaintKids(parent, shapes) {
  const kids = new Map();
  shapes.forEach((shape, place) => {
    const key = shape.key ?? `${place} ${shape.tag}`;
    kids.set(key, parent.kids.get(key) ?? { node: timelineSvg(shape.tag), ink: {}, kids: new Map() });
  });
  for (const [key, kid] of parent.kids) if (!kids.has(key)) kid.node.remove();
  parent.kids = kids;
  let place = parent.node.firstChild;
  let index = 0;
  for (const kid of kids.values()) {
    if (kid.node === place) place = place.nextSibling;
    else parent.node.insertBefore(kid.node, place);
    const { ink, content } = shapes[index];
    timelinePaintInk(kid, ink);
    if (typeof content !== "string") timelinePaintKids(kid, content);
    else if (kid.node.textContent !== content) kid.node.textContent = content;
    index += 1;
  }
}

function timelinePaintInk(kid, ink) {
  for (const name in kid.ink) if (!(name in ink)) kid.node.removeAttribute(name);
  for (const name in ink) {
    if (ink[name] === kid.ink[name]) continue;
    if (ink[name] == null) kid.node.removeAttribute(name);
    else kid.node.setAttribute(name, ink[name]);
  }
  kid.ink = ink;
}

/** Measures and cuts text of one font. */
export function createTimelineText(font) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = font;
  const widths = new Map();

  function width(text) {
    let found = widths.get(text);
    if (found === undefined) {
      if (widths.size >= TIMELINE_MEASURED) widths.clear();
      found = context.measureText(text).width;
      widths.set(text, found);
    }
    return found;
  }

  /** The text if it fits, else its beginning and an ellipsis; "" if fewer than three characters would be left. */
  function fit(text, room) {
    // Nobody has room for more, and measuring a text of megabytes takes long.
    const shown = text.slice(0, 400);
    if (width(shown) <= room && shown.length === text.length) return shown;
    const characters = [...shown];
    let low = 0;
    let high = characters.length;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (width(`${characters.slice(0, middle).join("")}\u2026`) <= room) low = middle;
      else high = middle - 1;
    }
    return low < 3 ? "" : `${characters.slice(0, low).join("").trimEnd()}\u2026`;
  }

  return { width, fit };
}
