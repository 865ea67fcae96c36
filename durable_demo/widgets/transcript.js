// The turns of a conversation, those messages on their way, and what is shown before the first one.
import { focusable, h, icon, setText } from "./dom.js";
import { FAR_END } from "./far_end.js";
import { createLogEnd } from "./log_end.js";
import { createOutgoingView, createTurnView } from "./turn_view.js";

const EXAMPLES = ["What's the weather in NYC?", "Which is warmer, Cairo or Oslo?", "What is 12% of 250?", "What can you do?"];
const SPOKEN_CHARACTERS = 500;

/** The transcript of the channel `chat`; `composer` is where the keyboard goes on after what has gone. */
export function createTranscript(feed, outbox, voice, composer) {
  const { chat } = feed;
  const waiting = h("p", {});
  const examples = EXAMPLES.map((text) => focusable("button", { type: "button", class: "dd-button dd-example", onclick: () => tryOut(text) }, text));
  const welcome = h(
    "div",
    { class: "dd-welcome" },
    h("p", { class: "dd-empty-title" }, "Ask the durable agent"),
    h("p", {}, "It answers with tools: weather, time, cities, arithmetic and units. Every step is recorded, so a crash loses nothing."),
    h("div", { class: "dd-examples", role: "group", "aria-label": "Examples" }, ...examples),
  );
  const empty = h("div", { class: "dd-chat-empty" }, h("div", { class: "dd-chat-picture" }, icon("CHAT")), waiting, welcome);
  const earlier = h("p", { class: "dd-earlier" });
  const turnsHost = h("div", {});
  const outgoingHost = h("div", {});
  const content = h("div", { class: "dd-turns" }, earlier, turnsHost, outgoingHost);
  const log = focusable(
    "div",
    { class: "dd-transcript", role: "log", "aria-live": "off", "aria-label": "Conversation", tabindex: 0, onclick: onClick },
    empty,
    content,
  );
  const end = createLogEnd(log, content, { next: () => chat.next, words: () => "Jump to the newest" });
  const el = h("div", { class: "dd-log-frame" }, log, end.jump);

  const turns = new Map();
  const outgoing = new Map();
  const told = new Set();
  let stale = new Set();
  let generation = -1;
  let frame = 0;

  function draw() {
    frame = 0;
    if (generation !== chat.generation) {
      turnsHost.replaceChildren();
      turns.clear();
      end.follow();
    }
    drawTurns();
    drawOutgoing();
    drawEmpty();
    setText(earlier, chat.first > 0 ? `... ${chat.first} earlier messages not shown` : "");
    earlier.hidden = chat.first === 0;
    tell();
    generation = chat.generation;
    end.settle();
  }

  function drawTurns() {
    for (const [number, view] of turns) {
      if (number >= chat.first) continue;
      view.el.remove();
      turns.delete(number);
    }
    let waits = false;
    for (const [number, turn] of chat.rows) {
      let view = turns.get(number);
      if (view === undefined) {
        view = createTurnView((turn) => retry(number, turn));
        turns.set(number, view);
        turnsHost.append(view.el);
        stale.add(number);
      }
      const last = isLast(number);
      // What is over is drawn again only if it was changed or a message has come after it.
      if (stale.has(number) || turn.ended === "" || number >= chat.next - 2) view.update(turn, { waits, last });
      waits ||= turn.ended === "";
    }
    stale = new Set();
  }

  function drawOutgoing() {
    const current = new Set(outbox.messages);
    for (const [message, view] of outgoing) {
      if (current.has(message)) continue;
      view.el.remove();
      outgoing.delete(message);
    }
    const waits = chat.rows.some(([, turn]) => turn.ended === "");
    for (const message of outbox.messages) {
      if (!outgoing.has(message)) {
        const view = createOutgoingView(message, outbox, composer.focus);
        outgoing.set(message, view);
        outgoingHost.append(view.el);
        end.follow();
      }
      outgoing.get(message).update({ waits, open: !chat.ended && !unreadable() });
    }
  }

  function drawEmpty() {
    empty.hidden = !nothingSaid();
    content.hidden = nothingSaid();
    const why = obstacle();
    welcome.hidden = why !== "";
    waiting.hidden = why === "";
    setText(waiting, why);
  }

  /** Why there is nothing to read, unless it is a new conversation. */
  function obstacle() {
    if (!chat.ready) return FAR_END.waitingView;
    if (chat.ended) return "Nothing was said in this conversation.";
    if (unreadable()) return "This conversation cannot be shown. New conversation begins another.";
    return chat.following && chat.summary.status === "" ? "Opening the conversation..." : "";
  }

  const unreadable = () => chat.summary.status === "" && chat.summary.problem !== "";

  /** Answers that have just come are said, and what was not sent; answers that were there before are not. */
  function tell() {
    const news = [...outgoing.values()].map((view) => view.news()).filter(Boolean);
    for (const [number, turn] of chat.rows) {
      if (turn.ended === "" || told.has(turn.id)) continue;
      told.add(turn.id);
      if (generation === chat.generation) news.push(turns.get(number).spoken().slice(0, SPOKEN_CHARACTERS));
    }
    voice.say(news);
  }

  /** Whoever unfolds something wants to read that, and not be taken to the end. */
  function onClick(event) {
    if (event.target.closest("summary")) end.leave();
  }

  const nothingSaid = () => chat.rows.length === 0 && outbox.messages.length === 0;

  /** Whether nothing came after a turn, and something may. */
  const isLast = (number) => number === chat.next - 1 && outbox.messages.length === 0 && !chat.ended;

  // The second click of a double click finds these conditions changed, if not yet the page.
  function tryOut(text) {
    if (nothingSaid()) outbox.send(text, composer);
    composer.focus();
  }

  function retry(number, { text, id }) {
    if (isLast(number)) outbox.send(text, composer, id);
    log.focus({ preventScroll: true });
  }

  function schedule() {
    frame ||= requestAnimationFrame(draw);
  }

  const unlisten = chat.listen((changed) => {
    changed.forEach((number) => stale.add(number));
    schedule();
  });
  const unlistenOutbox = outbox.listen(schedule);
  draw();
  return {
    el,
    dispose() {
      unlisten();
      unlistenOutbox();
      cancelAnimationFrame(frame);
      end.dispose();
    },
  };
}
