/**
 * Which alerts wait for somebody, and in which order.
 * Invariant: an alert that nobody has acknowledged is always in the queue, also when its cause is over.
 * One that the engine keeps back asks nobody: it is counted and shown apart.
 */
import type { AlertRow, Severity } from './rows';

/**
 * Priority of a minute of waiting. One step is worth four times the wait; a critical alert stays
 * above everything else, because an hour of the next step (16 × 60) is less than one minute of it.
 */
const WEIGHT: Record<Severity, number> = { critical: 1000, high: 16, medium: 4, low: 1 };
const MINUTE_MS = 60_000;
const AGE_CAP_MIN = 60;

export type Standing = 'unacknowledged' | 'acknowledged' | 'shelved' | 'suppressed' | 'finished' | 'hidden';

export function standing(alert: AlertRow): Standing {
  switch (alert.state) {
    case 'pending':
    case 'cancelled':
      return 'hidden';
    case 'shelved':
      return 'shelved';
    case 'suppressed':
      return 'suppressed';
    case 'firing':
      return alert.acknowledged ? 'acknowledged' : 'unacknowledged';
    case 'acknowledged':
      return 'acknowledged';
    case 'resolved':
      return alert.acknowledged ? 'finished' : 'unacknowledged';
  }
}

/** The cause is still there. */
export function isActive(alert: AlertRow): boolean {
  return ['firing', 'acknowledged', 'shelved', 'suppressed'].includes(alert.state);
}

export function urgency(alert: AlertRow, now: number): number {
  const minutes = Math.min(AGE_CAP_MIN, Math.max(1, (now - alert.started_time_ms) / MINUTE_MS));
  return WEIGHT[alert.severity] * minutes;
}

const GROUP: Record<Standing, number> = { unacknowledged: 0, acknowledged: 2, suppressed: 3, shelved: 4, finished: 5, hidden: 6 };

/** What goes on and nobody has seen; what is over and nobody has seen; what somebody has seen. */
function group(alert: AlertRow): number {
  const where = standing(alert);
  return where === 'unacknowledged' && !isActive(alert) ? 1 : GROUP[where];
}

/** By group, then by urgency; equal ones by start and id, so that rows do not dance. */
export function byUrgency(now: number): (a: AlertRow, b: AlertRow) => number {
  return (a, b) =>
    group(a) - group(b) ||
    urgency(b, now) - urgency(a, now) ||
    a.started_time_ms - b.started_time_ms ||
    (a.alert_id < b.alert_id ? -1 : 1);
}

export type Show = { suppressed: boolean; shelved: boolean; finished: boolean };

/** How many alerts stand so. */
export function count(alerts: Iterable<AlertRow>, where: Standing): number {
  let found = 0;
  for (const alert of alerts) if (standing(alert) === where) found += 1;
  return found;
}

export function queue(alerts: Iterable<AlertRow>, now: number, show: Show): AlertRow[] {
  const wanted = [...alerts].filter((alert) => {
    const where = standing(alert);
    if (where === 'suppressed') return show.suppressed;
    if (where === 'shelved') return show.shelved;
    if (where === 'finished') return show.finished;
    return where !== 'hidden';
  });
  return wanted.sort(byUrgency(now));
}

export type Load = { count: number; level: 'calm' | 'busy' | 'flood' };

/** EEMUA 191 / ISA-18.2: at most 1 alarm in 10 minutes per operator on average, more than 10 is a flood. */
export const LOAD_TARGET = 1;
export const LOAD_FLOOD = 10;
const LOAD_WINDOW_MS = 10 * MINUTE_MS;

export function alarmLoad(alerts: Iterable<AlertRow>, now: number): Load {
  let told = 0;
  for (const alert of alerts) {
    const where = standing(alert);
    if (where === 'hidden' || where === 'suppressed') continue;
    if (now - alert.started_time_ms <= LOAD_WINDOW_MS) told += 1;
  }
  const level = told > LOAD_FLOOD ? 'flood' : told > LOAD_TARGET ? 'busy' : 'calm';
  return { count: told, level };
}
