// What went wrong, above everything else: errors of commands and the loss of the kernel.
import { focusable, h, setText } from "./dom.js";
import { FAR_END } from "./far_end.js";

/** Errors, each with what, why and what to do next, until somebody dismisses it: the feed's, and those of `more()`. */
export function createAlerts(feed, more = () => []) {
  const el = h("div", { class: "dd-alerts" });
  const shown = new Map();

  function makeAlert({ id, what, why, next, text = "", dismiss = () => feed.command("dismiss", { alert: id }) }) {
    const paragraph = (name, words) => h("p", {}, h("strong", {}, name), words);
    return h(
      "div",
      { class: "dd-alert", role: "alert" },
      h(
        "div",
        { class: "dd-alert-words" },
        paragraph("Error: ", what),
        ...(why ? [paragraph("Why: ", why)] : []),
        ...(next ? [paragraph("Next: ", next)] : []),
        ...(text ? [focusable("div", { class: "dd-alert-text", tabindex: 0, role: "group", "aria-label": "Text" }, text)] : []),
      ),
      focusable("button", { type: "button", class: "dd-button dd-plain", onclick: dismiss }, "Dismiss"),
    );
  }

  function update() {
    const alerts = [...feed.panel.summary.alerts, ...more()];
    const current = new Set(alerts.map((alert) => alert.id));
    let vacated = -1;
    for (const [id, node] of shown) {
      if (current.has(id)) continue;
      if (node.matches(":focus-within")) vacated = [...el.children].indexOf(node);
      node.remove();
      shown.delete(id);
    }
    for (const alert of alerts) {
      if (shown.has(alert.id)) continue;
      const node = makeAlert(alert);
      shown.set(alert.id, node);
      el.append(node);
    }
    if (vacated >= 0) refocus(vacated);
  }

  /** The keyboard goes on at the alert that has moved up, else where the view begins. */
  function refocus(place) {
    const alert = el.children[Math.min(place, el.childElementCount - 1)];
    const start = '[role="tab"][aria-selected="true"], .dd-actions button';
    (alert?.querySelector("button") ?? el.parentElement.querySelector(start)).focus();
  }

  return { el, update };
}

/** The note that the kernel is gone; `feed` asks for everything once it is back. */
export function createDisconnection(feed) {
  const el = h("div", { class: "dd-disconnected", role: "status" });
  return {
    el,
    set(lost) {
      setText(el, lost ? FAR_END.lostBanner : "");
      if (!lost) feed.renew();
    },
  };
}

/**
 * Calls `onChange(lost)` when a widget loses its kernel or gets it back; returns the function that ends it.
 *
 * Jupyter marks the widget's element, but anywidget 0.11 drops the listener that does it, so the event is heard as well.
 */
function watchKernel(model, host, onChange) {
  let live = true;
  let told = false;
  const look = () => {
    const lost = !live || host.classList.contains("jupyter-widgets-disconnected");
    if (lost !== told) onChange((told = lost));
  };
  // anywidget calls listeners with Jupyter's view as `this`.
  model.on("comm_live_update", function () {
    live = this?.model?.comm_live ?? true;
    look();
  });
  const observer = new MutationObserver(look);
  observer.observe(host, { attributes: true, attributeFilter: ["class"] });
  look();
  return () => observer.disconnect();
}

/** Shows a view of a feed in the element that Jupyter has for it; returns what takes the view away again. */
export function mount(model, host, feed, view) {
  host.append(view.el);
  const unwatch = watchKernel(model, host, view.setDisconnected);
  const leave = feed.join();
  return () => {
    leave();
    unwatch();
    view.dispose();
  };
}
