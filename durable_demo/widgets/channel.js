// One channel of the wire: numbered rows and what stands around them. feed.py describes its messages.

const ENDED = new Set(["COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"]);

/** A channel whose summary is `nothing` until the kernel has told its state. */
export function createChannel(nothing) {
  const listeners = new Set();
  let epoch = "";
  let seq = -1;
  let incoming = null;

  const channel = {
    /** Each with its number first, without a gap in the numbers. */
    rows: [],
    /** Number of the first row kept. */
    first: 0,
    summary: nothing,
    /** Whether the kernel follows a workflow here. */
    following: false,
    /** Whether the kernel has told its state. */
    ready: false,
    /** Grows whenever the rows start anew. */
    generation: 0,
    /** Number that the next row will have. */
    get next() {
      return channel.first + channel.rows.length;
    },
    get ended() {
      return ENDED.has(channel.summary.status);
    },
    /** Whether a workflow is under way. */
    get active() {
      return channel.summary.status !== "" && !channel.ended;
    },

    /** Calls `listener(changedNumbers)` after each change; returns the function that ends it. */
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    /** Takes a message in. Returns "whole" after a snapshot, "partial" if more of it comes, "hole" if one was missed. */
    take: (message) => (message.t === "delta" ? takeDelta(message) : takeSnapshot(message)),
  };

  function takeDelta(message) {
    if (message.epoch === epoch && message.seq <= seq) return "";
    if (message.epoch !== epoch || message.seq !== seq + 1) return "hole";
    seq = message.seq;
    const changed = [];
    for (const row of message.rows) {
      const [number] = row;
      if (number > channel.next) {
        // More rows than anybody keeps came at once: the kernel has dropped all before this one.
        channel.rows = [];
        channel.first = number;
      }
      if (number < channel.first) continue;
      if (number < channel.next) changed.push(number);
      channel.rows[number - channel.first] = row;
    }
    const surplus = Math.min(message.first - channel.first, channel.rows.length);
    if (surplus > 0) {
      channel.rows.splice(0, surplus);
      channel.first += surplus;
    }
    show(message, changed);
    return "";
  }

  function takeSnapshot(message) {
    // An answer to another browser's question comes to all; whoever is up to date leaves it.
    if (channel.ready && message.epoch === epoch && message.seq <= seq) return "whole";
    if (message.part === 0) incoming = { epoch: message.epoch, parts: 0, rows: [] };
    if (incoming === null || incoming.epoch !== message.epoch || incoming.parts !== message.part) {
      incoming = null;
      return "hole";
    }
    incoming.parts += 1;
    for (const row of message.rows) incoming.rows.push(row);
    if (incoming.parts < message.parts) return "partial";
    ({ epoch, seq } = message);
    channel.rows = incoming.rows;
    channel.first = message.first;
    channel.ready = true;
    channel.generation += 1;
    incoming = null;
    show(message, []);
    return "whole";
  }

  function show({ summary, following }, changed) {
    channel.summary = summary;
    channel.following = following;
    for (const listener of listeners) listener(changed);
  }

  return channel;
}
