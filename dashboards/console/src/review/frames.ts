/**
 * The frame table of a span of footage: which frame is shown when, on the player's clock and on the
 * wall's. Media time follows the wall clock, so one number leads from either to the other.
 */
import type { FrameTable } from '../lib/wire';

const TICKS_PER_S = 90_000;
const US_PER_S = 1_000_000;

/** The frame on screen at a media time, seconds; the first or last one outside of the table. */
export function frameAt(table: FrameTable, seconds: number): number {
  // A player tells times in microseconds or as floats: half a millisecond early is still this frame.
  const ticks = seconds * TICKS_PER_S + 45;
  let low = 0;
  let high = table.times_90k.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((table.times_90k[middle] ?? 0) <= ticks) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** Where to put the player so that it shows this frame and no other: its middle, seconds. */
export function middleOf(table: FrameTable, frame: number): number {
  const at = table.times_90k[frame] ?? 0;
  const next = table.times_90k[frame + 1] ?? table.end_90k;
  // A frame that is held over a gap is found at its beginning.
  return (at + Math.min(next - at, TICKS_PER_S / 25) / 2) / TICKS_PER_S;
}

/** Media time at which a frame begins, seconds. */
export function startOf(table: FrameTable, frame: number): number {
  return (table.times_90k[frame] ?? 0) / TICKS_PER_S;
}

/** How long a frame is shown, seconds. */
export function lengthOf(table: FrameTable, frame: number): number {
  const at = table.times_90k[frame] ?? 0;
  return ((table.times_90k[frame + 1] ?? table.end_90k) - at) / TICKS_PER_S;
}

/** Wall clock at a media time, microseconds since 1970. */
export function wallAt(table: FrameTable, seconds: number): number {
  return table.start_us + seconds * US_PER_S;
}

/** Media time at an instant, seconds; before 0 or past the end outside of the footage. */
export function mediaAt(table: FrameTable, wallUs: number): number {
  return (wallUs - table.start_us) / US_PER_S;
}

/** Whether the footage shows an instant, apart from gaps. */
export function covers(table: FrameTable, wallUs: number): boolean {
  const at = mediaAt(table, wallUs);
  const wallMs = wallUs / 1000;
  return at >= 0 && at * TICKS_PER_S < table.end_90k && !table.gaps.some(({ from_ms, to_ms }) => wallMs > from_ms && wallMs < to_ms);
}
