/** What happens where, and which cameras are lost: what the choice of tiles goes by. */
import { assets } from '../lib/assets.svelte';
import { live } from '../lib/live/store.svelte';
import { isActive, standing } from '../lib/queue';
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

export function lostCameras(): Set<string> {
  const rows = [...live().cameras.rows.values()];
  return new Set(rows.filter(({ state }) => state === 'lost' || state === 'refused').map(({ camera_id }) => camera_id));
}
