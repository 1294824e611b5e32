/**
 * Which alerts wait for somebody, and in which order.
 * Invariant: an alert that nobody has acknowledged is always in the queue, also when its cause is over.
 */
import type { AlertRow, Severity } from './rows';

/**
 * Priority of a minute of waiting. One step is worth four times the wait; a critical alert stays
 * above everything else, because an hour of the next step (16 × 60) is less than one minute of it.
 */
const WEIGHT: Record<Severity, number> = { critical: 1000, high: 16, medium: 4, low: 1 };
const MINUTE_MS = 60_000;
const AGE_CAP_MIN = 60;

export type Standing = 'unacknowledged' | 'acknowledged' | 'shelved' | 'finished' | 'hidden';

export function standing(alert: AlertRow): Standing {
  switch (alert.state) {
    case 'pending':
    case 'cancelled':
      return 'hidden';
    case 'shelved':
      return 'shelved';
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
  return alert.state === 'firing' || alert.state === 'acknowledged' || alert.state === 'shelved';
}

export function urgency(alert: AlertRow, now: number): number {
  const minutes = Math.min(AGE_CAP_MIN, Math.max(1, (now - alert.started_time_ms) / MINUTE_MS));
  return WEIGHT[alert.severity] * minutes;
}

const GROUP: Record<Standing, number> = { unacknowledged: 0, acknowledged: 2, shelved: 3, finished: 4, hidden: 5 };

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

export type Show = { shelved: boolean; finished: boolean };

export function queue(alerts: Iterable<AlertRow>, now: number, show: Show): AlertRow[] {
  const wanted = [...alerts].filter((alert) => {
    const where = standing(alert);
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
  let count = 0;
  for (const alert of alerts) {
    if (standing(alert) !== 'hidden' && now - alert.started_time_ms <= LOAD_WINDOW_MS) count += 1;
  }
  const level = count > LOAD_FLOOD ? 'flood' : count > LOAD_TARGET ? 'busy' : 'calm';
  return { count, level };
}
