/** What happens where, and which cameras are lost: what the choice of tiles goes by. */
import { assets } from '../lib/assets.svelte';
import { live } from '../lib/live/store.svelte';
import { isActive, standing } from '../lib/queue';
import { disconnected } from '../lib/states';
import type { Incident } from '../lib/video/choice';

export function incidents(): Incident[] {
  const city = assets();
  return [...live().alerts.rows.values()].flatMap((alert): Incident[] => {
    const where = standing(alert);
    const place = city.placeOf(alert);
    if (place === null || !isActive(alert) || (where !== 'unacknowledged' && where !== 'acknowledged')) return [];
    return [{ place, severity: alert.severity, acknowledged: alert.acknowledged, startedMs: alert.started_time_ms }];
  });
}

/** Those of the register that are not connected; none before that can be told. */
export function lostCameras(): Set<string> {
  const { rows, ready } = live().cameras;
  return new Set(ready ? disconnected(assets().cameras.keys(), rows) : []);
}
