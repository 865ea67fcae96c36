// Where a message is written: Enter sends, Shift+Enter begins a new line; Stop ends the answer in hand.
import { createAction } from "./actions.js";
import { focusable, h, setAttribute, setText, uniqueId } from "./dom.js";
import { FAR_END } from "./far_end.js";

const MAX_CHARACTERS = 4_000;
const COUNTED_FROM = 3_500;

/** The input of the channel `chat`; what the kernel refuses comes back into it, with the reason. */
export function createComposer(feed, notice, outbox) {
  const { chat } = feed;
  const id = uniqueId("message");
  let lost = false;
  const input = focusable("textarea", { id, class: "dd-input", rows: 1, placeholder: "Type your message...", "aria-describedby": `${id}-help`, onkeydown: onKey, oninput: onInput });
  const send = focusable("button", { type: "submit", class: "dd-button dd-primary" }, "Send");
  const stop = createAction(feed, notice, {
    command: "stop_answer",
    pending: "Stopping...",
    tone: "danger",
    situation: () => `${chat.generation} ${answering()?.[0]}`,
    look: () => ({ label: "Stop", reason: "", args: { message_id: answering()?.[1].id ?? "" } }),
  });
  const error = h("p", { class: "dd-refusal", role: "status" });
  const help = h("p", { class: "dd-help", id: `${id}-help` });
  const count = h("p", { class: "dd-count" });
  const form = h(
    "form",
    { class: "dd-composer", onsubmit: onSubmit },
    h("label", { class: "dd-hidden", for: id }, "Message"),
    h("div", { class: "dd-composer-row" }, input, stop.el, send),
    error,
    h("div", { class: "dd-composer-notes" }, help, count),
  );

  const answering = () => chat.rows.find(([, turn]) => turn.ended === "");

  function obstacle() {
    if (lost) return FAR_END.lostInput;
    if (!chat.ready) return `${FAR_END.waiting}.`;
    if (chat.ended) return `This conversation has ended (${chat.summary.status}). It can be read; begin a new one to go on.`;
    return "";
  }

  function onKey(event) {
    event.stopPropagation(); // the notebook around it takes Shift+Enter for its own
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  }

  function onInput() {
    setText(error, "");
    grow();
    update();
  }

  function onSubmit(event) {
    event.preventDefault();
    submit();
    input.focus();
  }

  function submit() {
    const text = input.value;
    if (text.trim() === "" || obstacle()) return;
    input.value = "";
    onInput();
    outbox.send(text, composer);
  }

  /** Takes a text back, with the reason, unless something else is being written; returns whether it did. */
  function take(text, reason) {
    if (!form.isConnected || input.value.trim() !== "") return false;
    input.value = text;
    onInput();
    setText(error, reason);
    return true;
  }

  /** As high as its text, up to what the style sheet allows. */
  function grow() {
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight + 2}px`;
  }

  function update() {
    const why = obstacle();
    const characters = [...input.value].length;
    setAttribute(send, "aria-disabled", why || input.value.trim() === "" ? "true" : null);
    setAttribute(input, "readonly", why ? "" : null);
    setAttribute(input, "aria-invalid", characters > MAX_CHARACTERS ? "true" : null);
    setText(help, why || "Enter sends, Shift+Enter begins a new line");
    help.classList.toggle("dd-obstacle", why !== "");
    setText(count, characters >= COUNTED_FROM ? `${characters.toLocaleString("en")} of ${MAX_CHARACTERS.toLocaleString("en")}` : "");
    count.classList.toggle("dd-too-many", characters > MAX_CHARACTERS);
    const busy = !chat.ended && answering() !== undefined;
    // The keyboard stays where it was when the button under it goes.
    if (!busy && stop.el.matches(":focus")) input.focus();
    stop.el.hidden = !busy;
    stop.update();
  }

  const composer = {
    el: form,
    update,
    take,
    focus: () => input.focus({ preventScroll: true }),
    setDisconnected(value) {
      lost = value;
      stop.setDisconnected(value);
      update();
    },
  };
  return composer;
}
