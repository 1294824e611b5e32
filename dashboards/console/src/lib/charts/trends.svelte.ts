/**
 * The last half hour of the figures: fetched once by SQL, then continued from the live view.
 * Invariant: the arrays never grow; a bucket that leaves on the left makes room on the right.
 */
import * as api from '../api';
import { KPIS, type Figure } from '../figures';
import { instant } from '../time';

const BUCKET_S = 10;
export const TREND_MINUTES = 30;
/** A curve shows at least three minutes. */
const LEAST_BUCKETS = 18;
const BUCKETS = (TREND_MINUTES * 60) / BUCKET_S;

export type Series = { times: number[]; values: (number | null)[] };

const bucketOf = (ms: number) => Math.floor(ms / 1000 / BUCKET_S) * BUCKET_S;

export class Trends {
  #times: number[] = [];
  #values = new Map<string, (number | null)[]>();
  /** Replaced as a whole, so that a chart sees a new object. */
  series = $state.raw<ReadonlyMap<string, Series>>(new Map());

  constructor(now: number) {
    const last = bucketOf(now);
    for (let i = BUCKETS - 1; i >= 0; i -= 1) this.#times.push(last - i * BUCKET_S);
    for (const { metric } of KPIS) this.#values.set(metric, new Array<number | null>(BUCKETS).fill(null));
    this.#publish();
  }

  /** Takes the present figures into the present bucket. */
  advance(now: number, figures: ReadonlyMap<string, Figure>): void {
    const bucket = bucketOf(now);
    this.#shiftTo(bucket);
    const at = this.#times.indexOf(bucket);
    if (at < 0) return;
    for (const [metric, values] of this.#values) values[at] = figures.get(metric)?.value ?? null;
    this.#publish();
  }

  /** Fills what came before; the present bucket stays live. */
  async backfill(now: number): Promise<void> {
    const metrics = KPIS.map(({ metric }) => api.literal(metric)).join(', ');
    const bucket = `date_bin(INTERVAL '${BUCKET_S} seconds', event_time)`;
    const rows = await api.sql(
      `SELECT metric, ${bucket} AS bucket, avg(value) AS mean, max(value) AS peak FROM readings ` +
        `WHERE metric IN (${metrics}) AND quality = 'good' AND event_time >= ${api.timestamp(now - TREND_MINUTES * 60_000)} ` +
        `GROUP BY metric, ${bucket}`,
    );
    const present = this.#times[BUCKETS - 1] ?? 0;
    for (const row of rows) {
      const kpi = KPIS.find(({ metric }) => metric === row['metric']);
      const value = kpi?.aggregate === 'avg' ? row['mean'] : row['peak'];
      const time = bucketOf(instant(row['bucket']));
      const at = this.#times.indexOf(time);
      if (kpi === undefined || typeof value !== 'number' || at < 0 || time >= present) continue;
      const values = this.#values.get(kpi.metric);
      if (values !== undefined) values[at] = value;
    }
    this.#publish();
  }

  #shiftTo(bucket: number): void {
    const last = this.#times[BUCKETS - 1] ?? bucket;
    const steps = Math.min(BUCKETS, Math.round((bucket - last) / BUCKET_S));
    for (let i = 0; i < steps; i += 1) {
      this.#times.shift();
      this.#times.push(bucket - (steps - 1 - i) * BUCKET_S);
      for (const values of this.#values.values()) {
        values.shift();
        values.push(null);
      }
    }
  }

  /** From the first figure there is; a young history is not pressed to the right edge. */
  #publish(): void {
    const series = new Map<string, Series>();
    for (const [metric, values] of this.#values) {
      const first = values.findIndex((value) => value !== null);
      const from = Math.min(first < 0 ? 0 : first, BUCKETS - LEAST_BUCKETS);
      series.set(metric, { times: this.#times.slice(from), values: values.slice(from) });
    }
    this.series = series;
  }
}
