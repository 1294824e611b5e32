/** Which cameras are shown beside one: the other witnesses of the alert, then the nearest ones. */
import { distanceM } from '../lib/map/geometry';
import type { CameraInfo } from '../lib/wire';

/** Further away nothing of the same event is to be seen. */
const NEAR_M = 2_500;

type Standing = Pick<CameraInfo, 'camera_id' | 'lon' | 'lat'>;

export function neighbours(camera: string, witnesses: readonly string[], all: readonly Standing[], most: number): string[] {
  const found = witnesses.filter((id) => id !== camera);
  const here = all.find(({ camera_id }) => camera_id === camera);
  if (here !== undefined) {
    const near = all
      .filter(({ camera_id }) => camera_id !== camera && !found.includes(camera_id))
      .map(({ camera_id, lon, lat }) => ({ camera_id, metres: distanceM([here.lon, here.lat], [lon, lat]) }))
      .filter(({ metres }) => metres <= NEAR_M)
      .sort((a, b) => a.metres - b.metres);
    found.push(...near.map(({ camera_id }) => camera_id));
  }
  return found.slice(0, most);
}
