// The numbers of a comparison, a row for each workflow.
import { focusable, h, icon, setAttribute, setText } from "./dom.js";
import { compareMark } from "./compare_plot.js";

const COMPARE_NOTES = { 0: (run) => (run.ended ? "" : "so far"), 3: (run) => run.mark };

/** The table. `remove(workflowId)` takes a workflow out of the comparison, `leave()` takes the focus when none is left. */
export function createCompareTable(remove, leave) {
  // The roles are said, because a narrow table is laid out as a list, which takes them away.
  const names = [];
  const head = h("tr", { role: "row" });
  const body = h("tbody", { role: "rowgroup" });
  const el = h("table", { class: "dd-cp-table", role: "table", "aria-label": "Numbers" }, h("thead", { role: "rowgroup" }, head), body);
  const rows = new Map();
  let lost = false;

  function heading(text, number) {
    return h("th", { scope: "col", role: "columnheader", class: number ? "dd-cp-number" : "" }, text);
  }

  function drawHead(columns) {
    if (names.join() === columns.join()) return;
    names.splice(0, names.length, ...columns);
    head.replaceChildren(heading("Workflow"), ...columns.map((name) => heading(name, true)));
  }

  function makeRow(id, columns) {
    const place = h("span", { class: "dd-cp-place" });
    const mark = h("span", {});
    const chipIcon = h("span", { class: "dd-chip-icon" });
    const status = h("span", {});
    const chip = h("span", { class: "dd-chip" }, chipIcon, status);
    const button = focusable("button", { type: "button", class: "dd-button dd-quiet dd-cp-remove", "aria-label": `Remove ${id}`, onclick: () => remove(id) }, "Remove");
    const cells = columns.map((_, at) => {
      const value = h("span", {});
      const note = h("span", { class: "dd-cp-note" });
      const label = h("span", { class: "dd-cp-name-of", "aria-hidden": "true" });
      return { value, note, label, el: h("td", { role: "cell", class: "dd-cp-number" }, label, h("span", {}, value, ...(at in COMPARE_NOTES ? [note] : []))) };
    });
    const who = h("div", { class: "dd-cp-who" }, h("span", { class: "dd-cp-which" }, mark, place), h("code", {}, id), h("span", { class: "dd-cp-below" }, chip, button));
    const row = h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader" }, who), ...cells.map((cell) => cell.el));
    return { el: row, place, mark, chip, chipIcon, status, cells, button };
  }

  function drawRow(row, run, at, columns) {
    if (row.place.textContent !== String(at + 1)) {
      setText(row.place, String(at + 1));
      row.mark.replaceChildren(compareMark(at));
    }
    if (row.status.textContent !== run.status) {
      setText(row.status, run.status);
      row.chipIcon.replaceChildren(icon(run.status));
      setAttribute(row.chip, "data-status", run.status);
    }
    run.cells.forEach((text, column) => {
      // A number stays with its unit.
      setText(row.cells[column].value, text.replace(/(\d) (?=[a-z])/g, "$1\u00a0"));
      setText(row.cells[column].label, columns[column]);
    });
    for (const [column, words] of Object.entries(COMPARE_NOTES)) setText(row.cells[column].note, words(run));
    setAttribute(row.button, "aria-disabled", lost ? "true" : null);
  }

  function draw({ runs, columns }) {
    drawHead(columns);
    let vacated = -1;
    for (const [id, row] of rows) {
      if (runs.some((run) => run.workflow_id === id)) continue;
      if (row.el.contains(document.activeElement)) vacated = [...body.children].indexOf(row.el);
      row.el.remove();
      rows.delete(id);
    }
    runs.forEach((run, at) => {
      const row = rows.get(run.workflow_id) ?? makeRow(run.workflow_id, columns);
      rows.set(run.workflow_id, row);
      if (body.children[at] !== row.el) body.insertBefore(row.el, body.children[at] ?? null);
      drawRow(row, run, at, columns);
    });
    if (vacated < 0) return;
    const next = body.children[Math.min(vacated, body.childElementCount - 1)];
    if (next) next.querySelector("button").focus();
    else leave();
  }

  return { el, draw, setDisconnected: (value) => (lost = value) };
}
