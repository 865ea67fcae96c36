// The elements of an answer. The kernel has read its markdown (markdown.py); here only harmless elements are made of it.
import { h, focusable } from "./dom.js";

const HARMLESS = new Set(["p", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "br", "hr"]);
const WEB_PAGE = /^https?:\/\//;

/** The nodes of a tree: texts, and elements as `[name, attributes, child, ...]`; of others their words are left. */
export function renderNodes(tree) {
  return tree.map(renderNode);
}

function renderNode(node) {
  if (typeof node === "string") return node;
  const [name, attributes, ...children] = node;
  const inner = renderNodes(children);
  if (name === "a" && WEB_PAGE.test(attributes.href)) {
    return focusable("a", { href: attributes.href, target: "_blank", rel: "noopener noreferrer nofollow" }, ...inner);
  }
  // The panel has headings of its own: those of an answer must not come between them.
  if (/^h[1-6]$/.test(name)) return h("p", { class: "dd-heading" }, ...inner);
  if (name === "table") return focusable("div", { class: "dd-table", tabindex: 0 }, h("table", {}, ...inner));
  return h(HARMLESS.has(name) ? name : "span", {}, ...inner);
}
