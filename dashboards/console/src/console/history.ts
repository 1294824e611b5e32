/** What SQL knows about one alert: its steps, and the readings around its beginning. */
import * as api from '../lib/api';
import type { AlertRow } from '../lib/rows';
import { instant } from '../lib/time';

export type Step = { atMs: number; state: string; actor: string; reason: string | null; value: number | null };

const STEPS = 200;

export async function steps(alertId: string): Promise<Step[]> {
  const rows = await api.sql(
    `SELECT event_time, state, actor, reason, value FROM alert_transitions WHERE alert_id = ${api.literal(alertId)} ` +
      `ORDER BY cause_offset, cause_ordinal LIMIT ${STEPS}`,
  );
  return rows.map((row) => ({
    atMs: instant(row['event_time']),
    state: String(row['state'] ?? ''),
    actor: String(row['actor'] ?? ''),
    reason: typeof row['reason'] === 'string' && row['reason'] !== '' ? row['reason'] : null,
    value: typeof row['value'] === 'number' ? row['value'] : null,
  }));
}

export type Curve = { metric: string; unit: string | null; times: number[]; values: number[]; last: number | null };

const AROUND_MS = 10 * 60_000;
const POINTS = 3_000;
const METRICS = 3;

/** Every metric of the alert's sensor, ten minutes before and after it began. */
export async function curves(alert: AlertRow): Promise<Curve[]> {
  if (alert.sensor_id === null) return [];
  const from = alert.started_time_ms - AROUND_MS;
  const to = alert.started_time_ms + AROUND_MS;
  const rows = await api.sql(
    `SELECT metric, unit, event_time, value FROM readings WHERE sensor_id = ${api.literal(alert.sensor_id)} ` +
      `AND event_time >= ${api.timestamp(from)} AND event_time < ${api.timestamp(to)} ORDER BY event_time LIMIT ${POINTS}`,
  );
  const byMetric = new Map<string, Curve>();
  for (const row of rows) {
    const metric = String(row['metric'] ?? '');
    const at = instant(row['event_time']) / 1000;
    const value = row['value'];
    if (typeof value !== 'number' || Number.isNaN(at)) continue;
    let curve = byMetric.get(metric);
    if (curve === undefined) {
      curve = { metric, unit: typeof row['unit'] === 'string' ? row['unit'] : null, times: [], values: [], last: null };
      byMetric.set(metric, curve);
    }
    curve.times.push(at);
    curve.values.push(value);
    curve.last = value;
  }
  return [...byMetric.values()].slice(0, METRICS);
}
