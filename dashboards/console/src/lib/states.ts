/**
 * What the states of sources and cameras mean to whoever watches them. The words stand in the
 * dictionaries; which states there are, in `docs/generated/tables.md` (a test compares).
 */
import type { CameraRow } from './rows';

/** `neutral`: something happened, and nothing has to be done. */
export type Standing = 'good' | 'bad' | 'neutral';

const SOURCES: ReadonlyMap<string, Standing> = new Map([
  ['alive', 'good'],
  ['connected', 'good'],
  ['idle', 'bad'],
  ['dead', 'bad'],
  ['lost', 'bad'],
  ['clock_ahead', 'bad'],
  ['clock_good', 'good'],
  ['disk_full', 'bad'],
  ['disk_slow', 'bad'],
  ['disk_good', 'good'],
  ['sync_failed', 'bad'],
  ['log_damaged', 'bad'],
  ['log_good', 'good'],
  ['worker_failed', 'bad'],
  ['worker_good', 'good'],
  ['set_aside', 'bad'],
  ['taken_back', 'good'],
  ['switched_off', 'bad'],
  ['switched_on', 'good'],
  // Told when it is over: nothing follows it.
  ['late', 'neutral'],
]);

const CAMERAS: ReadonlyMap<string, Standing> = new Map([
  ['connected', 'good'],
  ['lost', 'bad'],
  ['refused', 'bad'],
  ['removed', 'bad'],
  ['parameters_changed', 'neutral'],
  ['packets_lost', 'bad'],
  ['packets_good', 'good'],
  ['clock_drift', 'bad'],
  ['clock_good', 'good'],
  ['timestamps_jumped', 'neutral'],
  ['recording', 'good'],
  ['recording_lost', 'bad'],
  ['recording_good', 'good'],
]);

export const SOURCE_STATES: readonly string[] = [...SOURCES.keys()];
export const CAMERA_STATES: readonly string[] = [...CAMERAS.keys()];

/** A state that this page does not know is shown as it is, and as neither. */
export const sourceStanding = (state: string): Standing => SOURCES.get(state) ?? 'neutral';
export const cameraStanding = (state: string): Standing => CAMERAS.get(state) ?? 'neutral';

const AWAY: ReadonlySet<string> = new Set(['lost', 'refused', 'removed']);

/** Only what a camera's own row says counts: one that was never heard of is not connected. */
export function isConnected(row: Pick<CameraRow, 'state'> | undefined): boolean {
  return row !== undefined && row.state !== '' && !AWAY.has(row.state);
}

/** The cameras of the register that are not connected, in order of their ids. */
export function disconnected(registered: Iterable<string>, rows: ReadonlyMap<string, CameraRow>): string[] {
  return [...registered].filter((id) => !isConnected(rows.get(id))).sort();
}
