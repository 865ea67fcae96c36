// The browser's end of the wire to a widget in the kernel; feed.py is the other end and describes the messages.
// It knows no transport: `send` takes a message, `receive` is called with each one that comes.
import { createChannel } from "./channel.js";
import { FAR_END } from "./far_end.js";

const RESYNC_PATIENCE_MS = 3_000;
const RESYNC_PATIENCE_LIMIT_MS = 60_000;
const ANSWER_DEADLINE_MS = 60_000;

/** The summary of each channel until the kernel has told its state. */
const NOTHING = {
  trace: { workflow_id: "", workflow_type: "", status: "", started: "", progress: null, activity: "", attempt: 1, connected: true, problem: "", footer: "" },
  panel: { starting: false, chats: null, alerts: [], web_ui: null },
  chat: { workflow_id: "", status: "", started: "", model: "", weather: "", notice: "", connected: true, problem: "" },
  timeline: { workflow_id: "", workflow_type: "", status: "", start: null, end: null, now: null, connected: true },
  history: { workflow_id: "", run_id: "", status: "", runs: 0 },
  runs: { listed: false, problem: "", more: false },
  break: { ready: false, possible: { workers: "", server: "" }, server: null, workers: [], faults: { workers: 1, frozen: false, server: true, network: "ok", failures: 0, slow_tools: 0, model_down: false, cut_answers: 0 }, broken: [], incidents: [], problem: "", resetting: false, reset: "", now: 0 },
  recovery: { workflow_id: "", status: "", kind: "", done: "", expected: "", since: "", gap: 0, waiting_since: "", headline: "", facts: [], now: 0 },
  chat_recovery: { workflow_id: "", status: "", kind: "", done: "", expected: "", since: "", gap: 0, waiting_since: "", headline: "", facts: [], now: 0 },
  compare: { busy: false, workflow_ids: [], unit: "", problem: "", finding: "", notes: [], columns: [], axis: null, runs: [] },
};

/** A feed with the channels of these names. */
export function createFeed(send, names) {
  const channels = Object.fromEntries(names.map((name) => [name, createChannel(NOTHING[name])]));
  const commands = new Map();
  const page = Math.random().toString(36).slice(2);
  const missing = new Set();
  let repeat = 0;
  let patience = RESYNC_PATIENCE_MS;
  let views = 0;
  let commandCount = 0;

  const feed = {
    ...channels,
    /** The one view that speaks to screen readers. */
    speaker: null,

    /** Calls `listener` after each change of any channel; returns the function that ends it. */
    listen(listener) {
      const ends = Object.values(channels).map((channel) => channel.listen(listener));
      return () => ends.forEach((end) => end());
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

    /** Asks for the whole state at once: what was on its way is lost, since the far end was. */
    renew() {
      endWaiting();
      ask();
    },

    /** Resolves to `{ok, message, alert, invalid}`, also when nobody answers. */
    command(name, args = {}, deadline = ANSWER_DEADLINE_MS) {
      const id = `${page}-${++commandCount}`;
      return new Promise((resolve) => {
        const settle = (answer) => {
          clearTimeout(timer);
          commands.delete(id);
          resolve(answer);
        };
        const timer = setTimeout(
          () => settle({ ok: false, message: FAR_END.silent(deadline / 60_000) }),
          deadline,
        );
        commands.set(id, settle);
        try {
          send({ t: "command", id, name, args });
        } catch (error) {
          settle({ ok: false, message: FAR_END.unreachable(error.message) });
        }
      });
    },

    receive(message) {
      if (message.t === "answer") commands.get(message.id)?.(message);
      else if (message.channel in channels) take(message);
    },
  };

  function take(message) {
    const name = message.channel;
    const outcome = channels[name].take(message);
    if (outcome === "hole") {
      missing.add(name);
      feed.hello();
    } else if (outcome === "partial") {
      missing.add(name);
      awaitSnapshots();
    } else if (outcome === "whole") {
      missing.delete(name);
      if (missing.size === 0) endWaiting();
    }
  }

  function tell(message) {
    try {
      send(message);
    } catch (error) {
      console.warn("durable-demo: cannot reach the kernel", error);
    }
  }

  function ask() {
    Object.keys(channels).forEach((name) => missing.add(name));
    awaitSnapshots();
    tell({ t: "hello" });
  }

  /** Asks again if not all comes: a message may be lost, and nothing need change that would tell. */
  function awaitSnapshots() {
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

  return feed;
}

/** The feed of an anywidget model; see `createFeed`. */
export function feedOf(model, names) {
  const feed = createFeed((message) => model.send(message), names);
  model.on("msg:custom", (message) => feed.receive(message));
  feed.hello();
  return feed;
}
