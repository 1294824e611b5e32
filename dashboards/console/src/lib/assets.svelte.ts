/**
 * What stands where: fetched once, again when it failed, and again when the server or its register is
 * another one.
 * A screen works without it (ids instead of names), so it never blocks the first paint.
 */
import * as api from './api';
import { pick } from './i18n/i18n.svelte';
import { centroid, type Point } from './map/geometry';
import type { AlertRow } from './rows';
import type { About, CameraInfo, SensorInfo } from './wire';

export type Maps = {
  units: GeoJSON.FeatureCollection;
  streets: GeoJSON.FeatureCollection;
  river: GeoJSON.FeatureCollection;
};

type Unit = { code: string; name_vi: string; name_en: string; place: Point };

const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };
const RETRY_MS = 5_000;

class Assets {
  about = $state.raw<About | null>(null);
  sensors = $state.raw<ReadonlyMap<string, SensorInfo>>(new Map());
  cameras = $state.raw<ReadonlyMap<string, CameraInfo>>(new Map());
  maps = $state.raw<Maps | null>(null);
  units = $state.raw<ReadonlyMap<string, Unit>>(new Map());

  #has = { sensors: false, cameras: false };

  constructor() {
    this.reload();
  }

  reload(): void {
    keepTrying(async () => {
      this.about = await api.about();
    });
    this.reloadRegister();
    keepTrying(async () => {
      const [units, streets, river] = await Promise.all(['units', 'streets', 'river'].map((name) => api.geojson(name)));
      this.maps = { units: units ?? EMPTY, streets: streets ?? EMPTY, river: river ?? EMPTY };
      this.units = unitsOf(this.maps.units);
    });
  }

  /** Sensors and cameras alone. */
  reloadRegister(): void {
    keepTrying(async () => {
      const list = await api.sensors();
      this.sensors = new Map(list.map((sensor) => [sensor.sensor_id, sensor]));
      this.#has.sensors = true;
    });
    keepTrying(async () => {
      const list = await api.cameras();
      this.cameras = new Map(list.map((camera) => [camera.camera_id, camera]));
      this.#has.cameras = true;
    });
  }

  /** Both are there, however short they are. */
  get isLoaded(): boolean {
    return this.#has.sensors && this.#has.cameras;
  }

  cityName(): string {
    return this.about ? pick(this.about.city_name_vi, this.about.city_name_en) : '';
  }

  unitName(code: string | null): string {
    const unit = code === null ? undefined : this.units.get(code);
    return unit ? pick(unit.name_vi, unit.name_en) : (code ?? '');
  }

  sensorName(id: string): string {
    const sensor = this.sensors.get(id);
    return sensor ? pick(sensor.name_vi, sensor.name_en) : id;
  }

  cameraName(id: string): string {
    const camera = this.cameras.get(id);
    return camera ? pick(camera.name_vi, camera.name_en) : id;
  }

  /** Where an alert is: its sensor, else its camera, else the middle of its unit. */
  placeOf(alert: AlertRow): Point | null {
    const sensor = alert.sensor_id === null ? undefined : this.sensors.get(alert.sensor_id);
    if (sensor) return [sensor.lon, sensor.lat];
    const camera = alert.camera_id === null ? undefined : this.cameras.get(alert.camera_id);
    if (camera) return [camera.lon, camera.lat];
    const unit = alert.unit_code === null ? undefined : this.units.get(alert.unit_code);
    return unit?.place ?? null;
  }

  /** The place of an alert in words. */
  placeName(alert: AlertRow): string {
    if (alert.sensor_id !== null && this.sensors.has(alert.sensor_id)) return this.sensorName(alert.sensor_id);
    if (alert.camera_id !== null && this.cameras.has(alert.camera_id)) return this.cameraName(alert.camera_id);
    const unit = this.unitName(alert.unit_code);
    return unit || alert.sensor_id || alert.camera_id || alert.key;
  }
}

/** Repeats until it works; a failed part must not keep the others from showing. */
function keepTrying(load: () => Promise<void>): void {
  load().catch(() => setTimeout(() => keepTrying(load), RETRY_MS));
}

function unitsOf(collection: GeoJSON.FeatureCollection): Map<string, Unit> {
  const units = new Map<string, Unit>();
  for (const { properties, geometry } of collection.features) {
    const code: unknown = properties?.['unit_code'];
    const place = centroid(geometry);
    if (typeof code !== 'string' || place === null) continue;
    const name = (key: string) => (typeof properties?.[key] === 'string' ? (properties[key] as string) : '');
    units.set(code, { code, name_vi: name('name_vi'), name_en: name('name_en'), place });
  }
  return units;
}

let instance: Assets | null = null;

export function assets(): Assets {
  instance ??= new Assets();
  return instance;
}
