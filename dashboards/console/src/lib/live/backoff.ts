/** How long to wait before connecting again: full jitter, so that a thousand walls do not return at once. */

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/** `attempt` counts failures from 0; `chance` is uniform in [0, 1). */
export function backoffMs(attempt: number, chance: number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  // Never below a fifth of a second: a server that refuses at once must not be hammered.
  return Math.round(Math.max(200, ceiling * chance));
}
