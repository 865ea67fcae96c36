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

  const notify = () => listeners.forEach((listener) => listener());

  function keep(wanted) {
    const kept = messages.filter(wanted);
    if (kept.length === messages.length) return;
    messages = kept;
    notify();
  }

  const drop = (message) => keep((other) => other !== message);

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
    else if (answer.invalid) drop(message);
    else message.reason = answer.message;
    notify();
    return answer;
  }

  chat.listen(() => {
    const { workflow_id: here } = chat.summary;
    const arrived = new Set(chat.rows.map(([, turn]) => turn.id));
    // What was meant for a conversation that is not shown any more has no place in this one.
    keep(({ id, meantFor }) => !arrived.has(id) && (meantFor === "" || here === "" || meantFor === here));
  });

  return {
    /** `{id, text, sent, reason, slow}` each; `reason` is why it was not sent, "" while it is on its way. */
    get messages() {
      return messages;
    },

    /** Sends a text, as a new message or instead of an earlier one; resolves to the kernel's answer. */
    send(text, retryOf = "") {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
      const message = { id, text, retryOf, sent: new Date().toISOString(), meantFor: chat.summary.workflow_id, reason: "", slow: false };
      messages = [...messages, message];
      return transmit(message);
    },

    /** Sends a message again that was not sent; with the same id, so that it is one message even if it was. */
    again: transmit,

    drop,

    /** Forgets all: another conversation is shown. */
    clear: () => keep(() => false),

    /** The kernel is gone: nothing is on its way any more. */
    lose(reason) {
      for (const message of messages) message.reason ||= reason;
      notify();
    },

    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
