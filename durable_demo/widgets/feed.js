// The browser's end of the wire to a trace in the kernel; feed.py is the other end and describes the messages.
// It knows no transport: `send` takes a message, `receive` is called with each one that comes.

export const MAX_LINES = 10_000;
const RESYNC_PATIENCE_MS = 3_000;
const RESYNC_PATIENCE_LIMIT_MS = 60_000;
const ANSWER_DEADLINE_MS = 60_000;
const MONTY = "MontyPythonWorkflow";
const ENDED = new Set(["COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"]);

const NO_SUMMARY = { workflow_id: "", workflow_type: "", status: "", started: "", progress: null, activity: "", attempt: 1, connected: true, problem: "", footer: "" };

export function createFeed(send) {
  const listeners = new Set();
  const commands = new Map();
  const page = Math.random().toString(36).slice(2);
  let epoch = "";
  let seq = -1;
  let incoming = null;
  let repeat = 0;
  let patience = RESYNC_PATIENCE_MS;
  let views = 0;
  let commandCount = 0;

  const feed = {
    /** `[number, timestamp, text, kind]` each, without a gap in the numbers. */
    lines: [],
    /** Number of the first line kept. */
    first: 0,
    summary: NO_SUMMARY,
    panel: { starting: false, following: false, alerts: [] },
    /** Whether the kernel has told its state. */
    ready: false,
    /** The one view that speaks to screen readers. */
    speaker: null,
    /** Grows whenever the lines start anew. */
    generation: 0,
    /** Number that the next line will have. */
    get next() {
      return feed.first + feed.lines.length;
    },
    get ended() {
      return ENDED.has(feed.summary.status);
    },
    /** Whether a workflow is under way. */
    get active() {
      return feed.summary.status !== "" && !feed.ended;
    },
    /** Whether it is one that Start Monty starts. */
    get monty() {
      return feed.summary.workflow_type === MONTY;
    },

    /** Calls `listener(changedNumbers)` after each change; returns the function that ends it. */
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    /** Tells the kernel that somebody may look, as long as there is a view; returns the function that ends this one. */
    join() {
      views += 1;
      if (views === 1) tell({ t: "shown", page, shown: true });
      return () => {
        views -= 1;
        if (views === 0) tell({ t: "shown", page, shown: false });
      };
    },

    /** Asks for the whole state, unless it is on its way. */
    hello() {
      if (!repeat) ask();
    },

    /** Resolves to `{ok, message}`, also when nobody answers. */
    command(name, args = {}) {
      const id = `${page}-${++commandCount}`;
      return new Promise((resolve) => {
        const settle = (answer) => {
          clearTimeout(timer);
          commands.delete(id);
          resolve(answer);
        };
        const timer = setTimeout(
          () => settle({ ok: false, message: "The kernel has not answered within a minute. Wait for the running cell to end, or restart the kernel." }),
          ANSWER_DEADLINE_MS,
        );
        commands.set(id, settle);
        try {
          send({ t: "command", id, name, args });
        } catch (error) {
          settle({ ok: false, message: `The kernel cannot be reached (${error.message}). Run the cells again from the first one to reconnect.` });
        }
      });
    },

    receive(message) {
      if (message.t === "delta") takeDelta(message);
      else if (message.t === "snapshot") takeSnapshot(message);
      else if (message.t === "answer") commands.get(message.id)?.(message);
    },
  };

  function tell(message) {
    try {
      send(message);
    } catch (error) {
      console.warn("durable-demo: cannot reach the kernel", error);
    }
  }

  function ask() {
    awaitSnapshot();
    tell({ t: "hello", epoch, seq });
  }

  /** Asks again if no whole snapshot comes: a message may be lost, and nothing need change that would tell. */
  function awaitSnapshot() {
    repeat ||= setTimeout(() => {
      repeat = 0;
      // Ever more slowly: a kernel that is busy for long answers all of them afterwards.
      patience = Math.min(2 * patience, RESYNC_PATIENCE_LIMIT_MS);
      ask();
    }, patience);
  }

  function endWaiting() {
    clearTimeout(repeat);
    repeat = 0;
    patience = RESYNC_PATIENCE_MS;
  }

  function takeDelta(message) {
    if (message.epoch === epoch && message.seq <= seq) return;
    if (message.epoch !== epoch || message.seq !== seq + 1) {
      feed.hello();
      return;
    }
    seq = message.seq;
    feed.summary = message.summary;
    feed.panel = message.panel;
    const changed = [];
    for (const line of message.lines) {
      const [number] = line;
      if (number > feed.next) {
        // More lines than anybody keeps came at once: the kernel has dropped all before this one.
        feed.lines = [];
        feed.first = number;
      }
      if (number < feed.first) continue;
      if (number < feed.next) changed.push(number);
      feed.lines[number - feed.first] = line;
    }
    const surplus = feed.lines.length - MAX_LINES;
    if (surplus > 0) {
      feed.lines.splice(0, surplus);
      feed.first += surplus;
    }
    notify(changed);
  }

  function takeSnapshot(message) {
    // An answer to another browser's question comes to all; whoever is up to date leaves it.
    if (feed.ready && message.epoch === epoch && message.seq <= seq) {
      endWaiting();
      return;
    }
    if (message.part === 0) incoming = { epoch: message.epoch, parts: 0, lines: [] };
    if (incoming === null || incoming.epoch !== message.epoch || incoming.parts !== message.part) {
      incoming = null;
      feed.hello();
      return;
    }
    awaitSnapshot();
    incoming.parts += 1;
    for (const line of message.lines) incoming.lines.push(line);
    if (incoming.parts < message.parts) return;
    ({ epoch, seq } = message);
    feed.lines = incoming.lines;
    feed.first = message.first;
    feed.summary = message.summary;
    feed.panel = message.panel;
    feed.ready = true;
    feed.generation += 1;
    incoming = null;
    endWaiting();
    notify([]);
  }

  function notify(changed) {
    for (const listener of listeners) listener(changed);
  }

  return feed;
}

/** The feed of an anywidget model. */
export function feedOf(model) {
  const feed = createFeed((message) => model.send(message));
  model.on("msg:custom", (message) => feed.receive(message));
  feed.hello();
  return feed;
}
