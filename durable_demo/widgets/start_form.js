// The form that starts Monty workflows: how many, with what sleeps, and whose quotes.
import { focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";

const START_PATIENCE_MS = 2_000;
const START_MAX_COUNT = 20;
const START_MAX_SLEEP_S = 3_600;
const START_MAX_QUOTES = 100;
const START_MAX_QUOTE_LENGTH = 280;

const startQuotes = (text) => text.split("\n").filter((line) => line.trim() !== "");
const startMany = (count) => `${Number(count)} ${Number(count) === 1 ? "workflow" : "workflows"}`;
const startSleep = (text) => (Number(text) > 0 && Number(text) <= START_MAX_SLEEP_S ? "" : `must be more than 0 and at most ${START_MAX_SLEEP_S} seconds, as in 2.5`);

/** What is wrong with the quotes, if that is plain to see. */
function startQuotesProblem(text) {
  const lines = startQuotes(text);
  const long = lines.findIndex((line) => [...line.trim()].length > START_MAX_QUOTE_LENGTH);
  if (lines.length > START_MAX_QUOTES) return `must be at most ${START_MAX_QUOTES}, not ${lines.length}`;
  return long < 0 ? "" : `must have at most ${START_MAX_QUOTE_LENGTH} characters each: quote ${long + 1} has more`;
}

/**
 * The fields, by the names of the command's arguments.
 *
 * `problem(text)` says what is plainly wrong with what was typed; the kernel knows the rest. Its messages begin with the label.
 */
const START_FIELDS = {
  count: {
    label: "Number of workflows",
    hint: `1 to ${START_MAX_COUNT}`,
    value: "1",
    inputmode: "numeric",
    problem: (text) => (/^\+?\d+$/.test(text) && Number(text) >= 1 && Number(text) <= START_MAX_COUNT ? "" : `must be a whole number from 1 to ${START_MAX_COUNT}`),
  },
  min_sleep: { label: "Shortest sleep", hint: "seconds", value: "2", inputmode: "decimal", problem: startSleep },
  max_sleep: { label: "Longest sleep", hint: "seconds", value: "5", inputmode: "decimal", problem: startSleep },
  seed: { label: "Seed", hint: "empty: random", value: "", inputmode: "numeric", problem: (text) => (/^[+-]?\d*$/.test(text) ? "" : "must be a whole number, or empty") },
  iterations: { label: "Iterations", hint: "empty: until stopped", value: "", inputmode: "numeric", problem: (text) => (/^\+?\d*$/.test(text) && text !== "0" ? "" : "must be a whole number from 1 on, or empty") },
  quotes: { label: "Quotes", hint: "One per line. Your own quotes are delivered first.", value: "", problem: startQuotesProblem },
};

/** One field with its label, hint and message. */
function createStartField(name, { label, hint, value, inputmode, problem }) {
  const id = uniqueId(name);
  const several = inputmode === undefined;
  const common = { id, name, class: "dd-sf-input", autocomplete: "off", "aria-describedby": `${id}-hint ${id}-error`, onfocusout: onLeave, oninput: onInput };
  const input = several ? focusable("textarea", { ...common, rows: 4, spellcheck: "true" }) : focusable("input", { ...common, type: "text", inputmode });
  const count = h("span", { class: "dd-sf-count" });
  const hints = h("div", { class: "dd-sf-hint" }, h("span", { id: `${id}-hint` }, hint), ...(several ? [count] : []));
  const error = h("p", { class: "dd-sf-error", id: `${id}-error` });
  const el = h("div", { class: several ? "dd-sf-field dd-sf-wide" : "dd-sf-field" }, h("label", { for: id }, label), input, hints, error);

  const read = () => input.value.trim();

  function say(words) {
    setText(error, words);
    setAttribute(input, "aria-invalid", words ? "true" : null);
  }

  /** Shows what is plainly wrong; returns whether it can be sent. */
  function check() {
    const words = problem(read());
    say(words && `${label} ${words}`);
    return words === "";
  }

  function onLeave({ relatedTarget }) {
    // Start checks it anyway, and must not move away from under the mouse that presses it.
    if (!relatedTarget?.matches("button") && problem(read())) check();
  }

  function onInput() {
    drawCount();
    // Words go while somebody types; new ones come when they are done.
    if (error.textContent && problem(read()) === "") say("");
  }

  function drawCount() {
    const lines = startQuotes(input.value).length;
    setText(count, `${lines} of ${START_MAX_QUOTES} quotes`);
  }

  function reset() {
    input.value = value;
    say("");
    drawCount();
  }

  reset();
  return { el, name, label, input, read, say, check, reset, sound: () => problem(read()) === "" };
}

/** A button that opens it, and the form. `onStarted()` is called when workflows were started. */
export function createStartForm(feed, notice, onStarted) {
  const id = uniqueId("start");
  const fields = Object.entries(START_FIELDS).map(([name, field]) => createStartField(name, field));
  const [count, shortest, longest, , , quotes] = fields;
  const start = focusable("button", { type: "submit", class: "dd-button dd-primary dd-sf-submit" });
  const reset = focusable("button", { type: "button", class: "dd-button dd-plain", onclick: onReset }, "Reset");
  const error = h("p", { class: "dd-problem dd-sf-problem", role: "alert" });
  const el = h(
    "form",
    { id, class: "dd-sf", hidden: true, novalidate: true, "aria-label": "Start options", onsubmit: onSubmit, oninput: onInput, onkeydown: onKey },
    h("div", { class: "dd-sf-fields" }, ...fields.map((field) => field.el)),
    error,
    h("div", { class: "dd-sf-foot" }, start, reset),
  );
  const button = focusable("button", { type: "button", class: "dd-button dd-plain dd-sf-button", "aria-expanded": "false", "aria-controls": id, onclick: () => toggle(el.hidden) }, "Start with options");
  let lost = false;
  let pending = false;
  let explained = "";

  const obstacle = () => (lost ? FAR_END.lost : feed.panel.ready ? "" : FAR_END.waiting);

  function toggle(open) {
    el.hidden = !open;
    setAttribute(button, "aria-expanded", String(open));
    if (open) count.input.focus();
  }

  function onInput() {
    setText(error, "");
    update();
  }

  function onKey(event) {
    event.stopPropagation(); // the notebook around it takes Ctrl+Enter for its own
    if (event.key === "Escape" && !event.isComposing) {
      toggle(false);
      button.focus();
    }
    if (event.key === "Enter" && event.target === quotes.input && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      el.requestSubmit();
    }
  }

  function onReset() {
    for (const field of fields) field.reset();
    onInput();
    count.input.focus();
  }

  /** The order of the sleeps is seen by neither of them alone. */
  function checkAll() {
    const wrong = fields.filter((field) => !field.check());
    if (wrong.length > 0 || Number(shortest.read()) <= Number(longest.read())) return wrong;
    shortest.say("Shortest sleep must not be longer than Longest sleep");
    return [shortest];
  }

  function onSubmit(event) {
    event.preventDefault();
    if (pending) return;
    explained = obstacle();
    notice.say(explained);
    if (explained) return;
    setText(error, "");
    const [wrong] = checkAll();
    if (wrong) wrong.input.focus();
    else send();
  }

  async function send() {
    const args = Object.fromEntries(fields.map((field) => [field.name, field.input.value]));
    pending = true;
    update();
    const hint = setTimeout(() => notice.say(FAR_END.busy), START_PATIENCE_MS);
    const { ok, message, alert, invalid } = await feed.command("start_many", args);
    clearTimeout(hint);
    pending = false;
    update();
    notice.say(ok ? message || `${startMany(args.count)} started` : "");
    if (ok) onStarted();
    else if (!alert) setText(error, message);
    if (invalid) blame(message);
  }

  /** Says it under its field too. */
  function blame(message) {
    const field = fields.find(({ label }) => message.startsWith(label));
    field?.say(message);
    if (el.matches(":focus-within")) field?.input.focus();
  }

  function update() {
    const why = obstacle();
    if (explained !== why) {
      notice.retract(explained);
      explained = "";
    }
    setAttribute(start, "aria-disabled", pending || why ? "true" : null);
    setAttribute(start, "aria-busy", pending ? "true" : null);
    setAttribute(start, "title", why || null);
    setText(start, pending ? "Starting..." : count.sound() ? `Start ${startMany(count.read())}` : "Start");
  }

  update();
  return {
    el,
    button,
    update,
    setDisconnected(value) {
      lost = value;
      update();
    },
  };
}
