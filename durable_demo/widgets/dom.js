// Small helpers for the views. Text always becomes text nodes: nothing that a workflow says is ever parsed as markup.

/** Makes an element; `on*` properties are listeners, true and false switch attributes, strings are appended as text. */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** A focusable element of ours: without this attribute the notebook's shortcuts (`b` inserts a cell) would act on it. */
export function focusable(tag, properties = {}, ...children) {
  return h(tag, { ...properties, "data-lm-suppress-shortcuts": "true" }, ...children);
}

/** Sets text only if it differs, so that selections and screen readers are left alone. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets or removes an attribute only if it differs. */
export function setAttribute(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** An id that is unique in the page, also among several copies of this module. */
export function uniqueId(name) {
  return `dd-${name}-${Math.random().toString(36).slice(2, 10)}`;
}

const ICONS = {
  RUNNING: "M4 2.5v11l9-5.5z",
  PAUSED: "M4 3h3v10H4zM9 3h3v10H9z",
  STOPPING: "M3 3h10v10H3zM5 5v6h6V5z",
  COMPLETED: "M6.4 12.6 2 8.2l1.5-1.5 2.9 2.9 6.1-6.1L14 5z",
  FAILED: "M3.5 2 8 6.5 12.5 2 14 3.5 9.5 8l4.5 4.5-1.5 1.5L8 9.5 3.5 14 2 12.5 6.5 8 2 3.5z",
  CANCELED: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM4 8a4 4 0 0 1 6.2-3.3L4.7 10.2A4 4 0 0 1 4 8zm8 0a4 4 0 0 1-6.2 3.3l5.5-5.5A4 4 0 0 1 12 8z",
  TERMINATED: "M3 3h10v10H3z",
  TIMED_OUT: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 2a5 5 0 1 1 0 10A5 5 0 0 1 8 3zM7 4v5h4V7.5H8.5V4z",
  CHAT: "M2 2h12v9H7l-4 3v-3H2z",
};

/** One of the shapes above, hidden from screen readers: words stand beside it. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "dd-icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name] ?? "");
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

const two = (number) => String(number).padStart(2, "0");

/** Local time of day, `10:30:15`. */
export function clock(timestamp) {
  const moment = new Date(timestamp);
  return `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
}

/** Local date and time, `2025-01-19 10:30:15`. */
export function calendar(timestamp) {
  const moment = new Date(timestamp);
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${clock(timestamp)}`;
}
