// The link to Temporal's Web UI: through the Jupyter server of this page, or straight to it.
import { focusable, setAttribute } from "./dom.js";

/**
 * Where the Web UI shows the history of a run: `{href, reason}`, one of them "".
 *
 * `webUi` is null or `{direct, path, namespace}` as in web_ui.py, `page` is the page's location, `baseUrl` is Jupyter's
 * (null if the page is not Jupyter's).
 */
export function webUiUrl({ webUi, workflowId, runId, page, baseUrl }) {
  if (!webUi) return { href: "", reason: "This server's Web UI is not known" };
  if (!workflowId || !runId) return { href: "", reason: "No workflow is shown yet" };
  // With a path it is behind Jupyter, and browsers refuse its own port, also on its own machine.
  const proxied = webUi.path !== "";
  const leads = baseUrl !== null && webUi.path.startsWith(baseUrl.replace(/\/?$/, "/"));
  if (proxied && !leads) return { href: "", reason: "The Web UI cannot be reached through this page's Jupyter" };
  const place = ["namespaces", webUi.namespace, "workflows", workflowId, runId, "history"].map(encodeURIComponent).join("/");
  const href = checkedUrl(proxied ? page.origin : webUi.direct, `${webUi.path}/${place}`);
  return { href, reason: href ? "" : "The address of the Web UI cannot be used" };
}

/** `origin` and `rest` as one URL; "" if that leads elsewhere, or is not http(s). */
function checkedUrl(origin, rest) {
  try {
    const url = new URL(origin + rest);
    return /^https?:$/.test(url.protocol) && url.origin === new URL(origin).origin ? url.href : "";
  } catch {
    return "";
  }
}

/** Jupyter's base URL; null in a page that is not Jupyter's. */
function jupyterBaseUrl() {
  try {
    return JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl ?? null;
  } catch {
    return null;
  }
}

/** The link for the workflow in the channel `history`; `update()` brings it up to date. Without an address it says why. */
export function createWebLink(feed, notice) {
  const baseUrl = jupyterBaseUrl();
  let explained = "";
  const el = focusable("a", { class: "dd-button dd-plain dd-web-link", role: "link", tabindex: 0, target: "_blank", rel: "noopener", onclick: onClick, onkeydown: onKey }, "Open in Temporal Web UI");

  function found() {
    const { workflow_id: workflowId, run_id: runId } = feed.history.summary;
    return webUiUrl({ webUi: feed.panel.summary.web_ui, workflowId, runId, page: location, baseUrl });
  }

  function update() {
    const { href, reason } = found();
    setAttribute(el, "href", href || null);
    setAttribute(el, "aria-disabled", reason ? "true" : null);
    setAttribute(el, "title", reason || null);
    if (explained && explained !== reason) {
      notice.retract(explained);
      explained = "";
    }
  }

  function onClick(event) {
    if (el.hasAttribute("href")) return;
    event.preventDefault();
    explained = found().reason;
    notice.say(explained);
  }

  function onKey(event) {
    // A link without an address has no key of its own.
    if (event.key === "Enter" && !el.hasAttribute("href")) onClick(event);
  }

  update();
  return { el, update };
}
