// What went wrong, above everything else: errors of commands and the loss of the kernel.
import { focusable, h } from "./dom.js";

/** The errors of the feed, each with what, why and what to do next, until somebody dismisses it. */
export function createAlerts(feed) {
  const el = h("div", { class: "dd-alerts" });
  const shown = new Map();

  function makeAlert({ id, what, why, next }) {
    const paragraph = (name, words) => h("p", {}, h("strong", {}, name), words);
    return h(
      "div",
      { class: "dd-alert", role: "alert" },
      h("div", { class: "dd-alert-words" }, paragraph("Error: ", what), ...(why ? [paragraph("Why: ", why)] : []), ...(next ? [paragraph("Next: ", next)] : [])),
      focusable("button", { type: "button", class: "dd-button dd-plain", onclick: () => feed.command("dismiss", { alert: id }) }, "Dismiss"),
    );
  }

  function update() {
    const current = new Set(feed.panel.alerts.map((alert) => alert.id));
    for (const [id, node] of shown) {
      if (current.has(id)) continue;
      node.remove();
      shown.delete(id);
    }
    for (const alert of feed.panel.alerts) {
      if (shown.has(alert.id)) continue;
      const node = makeAlert(alert);
      shown.set(alert.id, node);
      el.append(node);
    }
  }

  return { el, update };
}

/** Watches Jupyter's mark of a lost kernel on a widget's element and says so in words. */
export function createDisconnection(host, onChange) {
  const el = h("div", { class: "dd-disconnected", role: "status" });
  let lost = false;
  const look = () => {
    const now = host.classList.contains("jupyter-widgets-disconnected");
    if (now === lost) return;
    lost = now;
    el.textContent = lost ? "Disconnected from the kernel - run this cell again to reconnect. The workflow goes on." : "";
    onChange(lost);
  };
  const observer = new MutationObserver(look);
  observer.observe(host, { attributes: true, attributeFilter: ["class"] });
  queueMicrotask(look);
  return { el, dispose: () => observer.disconnect() };
}
