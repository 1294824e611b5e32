/** The map's look: dark grey land, darker water, lighter streets; nothing that competes with an alert. */
import type { StyleSpecification } from 'maplibre-gl';

const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

const source = () => ({ type: 'geojson' as const, data: EMPTY });

const byZoom = (near: number, far: number) => ['interpolate', ['exponential', 1.6], ['zoom'], 11, far, 16, near] as unknown as number;

/** `rem` scales lines and symbols with the screen. */
export function cityStyle(rem: number): StyleSpecification {
  const k = rem / 16;
  return {
    version: 8,
    sources: { units: source(), streets: source(), river: source(), unitLabels: source(), sensors: source(), cameras: source() },
    layers: [
      { id: 'land', type: 'background', paint: { 'background-color': '#1e2125' } },
      { id: 'units', type: 'fill', source: 'units', paint: { 'fill-color': '#25292e', 'fill-antialias': true } },
      { id: 'river-fill', type: 'fill', source: 'river', filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-color': '#2c3842' } },
      {
        id: 'river-line',
        type: 'line',
        source: 'river',
        // A river may come with a middle line beside its water; that line is for calculations.
        filter: ['all', ['==', ['geometry-type'], 'LineString'], ['!=', ['get', 'part'], 'middle']],
        layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: { 'line-color': '#2c3842', 'line-width': byZoom(120 * k, 8 * k) },
      },
      {
        id: 'unit-borders',
        type: 'line',
        source: 'units',
        paint: { 'line-color': '#5a626a', 'line-width': 1.4 * k, 'line-dasharray': [4, 3] },
      },
      {
        id: 'streets',
        type: 'line',
        source: 'streets',
        layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: {
          'line-color': ['match', ['get', 'class'], 'primary', '#525960', '#434950'],
          'line-width': ['interpolate', ['exponential', 1.6], ['zoom'], 11, ['match', ['get', 'class'], 'primary', 2 * k, 1.2 * k], 16, ['match', ['get', 'class'], 'primary', 18 * k, 12 * k]],
        },
      },
      {
        id: 'camera-cones',
        type: 'symbol',
        source: 'cameras',
        layout: { 'icon-image': 'cone', 'icon-rotate': ['get', 'heading'], 'icon-rotation-alignment': 'map', 'icon-allow-overlap': true, 'icon-ignore-placement': true },
      },
      {
        id: 'sensors',
        type: 'symbol',
        source: 'sensors',
        layout: { 'icon-image': ['get', 'icon'], 'icon-allow-overlap': true, 'icon-ignore-placement': true, 'symbol-sort-key': ['get', 'order'] },
      },
      {
        id: 'street-labels',
        type: 'symbol',
        source: 'streets',
        filter: ['has', 'label'],
        layout: {
          'symbol-placement': 'line',
          'symbol-spacing': 420 * k,
          'icon-image': ['get', 'label'],
          'icon-rotation-alignment': 'map',
          'icon-keep-upright': true,
          'icon-padding': 6 * k,
        },
      },
      {
        id: 'unit-labels',
        type: 'symbol',
        source: 'unitLabels',
        layout: { 'icon-image': ['get', 'label'], 'icon-allow-overlap': false, 'icon-padding': 4 * k },
      },
      {
        id: 'cameras',
        type: 'symbol',
        source: 'cameras',
        layout: { 'icon-image': ['get', 'icon'], 'icon-allow-overlap': true, 'icon-ignore-placement': true },
      },
    ],
  };
}
