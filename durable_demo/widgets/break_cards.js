// What can be broken: one card for each experiment, with its control, its button, and the button that mends it.
import { focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { createRunsButton } from "./runs_row.js";

const BREAK_SECONDS = { label: "Seconds", inputmode: "decimal" };

/**
 * The experiments, by what they break.
 *
 * `needs` is what of `possible` tells whether they can be done. `broken(faults)` is whether one is in force; then `mend`
 * is offered, a verb and its value. `control` is a field; `choices` is a list of `[value, words]` before it.
 */
const BREAK_GROUPS = [
  {
    title: "Worker",
    needs: "workers",
    experiments: [
      { verb: "kill_worker", title: "Kill Worker", about: "SIGKILL, without a goodbye. A new Worker starts; the next attempt goes on from the last heartbeat.", button: "Kill Worker" },
      { verb: "set_workers", title: "Number of Workers", about: "0: all are killed and stay dead, and everything waits. 2 to 4: they share the Task Queue.", control: { label: "Workers", inputmode: "numeric", value: "0" }, button: "Set", broken: (faults) => faults.workers === 0, mend: ["set_workers", "1", "Start Worker"] },
      { verb: "freeze_worker", title: "Freeze Workers", about: "SIGSTOP: they are there and do nothing. Thawed, they report too late, and are refused.", control: { ...BREAK_SECONDS, value: "10" }, button: "Freeze", broken: (faults) => faults.frozen, mend: ["thaw_worker", "", "Thaw"] },
    ],
  },
  {
    title: "Server",
    needs: "server",
    experiments: [
      { verb: "kill_server", title: "Kill Server", about: "SIGKILL. It is started again at once; what it had acknowledged is in its database.", button: "Kill Server" },
      { verb: "kill_server", title: "Server away", about: "SIGKILL, and it stays away for so long. Workers and panel try again until it answers.", control: { ...BREAK_SECONDS, value: "20" }, button: "Take away", broken: (faults) => !faults.server, mend: ["start_server", "", "Start Server"] },
    ],
  },
  {
    title: "Network",
    needs: "server",
    experiments: [
      { verb: "disturb_network", title: "Disturb the network", about: "Between Workers and server: nothing passes, all is slow, or connections break again and again.", choices: [["cut", "cut"], ["slow", "slow"], ["resets", "resets"]], control: { ...BREAK_SECONDS, value: "15" }, button: "Disturb", broken: (faults) => faults.network !== "ok", mend: ["mend_network", "", "Mend"] },
    ],
  },
  {
    title: "Activities",
    needs: "workers",
    experiments: [
      { verb: "fail_activities", title: "Fail attempts", about: "The next attempts of Activities fail. Each is retried, ever later; the workflow sees nothing of it.", control: { label: "Attempts", inputmode: "numeric", value: "3" }, button: "Fail", broken: (faults) => faults.failures > 0, mend: ["fail_activities", "0", "No more"] },
    ],
  },
  {
    title: "Agent",
    needs: "workers",
    experiments: [
      { verb: "slow_tools", title: "Slow tools", about: "Each tool takes so much longer. The agent waits; other workflows go on.", control: { ...BREAK_SECONDS, value: "5" }, button: "Slow down", broken: (faults) => faults.slow_tools > 0, mend: ["slow_tools", "0", "Usual speed"] },
      { verb: "model_down", title: "Model down", about: "Asking the model fails and is tried again, for about a minute; then the message says why.", value: "on", button: "Take down", broken: (faults) => faults.model_down, mend: ["model_down", "off", "Bring up"] },
      { verb: "cut_answers", title: "Cut answers", about: "Answers break off in the middle. Half an answer is none: the model is asked again.", control: { label: "Answers", inputmode: "numeric", value: "1" }, button: "Cut", broken: (faults) => faults.cut_answers > 0, mend: ["cut_answers", "0", "No more"] },
    ],
  },
];

/** All cards. `order(verb, value)` resolves to the answer; `draw(summary, lost)` keeps them up to date. */
export function createBreakCards(notice, order) {
  const groups = BREAK_GROUPS.map((group) => createBreakGroup(notice, order, group));
  const el = h("div", { class: "dd-bk-groups" }, ...groups.map((group) => group.el));
  return { el, draw: (summary, lost) => groups.forEach((group) => group.draw(summary, lost)) };
}

function createBreakGroup(notice, order, { title, needs, experiments }) {
  const id = uniqueId("group");
  const why = h("p", { class: "dd-bk-impossible" });
  const cards = experiments.map((experiment) => createBreakCard(notice, order, experiment));
  const el = h("section", { class: "dd-bk-group", "aria-labelledby": id }, h("div", { class: "dd-bk-heading", id, role: "heading", "aria-level": 3 }, title), why, ...cards.map((card) => card.el));
  return {
    el,
    draw({ possible, faults, ready }, lost) {
      setText(why, possible[needs]);
      for (const card of cards) card.draw(faults, lost || possible[needs] || (ready ? "" : FAR_END.waiting));
    },
  };
}

function createBreakCard(notice, order, { verb, title, about, choices, control, value, button, broken = () => false, mend }) {
  const id = uniqueId("card");
  const select = choices && focusable("select", { class: "dd-bk-input", "aria-label": "How" }, ...choices.map(([chosen, words]) => h("option", { value: chosen }, words)));
  const input = control && focusable("input", { id: `${id}-field`, class: "dd-bk-input", type: "text", inputmode: control.inputmode, autocomplete: "off", "aria-describedby": `${id}-told`, onkeydown: onKey, oninput: () => say("", false) });
  const told = h("p", { class: "dd-bk-told", id: `${id}-told`, role: "status" });
  const act = createRunsButton(notice, button, press, { tone: "plain", about: title === button ? "" : `(${title})` });
  const undo = mend && createRunsButton(notice, mend[2], () => tell(mend[0], mend[1]), { tone: "primary", about: `(${title})` });
  const state = h("span", { class: "dd-bk-force" }, "in force");
  let was = false;
  let claims = false;
  if (input) input.value = control.value;
  const field = input ? [h("label", { for: input.id }, control.label), input] : [];
  const el = h(
    "div",
    { class: "dd-bk-card", role: "group", "aria-labelledby": id, "aria-describedby": `${id}-about` },
    h("div", { class: "dd-bk-words" }, h("span", { class: "dd-bk-title", id }, title), state),
    h("div", { class: "dd-bk-controls" }, ...(select ? [select] : []), ...field, act.el, ...(undo ? [undo.el] : [])),
    h("p", { class: "dd-bk-about", id: `${id}-about` }, about),
    told,
  );

  function say(words, wrong) {
    setText(told, words);
    told.classList.toggle("dd-bk-wrong", wrong);
    if (input) setAttribute(input, "aria-invalid", wrong ? "true" : null);
  }

  function press() {
    if (input && input.value.trim() === "") {
      say(`${control.label}: a number is needed`, true);
      input.focus();
      return undefined;
    }
    const typed = input ? input.value.trim() : (value ?? "");
    return tell(verb, select ? `${select.value} ${typed}` : typed);
  }

  async function tell(name, given) {
    say("", false);
    const { ok, message } = await order(name, given);
    claims = !(mend && name === mend[0] && given === mend[1]);
    say(message, !ok);
  }

  function onKey(event) {
    event.stopPropagation(); // the notebook around it takes Ctrl+Enter for its own
    if (event.key === "Enter" && !event.isComposing) act.el.click();
  }

  return {
    el,
    draw(faults, why) {
      const on = broken(faults);
      el.classList.toggle("dd-bk-on", on);
      state.hidden = !on;
      if (was && !on && claims) say("", false); // it tells of what is over
      was = on;
      act.set(why);
      if (!undo) return;
      if (!on && undo.el === document.activeElement) act.el.focus();
      undo.el.hidden = !on;
      undo.set(why);
    },
  };
}
