// Messages on their way: from the click until the kernel's conversation has them, or the reason why it has not.

// The kernel waits two minutes for an answer; messages before this one may take as long.
const ANSWERED_WITHIN_MS = 600_000;
const SLOW_MS = 5_000;
const LATE_DELTA_MS = 2_000;

/** What all views of one model share; messages stay in the order in which they were sent. */
export function createOutbox(feed) {
  const { chat } = feed;
  const listeners = new Set();
  let messages = [];
  let lost = [];

  const notify = () => listeners.forEach((listener) => listener());

  function keep(wanted) {
    const kept = messages.filter(wanted);
    if (kept.length === messages.length) return;
    messages = kept;
    notify();
  }

  const drop = (message) => keep((other) => other !== message);

  /** A message that cannot stay where it is: its text goes back to where it was written, else into an alert. */
  function giveBack(message, reason) {
    drop(message);
    const taken = message.composer.take(message.text, message.left ? "" : reason);
    if (message.left || !taken) report(message, reason, taken);
    notify();
  }

  /** One alert for all that have the same reason. */
  function report({ id, text }, reason, taken) {
    const what = `a message was not sent: ${reason}`;
    const same = lost.find((alert) => alert.what === what);
    const texts = [same?.text, taken ? "" : text].filter(Boolean).join("\n\n");
    const next = taken ? "send it again: its text is back in the input" : (same?.next ?? "");
    const dismiss = () => {
      lost = lost.filter((alert) => alert.id !== id);
      notify();
    };
    lost = [...lost.filter((alert) => alert !== same), { id, what, why: "", next, text: texts, dismiss }];
  }

  /** Another conversation is shown: what failed is given back, what is on its way goes on unseen. */
  function leave(wanted) {
    const leaving = messages.filter((message) => !message.left && wanted(message));
    for (const message of leaving) message.left = true;
    for (const message of leaving) if (message.reason) giveBack(message, message.reason);
    if (leaving.length > 0) notify();
  }

  async function transmit(message) {
    message.reason = "";
    message.slow = false;
    notify();
    const patience = setTimeout(() => {
      message.slow = true;
      notify();
    }, SLOW_MS);
    const { id: message_id, text, retryOf: retry_of } = message;
    const answer = await feed.command("send", { text, message_id, retry_of }, ANSWERED_WITHIN_MS);
    clearTimeout(patience);
    if (answer.ok) setTimeout(() => drop(message), LATE_DELTA_MS);
    else if (messages.includes(message)) fail(message, answer.message, answer.invalid);
  }

  /** It was not sent, as far as can be told; `invalid`: nor will it be, as it is. */
  function fail(message, reason, invalid = false) {
    if (invalid || message.left) return giveBack(message, reason);
    message.reason = reason;
    notify();
  }

  chat.listen(() => {
    const { workflow_id: here } = chat.summary;
    const arrived = new Set(chat.rows.map(([, turn]) => turn.id));
    keep(({ id }) => !arrived.has(id));
    leave(({ meantFor }) => meantFor !== "" && meantFor !== here);
  });

  return {
    /** For the conversation shown: `{id, text, sent, reason, slow}`; `reason` is why it was not sent, "" on its way. */
    get messages() {
      return messages.filter((message) => !message.left);
    },

    /** Alerts about messages that were not sent and have no place in the conversation shown. */
    get lost() {
      return lost;
    },

    /** Sends a text, as a new message or instead of an earlier one; `composer` takes it back if it cannot be sent. */
    send(text, composer, retryOf = "") {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      const meantFor = chat.summary.workflow_id;
      const message = { id, text, composer, retryOf, meantFor, sent: new Date().toISOString(), reason: "", slow: false, left: false };
      messages = [...messages, message];
      transmit(message);
    },

    /** Sends a message again that was not sent; with the same id, so that it is one message even if it was. */
    again(message) {
      if (message.reason) transmit(message);
    },

    drop,

    /** Another conversation was chosen. */
    leave: () => leave(() => true),

    /** The kernel is gone: nothing is on its way any more. */
    lose(reason) {
      for (const message of messages) if (!message.reason) fail(message, reason);
    },

    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
