/** Plane geometry on longitude and latitude, good enough within one city. */

export type Point = [lon: number, lat: number];

const METRES_PER_DEGREE = 111_320;

export function distanceM([lon1, lat1]: Point, [lon2, lat2]: Point): number {
  const x = (lon2 - lon1) * Math.cos((((lat1 + lat2) / 2) * Math.PI) / 180);
  return Math.hypot(x, lat2 - lat1) * METRES_PER_DEGREE;
}

/** Middle of a polygon's largest outer ring (area-weighted), or the mean of any other geometry. */
export function centroid(geometry: GeoJSON.Geometry): Point | null {
  switch (geometry.type) {
    case 'Polygon':
      return ringCentroid(geometry.coordinates[0] ?? []);
    case 'MultiPolygon': {
      const rings = geometry.coordinates.map((polygon) => polygon[0] ?? []);
      const largest = rings.reduce((best, ring) => (Math.abs(ringArea(ring)) > Math.abs(ringArea(best)) ? ring : best), rings[0] ?? []);
      return ringCentroid(largest);
    }
    default: {
      const { west, east, south, north } = bounds([{ type: 'Feature', geometry, properties: null }]);
      return Number.isFinite(west) ? [(west + east) / 2, (south + north) / 2] : null;
    }
  }
}

function ringArea(ring: GeoJSON.Position[]): number {
  let twice = 0;
  eachEdge(ring, (x1, y1, x2, y2) => (twice += x1 * y2 - x2 * y1));
  return twice / 2;
}

function ringCentroid(ring: GeoJSON.Position[]): Point | null {
  const [first] = ring;
  if (first === undefined) return null;
  const [x0 = 0, y0 = 0] = first;
  let twice = 0;
  let x = 0;
  let y = 0;
  // Relative to the first corner: degrees are large numbers with small differences.
  eachEdge(ring, (ax, ay, bx, by) => {
    const cross = (ax - x0) * (by - y0) - (bx - x0) * (ay - y0);
    twice += cross;
    x += (ax + bx - 2 * x0) * cross;
    y += (ay + by - 2 * y0) * cross;
  });
  return twice === 0 ? [x0, y0] : [x0 + x / (3 * twice), y0 + y / (3 * twice)];
}

function eachEdge(ring: GeoJSON.Position[], visit: (x1: number, y1: number, x2: number, y2: number) => void): void {
  for (let i = 0; i < ring.length; i += 1) {
    const [x1 = 0, y1 = 0] = ring[i] ?? [];
    const [x2 = 0, y2 = 0] = ring[(i + 1) % ring.length] ?? [];
    visit(x1, y1, x2, y2);
  }
}

export type Bounds = { west: number; south: number; east: number; north: number };

export function bounds(features: GeoJSON.Feature[]): Bounds {
  const box = { west: Infinity, south: Infinity, east: -Infinity, north: -Infinity };
  const visit = (value: unknown): void => {
    if (!Array.isArray(value)) return;
    const [lon, lat] = value as unknown[];
    if (typeof lon === 'number' && typeof lat === 'number') {
      box.west = Math.min(box.west, lon);
      box.east = Math.max(box.east, lon);
      box.south = Math.min(box.south, lat);
      box.north = Math.max(box.north, lat);
      return;
    }
    value.forEach(visit);
  };
  for (const { geometry } of features) {
    if (geometry && 'coordinates' in geometry) visit(geometry.coordinates);
  }
  return box;
}
