// Which workflow the views of one workflow show, and the way to another.
import { focusable, h, icon, setAttribute, setText } from "./dom.js";

/** The line above a view of the workflow in the channel `trace`; `choose()` leads to the others. */
export function createSubject(trace, choose) {
  const workflow = h("code", {});
  const statusIcon = h("span", { class: "dd-chip-icon" });
  const statusText = h("span", {});
  const chip = h("span", { class: "dd-chip" }, statusIcon, statusText);
  const fact = (name, value) => h("div", { class: "dd-fact" }, h("span", { class: "dd-label" }, `${name}: `), value);
  const facts = h("div", { class: "dd-facts" }, fact("Workflow", workflow), fact("Status", chip));
  const other = focusable("button", { type: "button", class: "dd-button dd-plain", onclick: choose }, "Choose a run");
  const el = h("div", { class: "dd-subject" }, facts, other);

  return {
    el,
    update() {
      const { workflow_id: id, status } = trace.summary;
      // Without a workflow the view beneath says what to do.
      el.hidden = id === "";
      setText(workflow, id);
      if (statusText.textContent === status) return;
      setText(statusText, status);
      statusIcon.replaceChildren(icon(status));
      setAttribute(chip, "data-status", status);
    },
  };
}
