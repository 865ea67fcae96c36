// The slim line on all other tabs while something is broken on purpose, so that nobody wonders.
import { focusable, h, setText } from "./dom.js";
import { createBreakPoll, breakSecondsLeft } from "./break_poll.js";

const BREAK_BANNER_POLL_MS = 3_000;
const BREAK_BANNER_TICK_MS = 1_000;

/** The line; `onReset()` leads to the question before everything is reset. */
export function createBreakBanner(feed, onReset) {
  const state = feed.break;
  const words = h("span", {});
  const button = focusable("button", { type: "button", class: "dd-button dd-plain", onclick: onReset }, "Reset...");
  const el = h("div", { class: "dd-bk-banner", role: "region", "aria-label": "Broken on purpose", hidden: true }, words, button);
  let elsewhere = false;
  let lost = false;
  let ticking = 0;
  let known = null;
  let arrived = 0;

  const broken = () => state.summary.broken.length > 0;
  const poll = createBreakPoll(feed, () => (elsewhere && !lost && broken() ? BREAK_BANNER_POLL_MS : null));

  function draw() {
    if (known !== state.summary) [known, arrived] = [state.summary, Date.now()];
    const { broken: told, now } = state.summary;
    el.hidden = !elsewhere || !broken();
    const parts = told.map(([what, end]) => [what, breakSecondsLeft(end, now, arrived)]).map(([what, left]) => (left === null ? what : `${what} (${left} s left)`));
    setText(words, `Broken on purpose: ${parts.join(", ")}`);
    if (el.hidden) {
      clearInterval(ticking);
      ticking = 0;
    } else ticking ||= setInterval(draw, BREAK_BANNER_TICK_MS);
    poll.later();
  }

  const unlisten = state.listen(draw);
  return {
    el,
    /** Whether another tab than Break it is shown, in which all this is seen better. */
    show(value) {
      elsewhere = value;
      draw();
    },
    setDisconnected(value) {
      lost = value;
      if (value) poll.abandon();
      draw();
    },
    dispose() {
      elsewhere = false;
      clearInterval(ticking);
      poll.dispose();
      unlisten();
    },
  };
}
