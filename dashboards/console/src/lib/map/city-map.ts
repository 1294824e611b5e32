/**
 * The map, driven by plain data. Each source has at most one update under way and keeps only the
 * newest one waiting, because a map that is given data faster than its worker takes it grows without
 * bound.
 */
import 'maplibre-gl/dist/maplibre-gl.css';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import { Map as GlMap, Marker, setWorkerUrl, type GeoJSONSource } from 'maplibre-gl';
import type { Maps } from '../assets.svelte';
import type { SensorHealth } from '../figures';
import type { CameraInfo, SensorInfo } from '../wire';
import { bounds, type Point } from './geometry';
import * as icons from './icons';
import type { Drawing, MapAlert, NameOf, Options } from './drawing';
import { alertElement, updateAlertElement } from './alert-marker';
import { cityStyle } from './style';

setWorkerUrl(workerUrl);

const PADDING_REM = 1;
/** Room for the legend. */
const PADDING_BOTTOM_REM = 5.2;
/** On a screen of 16 pixels a rem; a finer screen shows the same ground. */
const FOCUS_ZOOM = 14.2;

export class CityMap implements Drawing {
  readonly #map: GlMap;
  readonly #loaded: Promise<void>;
  readonly #updates = new Map<string, Updates>();
  readonly #markers = new Map<string, { marker: Marker; element: HTMLElement }>();
  readonly #rem: number;
  readonly #ratio: number;
  readonly #far: boolean;
  #fit: [Point, Point] | null = null;
  #focus: Point | null = null;

  constructor(options: Options) {
    this.#rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#ratio = window.devicePixelRatio;
    this.#far = options.far;
    this.#map = new GlMap({
      container: options.container,
      style: cityStyle(this.#rem),
      attributionControl: false,
      interactive: options.interactive,
      dragRotate: false,
      pitchWithRotate: false,
      fadeDuration: 0,
      center: [105.9, 18.34],
      zoom: 12,
      locale: { 'Map.Title': options.label },
    });
    this.#map.touchZoomRotate.disableRotation();
    this.#loaded = this.#prepare();
    this.#map.on('resize', () => this.#frame());
  }

  destroy(): void {
    for (const { marker } of this.#markers.values()) marker.remove();
    this.#map.remove();
  }

  async #prepare(): Promise<void> {
    await Promise.all([icons.fontsReady(), new Promise<void>((done) => void this.#map.once('load', () => done()))]);
    const small = this.#rem * (this.#far ? 0.85 : 0.95);
    const pictures: [string, number, Parameters<typeof icons.symbol>[1]][] = [
      ['sensor-good', small, icons.sensorGood],
      ['sensor-silent', this.#rem * 1.15, icons.sensorSilent],
      ['sensor-clock_ahead', this.#rem * 1.15, icons.sensorClock],
      ['camera-good', this.#rem * 1.6, icons.cameraGood],
      ['camera-lost', this.#rem * 1.9, icons.cameraLost],
      ['cone', this.#rem * 5, icons.cone],
    ];
    for (const [name, size, draw] of pictures) this.#picture(name, icons.symbol(size * this.#ratio, draw));
  }

  #picture(name: string, picture: icons.Picture | null): void {
    if (picture === null) return;
    if (this.#map.hasImage(name)) this.#map.removeImage(name);
    this.#map.addImage(name, picture, { pixelRatio: this.#ratio });
  }

  city(maps: Maps, name: NameOf): void {
    void this.#loaded.then(() => this.#drawCity(maps, name));
  }

  #drawCity(maps: Maps, name: NameOf): void {
    const px = this.#rem * this.#ratio;
    const unitStyle = { sizePx: px * (this.#far ? 1.45 : 1.05), weight: 600, colour: '#b9bfc6', halo: '#1e2125', spacing: px * 0.05 };
    const streetStyle = { sizePx: px * (this.#far ? 1.15 : 0.8), weight: 400, colour: '#a2a9b0', halo: '#25292e', spacing: 0 };
    this.#set('units', maps.units);
    this.#set('river', maps.river);
    const streets = maps.streets.features.map((feature) => {
      const text = name(feature.properties);
      if (text === '' || (this.#far && feature.properties?.['class'] !== 'primary')) return feature;
      this.#picture(`street ${text}`, icons.label(text, streetStyle));
      return { ...feature, properties: { ...feature.properties, label: `street ${text}` } };
    });
    this.#set('streets', { type: 'FeatureCollection', features: streets });
    this.#set('unitLabels', { type: 'FeatureCollection', features: unitLabels(maps.units, name, (text) => this.#picture(`unit ${text}`, icons.label(text, unitStyle))) });
    const box = bounds([...maps.units.features, ...maps.streets.features]);
    if (Number.isFinite(box.west)) {
      this.#fit = [
        [box.west, box.south],
        [box.east, box.north],
      ];
      this.#frame();
    }
  }

  sensors(sensors: Iterable<SensorInfo>, health: ReadonlyMap<string, SensorHealth>): void {
    const features = Array.from(sensors, (sensor): GeoJSON.Feature => {
      const state = health.get(sensor.sensor_id) ?? 'silent';
      return point([sensor.lon, sensor.lat], { icon: `sensor-${state}`, order: state === 'good' ? 0 : 1 });
    });
    this.#set('sensors', { type: 'FeatureCollection', features });
  }

  cameras(cameras: Iterable<CameraInfo>, lost: ReadonlySet<string>): void {
    const features = Array.from(cameras, (camera): GeoJSON.Feature => {
      const icon = lost.has(camera.camera_id) ? 'camera-lost' : 'camera-good';
      return point([camera.lon, camera.lat], { icon, heading: camera.heading_deg });
    });
    this.#set('cameras', { type: 'FeatureCollection', features });
  }

  /** Alerts are few and must move, blink and be heard by screen readers: they are elements. */
  alerts(alerts: readonly MapAlert[], onPick?: (id: string) => void): void {
    const seen = new Set<string>();
    for (const alert of alerts) {
      seen.add(alert.id);
      let held = this.#markers.get(alert.id);
      if (held === undefined) {
        const element = alertElement(alert.id, onPick);
        const marker = new Marker({ element }).setLngLat(alert.place).addTo(this.#map);
        held = { marker, element };
        this.#markers.set(alert.id, held);
      }
      held.marker.setLngLat(alert.place);
      updateAlertElement(held.element, alert);
    }
    for (const [id, { marker }] of this.#markers) {
      if (seen.has(id)) continue;
      marker.remove();
      this.#markers.delete(id);
    }
  }

  focus(place: Point | null): void {
    this.#focus = place;
    this.#frame();
  }

  #frame(): void {
    if (this.#focus !== null) {
      this.#map.jumpTo({ center: this.#focus, zoom: FOCUS_ZOOM + Math.log2(this.#rem / 16) });
    } else if (this.#fit !== null) {
      this.#map.fitBounds(this.#fit, { padding: this.#padding(), animate: false });
    }
  }

  #padding(): { top: number; bottom: number; left: number; right: number } {
    const side = this.#rem * PADDING_REM;
    return { top: side, left: side, right: side, bottom: this.#far ? this.#rem * PADDING_BOTTOM_REM : side };
  }

  #set(name: string, data: GeoJSON.FeatureCollection): void {
    let updates = this.#updates.get(name);
    if (updates === undefined) {
      updates = new Updates(async (next) => {
        await this.#loaded;
        await this.#map.getSource<GeoJSONSource>(name)?.setData(next);
      });
      this.#updates.set(name, updates);
    }
    updates.push(data);
  }
}

class Updates {
  #busy = false;
  #waiting: GeoJSON.FeatureCollection | null = null;

  constructor(private readonly apply: (data: GeoJSON.FeatureCollection) => Promise<void>) {}

  push(data: GeoJSON.FeatureCollection): void {
    this.#waiting = data;
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#waiting !== null) {
      const data = this.#waiting;
      this.#waiting = null;
      // A map taken down meanwhile rejects; there is nothing left to draw on.
      await this.apply(data).catch(() => undefined);
    }
    this.#busy = false;
  }
}

function point([lon, lat]: Point, properties: GeoJSON.GeoJsonProperties): GeoJSON.Feature {
  return { type: 'Feature', geometry: { type: 'Point', coordinates: [lon, lat] }, properties };
}

function unitLabels(
  units: GeoJSON.FeatureCollection,
  name: NameOf,
  draw: (text: string) => void,
): GeoJSON.Feature[] {
  return units.features.flatMap((unit) => {
    const text = name(unit.properties);
    const box = bounds([unit]);
    if (text === '' || !Number.isFinite(box.west)) return [];
    draw(text);
    // In the upper part of the unit: its middle is where streets and sensors crowd.
    const place: Point = [(box.west + box.east) / 2, box.south + (box.north - box.south) * 0.5];
    return [point(place, { label: `unit ${text}` })];
  });
}
