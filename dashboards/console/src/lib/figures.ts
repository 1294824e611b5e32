/**
 * Figures over many sensors: value, how old, how many of the stations stand behind it.
 * A reading takes part only while it is fresh and its clock can be trusted.
 */
import type { SensorRow } from './rows';
import type { SensorInfo } from './wire';

export type Aggregate = 'avg' | 'max';

export type Kpi = {
  metric: 'speed' | 'water_level' | 'rain' | 'pm25';
  aggregate: Aggregate;
  digits: number;
  /** Shown until the first reading brings its own. */
  unit: string;
};

export const KPIS: readonly Kpi[] = [
  { metric: 'speed', aggregate: 'avg', digits: 1, unit: 'km/h' },
  { metric: 'water_level', aggregate: 'max', digits: 2, unit: 'm' },
  { metric: 'rain', aggregate: 'max', digits: 1, unit: 'mm' },
  { metric: 'pm25', aggregate: 'max', digits: 0, unit: 'µg/m³' },
];

/** A sensor that has not spoken for this long is silent, whatever its view row says. */
export const FRESH_MS = 60_000;

export type Figure = {
  value: number | null;
  unit: string | null;
  /** Event time of the newest reading, fresh or not; 0 when there is none. */
  newestMs: number;
  fresh: number;
  all: number;
};

type Sum = { sum: number; count: number; max: number; newest: number; unit: string | null; kinds: Set<string> };

/** One pass over the readings for all metrics asked for. */
export function figures(
  rows: Iterable<SensorRow>,
  sensors: ReadonlyMap<string, SensorInfo>,
  kpis: readonly Kpi[],
  now: number,
): Map<string, Figure> {
  const sums = new Map<string, Sum>();
  for (const { metric } of kpis) {
    sums.set(metric, { sum: 0, count: 0, max: Number.NEGATIVE_INFINITY, newest: 0, unit: null, kinds: new Set() });
  }
  for (const row of rows) {
    const sum = sums.get(row.metric);
    if (sum === undefined) continue;
    const kind = sensors.get(row.sensor_id)?.kind;
    if (kind !== undefined) sum.kinds.add(kind);
    if (row.value === null || row.quality === 'clock_ahead') continue;
    sum.newest = Math.max(sum.newest, row.event_time_ms);
    sum.unit ??= row.unit;
    if (now - row.arrival_time_ms > FRESH_MS) continue;
    sum.sum += row.value;
    sum.count += 1;
    sum.max = Math.max(sum.max, row.value);
  }
  const perKind = countKinds(sensors);
  const result = new Map<string, Figure>();
  for (const { metric, aggregate } of kpis) {
    const sum = sums.get(metric);
    if (sum === undefined) continue;
    const value = sum.count === 0 ? null : aggregate === 'avg' ? sum.sum / sum.count : sum.max;
    // Stations that could measure this: every sensor of a kind that has measured it.
    let all = 0;
    for (const kind of sum.kinds) all += perKind.get(kind) ?? 0;
    result.set(metric, { value, unit: sum.unit, newestMs: sum.newest, fresh: sum.count, all: Math.max(all, sum.count) });
  }
  return result;
}

function countKinds(sensors: ReadonlyMap<string, SensorInfo>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { kind } of sensors.values()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

export type SensorHealth = 'good' | 'silent' | 'clock_ahead';

/** Health per sensor: the best of its metrics decides. */
export function sensorHealth(
  rows: Iterable<SensorRow>,
  sensors: ReadonlyMap<string, SensorInfo>,
  now: number,
): Map<string, SensorHealth> {
  const health = new Map<string, SensorHealth>();
  for (const id of sensors.keys()) health.set(id, 'silent');
  for (const row of rows) {
    if (now - row.arrival_time_ms > FRESH_MS) continue;
    const found: SensorHealth = row.quality === 'clock_ahead' ? 'clock_ahead' : 'good';
    if (health.get(row.sensor_id) !== 'good') health.set(row.sensor_id, found);
  }
  return health;
}

/** A number with the decimals it deserves. */
export function decimal(value: number, digits: number, locale: string): string {
  return value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Decimals for a metric outside the tiles. */
export function digitsOf(metric: string): number {
  switch (metric) {
    case 'water_level':
    case 'occupancy':
      return 2;
    case 'door_open':
    case 'pm25':
    case 'pm10':
      return 0;
    default:
      return 1;
  }
}
