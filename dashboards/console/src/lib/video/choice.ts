/**
 * Which cameras the wall shows.
 * Cameras near alerts come first; a tile keeps its place and its camera unless a more urgent one
 * needs the room, because a picture that jumps about cannot be watched.
 */
import { distanceM, type Point } from '../map/geometry';
import { SEVERITY_RANK, type Severity } from '../rows';
import type { CameraInfo } from '../wire';

export type Incident = { place: Point; severity: Severity; acknowledged: boolean; startedMs: number };

/** Beyond this a camera shows nothing of what happens. */
const NEAR_M = 1_500;

/** A camera without signal gives its place to any other. */
const LOST = -2;

/** Higher is more urgent; 0 for a camera near nothing. */
export function scoreCameras(
  cameras: Iterable<CameraInfo>,
  incidents: readonly Incident[],
  lost: ReadonlySet<string> = new Set(),
): Map<string, number> {
  const scores = new Map<string, number>();
  for (const camera of cameras) {
    if (lost.has(camera.camera_id)) {
      scores.set(camera.camera_id, LOST);
      continue;
    }
    let best = 0;
    for (const { place, severity, acknowledged } of incidents) {
      const distance = distanceM(place, [camera.lon, camera.lat]);
      if (distance > NEAR_M) continue;
      const urgency = (5 - SEVERITY_RANK[severity]) * 2 + (acknowledged ? 0 : 1);
      best = Math.max(best, urgency + (1 - distance / NEAR_M));
    }
    scores.set(camera.camera_id, best);
  }
  return scores;
}

/** The most urgent severity within sight of a camera. */
export function severityNear(camera: CameraInfo, incidents: readonly Incident[]): Severity | null {
  const near = incidents.filter(({ place }) => distanceM(place, [camera.lon, camera.lat]) <= NEAR_M);
  near.sort((a, b) => SEVERITY_RANK[a.severity] - SEVERITY_RANK[b.severity]);
  return near[0]?.severity ?? null;
}

/** A newcomer must be this much more urgent than the one it displaces. */
const MARGIN = 1;

/** `current` is what the tiles show now, in tile order; the answer keeps every place it can. */
export function chooseCameras(current: readonly string[], scores: ReadonlyMap<string, number>, tiles: number): string[] {
  const score = (id: string) => scores.get(id) ?? Number.NEGATIVE_INFINITY;
  const shown = current.filter((id) => scores.has(id)).slice(0, tiles);
  const waiting = [...scores.keys()].filter((id) => !shown.includes(id)).sort((a, b) => score(b) - score(a) || (a < b ? -1 : 1));
  while (shown.length < tiles && waiting.length > 0) shown.push(waiting.shift() ?? '');
  for (const candidate of waiting) {
    let weakest = 0;
    shown.forEach((id, index) => {
      if (score(id) < score(shown[weakest] ?? '')) weakest = index;
    });
    const held = shown[weakest];
    if (held === undefined || score(candidate) < score(held) + MARGIN) break;
    shown[weakest] = candidate;
  }
  return shown;
}

/** Cameras nearest to a place, nearest first. */
export function nearestCameras(cameras: Iterable<CameraInfo>, place: Point, count: number): { camera: CameraInfo; metres: number }[] {
  return [...cameras]
    .map((camera) => ({ camera, metres: distanceM(place, [camera.lon, camera.lat]) }))
    .sort((a, b) => a.metres - b.metres)
    .slice(0, count);
}
