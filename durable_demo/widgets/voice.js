// What a screen reader hears: a few sentences at a time; all the rest would drown the listener.
import { h } from "./dom.js";

const SPEAK_INTERVAL_MS = 1_500;

/** The voice of one view. Its `el` is the caller's to place: a hidden voice is silent. */
export function createVoice(feed) {
  const el = h("div", { class: "dd-hidden", role: "status", "aria-live": "polite" });
  let queue = [];
  let timer = 0;

  function say(news) {
    // One voice is enough when the same feed is shown several times; it must be one that is not hidden.
    if (!feed.speaker?.getClientRects().length) feed.speaker = el;
    if (news.length === 0 || feed.speaker !== el) return;
    queue.push(...news);
    timer ||= setTimeout(speak, SPEAK_INTERVAL_MS);
  }

  function speak() {
    timer = 0;
    const left = queue.length - 3;
    el.textContent = (left > 0 ? `${left} more. ` : "") + queue.slice(-3).join(" ");
    queue = [];
  }

  return {
    el,
    say,
    dispose() {
      clearTimeout(timer);
      if (feed.speaker === el) feed.speaker = null;
    },
  };
}
