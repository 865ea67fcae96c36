// What is broken and which processes run, asked again and again while somebody wants to know.

/** Has the kernel look at the stack at once and each `interval()` milliseconds; null: not now. */
export function createBreakPoll(feed, interval) {
  let question = null;
  let next = 0;
  let disposed = false;

  async function ask() {
    clearTimeout(next);
    next = 0;
    if (disposed || document.hidden || interval() === null || question !== null) return;
    const mine = {};
    question = mine;
    await feed.command("look_at_stack");
    if (question !== mine) return;
    question = null;
    later();
  }

  /** Asks when it is time, if anybody wants to know. */
  function later() {
    const pause = interval();
    if (!disposed && pause !== null && question === null) next ||= setTimeout(ask, pause);
  }

  document.addEventListener("visibilitychange", ask);
  return {
    ask,
    later,
    /** The answer to the question under way will not come. */
    abandon: () => (question = null),
    dispose() {
      disposed = true;
      clearTimeout(next);
      document.removeEventListener("visibilitychange", ask);
    },
  };
}

/** Seconds until this moment of the kernel's clock, by a summary that came at `arrived` by ours; null for no moment. */
export const breakSecondsLeft = (end, now, arrived) => (end === null ? null : Math.max(0, Math.ceil((end - now - (Date.now() - arrived)) / 1_000)));
