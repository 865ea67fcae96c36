// Which events of a history are shown: by group, and by what stands in their lines.
import { focusable, h, setText } from "./dom.js";

const FILTER_SPEECH_MS = 600;

/** The groups of events, and which types belong to each; the first that fits counts. */
const EVENT_GROUPS = [
  { name: "task", label: "Workflow Tasks", types: /^WORKFLOW_TASK_/ },
  { name: "activity", label: "Activities", types: /^ACTIVITY_/ },
  { name: "message", label: "Signals and Updates", types: /SIGNAL|^WORKFLOW_EXECUTION_UPDATE/ },
  { name: "timer", label: "Timers", types: /^TIMER_/ },
  { name: "workflow", label: "Workflow", types: /^WORKFLOW_EXECUTION_/ },
  { name: "other", label: "Other", types: /^/ },
];
const EVENT_GROUP_ORDER = ["workflow", "task", "activity", "message", "timer", "other"];

/** Name of the group of a type such as ACTIVITY_TASK_SCHEDULED. */
export function eventGroup(type) {
  return EVENT_GROUPS.find(({ types }) => types.test(type)).name;
}

/** Text box, groups and count; `onChange` is called when others are to be shown. */
export function createEventFilter(onChange) {
  const text = focusable("input", { type: "search", class: "dd-eh-text", placeholder: "Filter: type or note", "aria-label": "Filter: type or note", oninput: change, onkeydown: onKey });
  const boxes = EVENT_GROUP_ORDER.map((name) => {
    const { label } = EVENT_GROUPS.find((group) => group.name === name);
    const box = focusable("input", { type: "checkbox", checked: true, value: name, onchange: change });
    return { box, el: h("label", { class: "dd-eh-group", "data-group": name }, box, label) };
  });
  const groups = h("div", { class: "dd-eh-groups", role: "group", "aria-label": "Events shown" }, ...boxes.map(({ el }) => el));
  const count = h("div", { class: "dd-eh-count" });
  const spoken = h("div", { class: "dd-hidden", role: "status" });
  let query = "";
  let chosen = new Set(EVENT_GROUP_ORDER);
  let timer = 0;
  let unsaid = false;

  function change() {
    query = text.value.trim().toLowerCase();
    chosen = new Set(boxes.filter(({ box }) => box.checked).map(({ box }) => box.value));
    filter.version += 1;
    unsaid = true;
    clearTimeout(timer);
    onChange();
  }

  function onKey(event) {
    event.stopPropagation(); // the notebook around it takes Shift+Enter for its own
  }

  const filter = {
    el: h("div", { class: "dd-eh-filter" }, text, count, groups, spoken),
    /** Grows with each change. */
    version: 0,
    matches: ({ group, words }) => chosen.has(group) && words.includes(query),

    /** Tells how many there are; a screen reader hears it after a change of the filter only. */
    tell(shown, all, runs) {
      const events = `${all} ${all === 1 ? "event" : "events"}`;
      const told = query || chosen.size < EVENT_GROUP_ORDER.length ? `${shown} of ${events} shown` : events;
      setText(count, runs > 1 ? `${told}, ${runs} runs` : told);
      if (!unsaid) return;
      unsaid = false;
      timer = setTimeout(() => setText(spoken, told), FILTER_SPEECH_MS);
    },

    clear() {
      text.value = "";
      for (const { box } of boxes) box.checked = true;
      change();
      text.focus();
    },

    dispose: () => clearTimeout(timer),
  };
  return filter;
}
