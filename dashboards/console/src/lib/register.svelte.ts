/** Keeps the register of a page up to date that may stay open for months. */
import { untrack } from 'svelte';
import { assets } from './assets.svelte';
import { live } from './live/store.svelte';
import { RegisterWatch } from './register-watch';

/** Called while a page's component is made. */
export function followRegister(): void {
  const feed = live();
  const city = assets();
  const watch = new RegisterWatch();
  let seenReconnects = 0;

  // The server may be another one.
  $effect(() => {
    const { reconnects } = feed.status;
    if (reconnects === seenReconnects) return;
    seenReconnects = reconnects;
    untrack(() => city.reload());
  });
  $effect(() => {
    const { now } = feed;
    untrack(() => {
      const cameras = feed.cameras.ready ? feed.cameras.rows.keys() : null;
      const isKnown = (id: string) => city.cameras.has(id) || city.sensors.has(id);
      if (city.isLoaded && watch.look(now, cameras, named(), isKnown)) city.reloadRegister();
    });
  });

  function* named(): Iterable<string> {
    yield* feed.cameras.rows.keys();
    for (const { sensor_id } of feed.sensors.rows.values()) yield sensor_id;
    for (const { sensor_id, camera_id } of feed.alerts.rows.values()) {
      if (sensor_id !== null) yield sensor_id;
      if (camera_id !== null) yield camera_id;
    }
  }
}
