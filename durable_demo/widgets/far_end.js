// What the views say of the process at the other end of the wire: a notebook's kernel, unless a page says otherwise.

/** A page of its own assigns its words to this before the first view is made. */
export const FAR_END = {
  lost: "Disconnected from the kernel",
  lostBanner: "Disconnected from the kernel - run the cells again from the first one to reconnect. Workflows that run go on.",
  lostInput: "Disconnected from the kernel: run the cells again from the first one.",
  waiting: "Waiting for the kernel",
  waitingView: "Waiting for the kernel: it may be busy with a cell.",
  busy: "The kernel is busy: the click waits for the running cell.",
  sending: "Still sending: the kernel is busy, or no Worker runs...",
  silent: (minutes) => `The kernel has not answered within ${minutes} min. Wait for the running cell to end, or restart the kernel.`,
  unreachable: (why) => `The kernel cannot be reached (${why}). Run the cells again from the first one to reconnect.`,
};
