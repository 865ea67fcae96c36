// A log that stays at its end while its reader is there, and a button that leads back to it.
import { focusable, setText } from "./dom.js";

const AT_END_PX = 24;
const HAND_MS = 1_000;

/** Keeps `log` at the end of the `content` in it; `next()` counts its rows, `words(unseen)` is what the button says. */
export function createLogEnd(log, content, { next, words }) {
  const jump = focusable("button", { type: "button", class: "dd-button dd-jump", hidden: true, onclick: jumpToEnd });
  let following = true;
  let lastTop = 0;
  let touched = -Infinity;
  let seen = 0;

  function pin() {
    log.scrollTop = log.scrollHeight;
    lastTop = log.scrollTop;
    seen = next();
  }

  function drawJump() {
    jump.hidden = following;
    setText(jump, words(next() - seen));
  }

  function settle() {
    if (following) pin();
    drawJump();
  }

  function follow() {
    following = true;
    log.classList.remove("dd-reading");
  }

  function onScroll() {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < AT_END_PX;
    // Only an upward move is the reader's: rows that come or take their real height move the end away, never the top up.
    // Jupyter takes cells out of the page and puts them back, which shows the top: the reader has no hand in that.
    if (atEnd) following = true;
    else if (log.scrollTop < lastTop - 1 && (log.scrollTop > 0 || performance.now() - touched < HAND_MS)) following = false;
    lastTop = log.scrollTop;
    if (following && !atEnd) pin();
    if (following) seen = next();
    log.classList.toggle("dd-reading", !following);
    drawJump();
  }

  function jumpToEnd() {
    follow();
    settle();
    log.focus({ preventScroll: true });
  }

  log.addEventListener("scroll", onScroll);
  for (const hand of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    log.addEventListener(hand, () => (touched = performance.now()), { passive: true });
  }
  const resize = new ResizeObserver(() => {
    if (following) pin();
    else if (log.clientHeight > 0) onScroll(); // all may be in view now
  });
  resize.observe(log);
  resize.observe(content);

  return {
    jump,
    /** To be called when rows have come. */
    settle,
    /** From now on the end is shown, wherever the reader was. */
    follow,
    /** The reader stays where he is, if that is not the end any more. */
    leave: () => (following = false),
    dispose: () => resize.disconnect(),
  };
}
