// Which part of the time is shown: all of it, the newest part as it grows, or what the reader has chosen.

const TIMELINE_SHORTEST_MS = 100;
const TIMELINE_FIRST_LIVE_MS = 5_000;
const TIMELINE_FOLLOWED_MS = 60_000;
/** Room at the right for the symbols at the end, and at the left for marks at the beginning; shares of the window. */
const TIMELINE_END_ROOM = 0.05;
const TIMELINE_START_ROOM = 0.012;

export function createTimelineWindow() {
  let begin = 0;
  let stop = TIMELINE_SHORTEST_MS;
  let live = false;
  let floor = TIMELINE_SHORTEST_MS;
  // While it follows the end, `from` has no say.
  let following = true;
  let span = null;
  let from = 0;

  const longest = () => (stop - begin) / (1 - TIMELINE_END_ROOM - TIMELINE_START_ROOM);
  const width = () => Math.min(span ?? Infinity, longest());
  const lastFrom = () => stop - width() * (1 - TIMELINE_END_ROOM);
  const firstFrom = () => Math.min(lastFrom(), begin - width() * TIMELINE_START_ROOM);

  function current() {
    const start = following ? lastFrom() : Math.min(lastFrom(), Math.max(firstFrom(), from));
    return { from: start, to: start + width() };
  }

  function leaveTo(start, length) {
    span = Math.max(TIMELINE_SHORTEST_MS, length);
    if (span >= longest()) return fit();
    from = start;
    following = from >= lastFrom();
  }

  function fit() {
    following = true;
    span = Infinity;
  }

  return {
    current,
    fit,
    get following() {
      return following;
    },
    restart() {
      following = true;
      span = null;
      floor = TIMELINE_SHORTEST_MS;
    },
    /** From when to when there is something, and whether it grows. */
    bound(first, last, growing) {
      live = growing;
      // Whatever begins has a frame to grow in, instead of a scale that shrinks all the time.
      if (live) floor = TIMELINE_FIRST_LIVE_MS;
      begin = first;
      stop = Math.max(last, first + floor);
      span ??= live ? TIMELINE_FOLLOWED_MS : Infinity;
    },
    /** Shows `factor` times as much; `at` stays where it is: without it the end while it grows, else the middle. */
    zoom(factor, at = null) {
      const shown = current();
      const length = Math.max(TIMELINE_SHORTEST_MS, (shown.to - shown.from) * factor);
      if (at === null && following && live) {
        span = length;
        return;
      }
      const pole = at ?? (shown.from + shown.to) / 2;
      leaveTo(pole - ((pole - shown.from) / (shown.to - shown.from)) * length, length);
    },
    /** Moves by this share of what is shown. */
    pan(share) {
      const shown = current();
      leaveTo(shown.from + share * (shown.to - shown.from), shown.to - shown.from);
    },
    /** Moves as little as needed to have these moments in view, the first one if not both fit. */
    reveal(first, last) {
      const shown = current();
      const length = shown.to - shown.from;
      const rim = length * 0.03;
      if (first < shown.from && last < shown.to) leaveTo(first - rim, length);
      else if (first > shown.to - rim) leaveTo(Math.min(first, last - length + 2 * rim) - rim, length);
    },
    toBegin: () => leaveTo(firstFrom(), width()),
    follow: () => (following = true),
  };
}
