import { describe, expect, it } from 'vitest';
import type { CameraInfo } from '../wire';
import { chooseCameras, nearestCameras, scoreCameras, type Incident } from './choice';

/** Cameras on a line, one kilometre apart. */
function camera(n: number): CameraInfo {
  return { camera_id: `C${n}`, name_vi: '', name_en: '', lon: 105.9, lat: 18.3 + n / 111.32, heading_deg: 0, fov_deg: 90, range_m: 150, class: 'observation', owner: '', purpose: '', recording: 'continuous', unit_code: '' };
}

const cameras = [0, 1, 2, 3, 4, 5].map((n) => camera(n * 2));

function incident(km: number, severity: Incident['severity'] = 'high'): Incident {
  return { place: [105.9, 18.3 + km / 111.32], severity, acknowledged: false, startedMs: 0 };
}

function choose(current: string[], incidents: Incident[], tiles = 2): string {
  return chooseCameras(current, scoreCameras(cameras, incidents), tiles).join(' ');
}

describe('chooseCameras', () => {
  it('fills the tiles in a fixed order when nothing happens', () => {
    expect(choose([], [])).toBe('C0 C10');
  });

  it('brings in the camera next to an alert and leaves the other tile alone', () => {
    expect(choose(['C0', 'C2'], [incident(8.1)])).toBe('C8 C2');
  });

  it('keeps its tiles when the alert is over', () => {
    expect(choose(['C8', 'C2'], [])).toBe('C8 C2');
  });

  it('does not swap for a camera that is only a little nearer', () => {
    expect(choose(['C4', 'C6'], [incident(5), incident(7.4)])).toBe('C4 C6');
  });

  it('prefers the more urgent alert when there are more alerts than tiles', () => {
    expect(choose(['C0', 'C2'], [incident(0, 'low'), incident(2, 'high'), incident(6, 'critical')])).toBe('C6 C2');
  });

  it('gives the place of a camera without signal to another', () => {
    const scores = scoreCameras(cameras, [incident(0)], new Set(['C0']));
    expect(chooseCameras(['C0', 'C2'], scores, 2).join(' ')).toBe('C10 C2');
  });

  it('drops a camera that no longer exists', () => {
    expect(choose(['gone', 'C2'], [])).toBe('C2 C0');
  });
});

describe('nearestCameras', () => {
  it('lists them by distance', () => {
    const found = nearestCameras(cameras, [105.9, 18.3 + 3.9 / 111.32], 2);
    expect(found.map(({ camera: c, metres }) => [c.camera_id, Math.round(metres / 100)])).toEqual([['C4', 1], ['C2', 19]]);
  });
});
