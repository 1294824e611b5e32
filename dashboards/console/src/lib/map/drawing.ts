/** What a map must be able to show, whether it is drawn by graphics hardware or without. */
import type { Maps } from '../assets.svelte';
import type { SensorHealth } from '../figures';
import type { Severity } from '../rows';
import type { CameraInfo, SensorInfo } from '../wire';
import type { Point } from './geometry';

export type MapAlert = {
  id: string;
  place: Point;
  severity: Severity;
  acknowledged: boolean;
  active: boolean;
  title: string;
  selected: boolean;
};

export type Options = {
  container: HTMLElement;
  interactive: boolean;
  label: string;
  /** Seen from afar: fewer and larger names. */
  far: boolean;
};

export type NameOf = (properties: GeoJSON.GeoJsonProperties) => string;

export interface Drawing {
  /** Land, water, streets and their names, in the language of `name`. */
  city(maps: Maps, name: NameOf): void;
  sensors(sensors: Iterable<SensorInfo>, health: ReadonlyMap<string, SensorHealth>): void;
  cameras(cameras: Iterable<CameraInfo>, lost: ReadonlySet<string>): void;
  alerts(alerts: readonly MapAlert[], onPick?: (id: string) => void): void;
  /** Looks at one place closely; null looks at the whole city. */
  focus(place: Point | null): void;
  destroy(): void;
}
