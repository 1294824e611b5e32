/**
 * Keeps a picture in step with the leading one while both play: a little faster or slower while it
 * is off by a few frames, a jump when it is off by more.
 */

/** Beyond this nobody should see it catch up, seconds. */
const JUMP_S = 0.4;
/** A drift of one second would be made good within this time, seconds. */
const CATCH_UP_S = 0.6;
/** Strongest correction of the speed. */
const MOST = 0.25;

export type Correction = { kind: 'jump' } | { kind: 'rate'; rate: number };

/** `driftS`: how far the picture is ahead of the leading one, in seconds of media time. */
export function correction(driftS: number, rate: number, frameS: number): Correction {
  if (Math.abs(driftS) > Math.max(JUMP_S * rate, 2 * frameS)) return { kind: 'jump' };
  if (Math.abs(driftS) < frameS / 4) return { kind: 'rate', rate };
  const change = Math.max(-MOST, Math.min(MOST, -driftS / CATCH_UP_S));
  return { kind: 'rate', rate: rate * (1 + change) };
}
