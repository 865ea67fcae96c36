// The JSON of one event, beneath its row.
import { focusable, h, setText } from "./dom.js";

/** Reads it with `read()`, which resolves to `{ok, message}`; `onRead` is called when it has taken its size. */
export function createEventJson(label, read, onRead) {
  const pre = focusable("pre", { class: "dd-eh-pre", hidden: true, tabindex: 0, role: "group", "aria-label": `JSON of ${label}` });
  const words = h("span", { class: "dd-eh-words", role: "status" });
  const copy = focusable("button", { type: "button", class: "dd-button dd-plain", "aria-label": `Copy the JSON of ${label}`, hidden: true, onclick: copyText }, "Copy");
  const again = focusable("button", { type: "button", class: "dd-button dd-plain", hidden: true, onclick: load }, "Try again");
  const el = h("div", { class: "dd-eh-json" }, h("div", { class: "dd-eh-tools" }, copy, again, words), pre);
  let loads = 0;

  async function load() {
    const mine = ++loads;
    setText(words, "Reading...");
    const answer = await read();
    if (mine !== loads) return;
    const held = again.matches(":focus");
    if (answer.ok) pre.textContent = answer.message;
    setText(words, answer.ok ? "" : answer.message);
    again.hidden = answer.ok;
    copy.hidden = pre.hidden = !answer.ok;
    if (held && answer.ok) pre.focus({ preventScroll: true });
    onRead();
  }

  /** Without the permission, or where a page has no clipboard, the text is selected: the keyboard can do the rest. */
  async function copyText() {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      setText(words, "Copied");
    } catch {
      getSelection().selectAllChildren(pre);
      setText(words, document.execCommand("copy") ? "Copied" : "Selected: copy it with the keyboard");
    }
  }

  return { el, load };
}
