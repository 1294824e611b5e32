/**
 * The map for machines whose browser has no WebGL: the same things as plain SVG, not to be moved.
 * Old machines are the rule, not the exception, in the offices this is for.
 */
import './plain-map.css';
import type { Maps } from '../assets.svelte';
import type { SensorHealth } from '../figures';
import type { CameraInfo, SensorInfo } from '../wire';
import { alertElement, updateAlertElement } from './alert-marker';
import type { Drawing, MapAlert, NameOf, Options } from './drawing';
import { bounds, centroid, type Bounds, type Point } from './geometry';

const SVG = 'http://www.w3.org/2000/svg';
const METRES_PER_DEGREE = 111_320;
/** Half the width of the ground shown around a place, metres. */
const FOCUS_M = 900;
/** Free ground around the city, as a share of it; below there is room for a legend. */
const MARGIN = 0.02;
const MARGIN_BELOW = 0.13;

let drawn = 0;

type Box = { x: number; y: number; width: number; height: number };

export class PlainMap implements Drawing {
  readonly #container: HTMLElement;
  readonly #svg: SVGSVGElement;
  readonly #marks: HTMLElement;
  readonly #below: number;
  readonly #far: boolean;
  /** Several maps may stand in one document; their paths must not share names. */
  readonly #id = `street-${(drawn += 1)}`;
  readonly #layers = new Map<string, SVGElement>();
  readonly #elements = new Map<string, { element: HTMLElement; place: Point }>();
  readonly #observer: ResizeObserver;
  #origin: Point = [0, 0];
  #whole: Box | null = null;
  #focus: Point | null = null;

  constructor(options: Options) {
    this.#container = options.container;
    this.#far = options.far;
    this.#below = options.far ? MARGIN_BELOW : MARGIN;
    this.#svg = make('svg', { class: 'plain-map', role: 'img', 'aria-label': options.label, preserveAspectRatio: 'xMidYMid meet' }) as SVGSVGElement;
    this.#svg.classList.toggle('far', options.far);
    for (const name of ['units', 'river', 'streets', 'borders', 'street-names', 'sensors', 'cameras', 'names']) {
      const layer = make('g', { class: name });
      this.#layers.set(name, layer);
      this.#svg.append(layer);
    }
    this.#marks = document.createElement('div');
    this.#marks.className = 'plain-marks';
    this.#container.replaceChildren(this.#svg, this.#marks);
    this.#observer = new ResizeObserver(() => this.#frame());
    this.#observer.observe(this.#container);
  }

  destroy(): void {
    this.#observer.disconnect();
    this.#container.replaceChildren();
  }

  city(maps: Maps, name: NameOf): void {
    const features = [...maps.units.features, ...maps.streets.features];
    const box = bounds(features);
    if (!Number.isFinite(box.west)) return;
    this.#origin = [(box.west + box.east) / 2, (box.south + box.north) / 2];
    this.#whole = this.#boxOf(box);
    const shapes = (collection: GeoJSON.FeatureCollection, wanted: (f: GeoJSON.Feature) => boolean) =>
      collection.features.filter(wanted).map((f) => make('path', { d: this.#path(f.geometry), class: String(f.properties?.['class'] ?? '') }));
    const area = (f: GeoJSON.Feature) => f.geometry.type.endsWith('Polygon');
    this.#fill('units', shapes(maps.units, area));
    this.#fill('borders', shapes(maps.units, area));
    this.#fill('river', shapes(maps.river, area));
    this.#fill('streets', shapes(maps.streets, () => true));
    this.#fill(
      'names',
      maps.units.features.flatMap((unit) => {
        const place = centroid(unit.geometry);
        const text = name(unit.properties);
        if (place === null || text === '') return [];
        const [x, y] = this.#project(place);
        const element = make('text', { x: String(x), y: String(y) });
        element.textContent = text;
        return [element];
      }),
    );
    if (!this.#far) this.#fill('street-names', maps.streets.features.flatMap((street, at) => this.#streetNames(street, name, at)));
    this.#frame();
  }

  sensors(sensors: Iterable<SensorInfo>, health: ReadonlyMap<string, SensorHealth>): void {
    const dots = Array.from(sensors, (sensor) => {
      const state = health.get(sensor.sensor_id) ?? 'silent';
      return this.#sign(sensor.lon, sensor.lat, state, state === 'good' ? 'M0 0h0' : 'M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0M-4 4l8-8');
    });
    this.#fill('sensors', dots);
  }

  cameras(cameras: Iterable<CameraInfo>, lost: ReadonlySet<string>): void {
    const signs = Array.from(cameras, (camera) => {
      const state = lost.has(camera.camera_id) ? 'lost' : 'good';
      return this.#sign(camera.lon, camera.lat, state, 'M-9-5h12v10h-12zM3-1l6-3v8l-6-3');
    });
    this.#fill('cameras', signs);
  }

  alerts(alerts: readonly MapAlert[], onPick?: (id: string) => void): void {
    const seen = new Set<string>();
    for (const alert of alerts) {
      seen.add(alert.id);
      let held = this.#elements.get(alert.id);
      if (held === undefined) {
        held = { element: alertElement(alert.id, onPick), place: alert.place };
        this.#elements.set(alert.id, held);
        this.#marks.append(held.element);
      }
      held.place = alert.place;
      updateAlertElement(held.element, alert);
      this.#stand(held);
    }
    for (const [id, { element }] of this.#elements) {
      if (seen.has(id)) continue;
      element.remove();
      this.#elements.delete(id);
    }
  }

  focus(place: Point | null): void {
    this.#focus = place;
    this.#frame();
  }

  /** Metres east and south of the middle of the city. */
  #project([lon, lat]: Point): [number, number] {
    const [lon0, lat0] = this.#origin;
    return [(lon - lon0) * Math.cos((lat0 * Math.PI) / 180) * METRES_PER_DEGREE, (lat0 - lat) * METRES_PER_DEGREE];
  }

  #boxOf({ west, east, south, north }: Bounds): Box {
    const [x, y] = this.#project([west, north]);
    const [right, bottom] = this.#project([east, south]);
    const width = right - x;
    const height = bottom - y;
    return { x: x - width * MARGIN, y: y - height * MARGIN, width: width * (1 + 2 * MARGIN), height: height * (1 + MARGIN + this.#below) };
  }

  #path(geometry: GeoJSON.Geometry): string {
    const line = (points: GeoJSON.Position[]) => `M${points.map(([lon = 0, lat = 0]) => this.#project([lon, lat]).map(Math.round).join(' ')).join('L')}`;
    switch (geometry.type) {
      case 'LineString':
        return line(geometry.coordinates);
      case 'MultiLineString':
      case 'Polygon':
        return geometry.coordinates.map(line).join('');
      case 'MultiPolygon':
        return geometry.coordinates.flat().map(line).join('');
      default:
        return '';
    }
  }

  /** A street's name along the street, some way from either end and in the middle. */
  #streetNames(street: GeoJSON.Feature, name: NameOf, at: number): SVGElement[] {
    const text = name(street.properties);
    const named = ['primary', 'secondary'].includes(String(street.properties?.['class'] ?? 'primary'));
    if (text === '' || !named || street.geometry.type !== 'LineString') return [];
    const points = street.geometry.coordinates;
    const rightwards = (points.at(-1)?.[0] ?? 0) >= (points[0]?.[0] ?? 0);
    const id = `${this.#id}-${at}`;
    const path = make('path', { id, d: this.#path({ type: 'LineString', coordinates: rightwards ? points : points.toReversed() }) });
    const names = ['20%', '50%', '80%'].map((startOffset) => {
      const line = make('text', {});
      const along = make('textPath', { href: `#${id}`, startOffset });
      along.textContent = text;
      line.append(along);
      return line;
    });
    return [path, ...names];
  }

  #sign(lon: number, lat: number, state: string, d: string): SVGElement {
    const [x, y] = this.#project([lon, lat]);
    return make('path', { d, class: state, 'data-x': String(x), 'data-y': String(y) });
  }

  #fill(layer: string, elements: SVGElement[]): void {
    this.#layers.get(layer)?.replaceChildren(...elements);
    if (layer === 'sensors' || layer === 'cameras') this.#scaleSigns();
  }

  /** What part of the ground is on the screen, and how many metres a pixel has. */
  #view(): { box: Box; metresPerPx: number } | null {
    if (this.#whole === null || this.#container.clientWidth === 0) return null;
    let box = this.#whole;
    if (this.#focus !== null) {
      const [x, y] = this.#project(this.#focus);
      box = { x: x - FOCUS_M, y: y - FOCUS_M / 2, width: 2 * FOCUS_M, height: FOCUS_M };
    }
    const { clientWidth, clientHeight } = this.#container;
    return { box, metresPerPx: Math.max(box.width / clientWidth, box.height / clientHeight) };
  }

  #frame(): void {
    const view = this.#view();
    if (view === null) return;
    const { x, y, width, height } = view.box;
    this.#svg.classList.toggle('close', this.#focus !== null);
    this.#svg.setAttribute('viewBox', `${x} ${y} ${width} ${height}`);
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    // Lines and letters are styled in rem; here is how large a rem is on the ground.
    this.#svg.style.setProperty('--rem', `${rem * view.metresPerPx}px`);
    this.#scaleSigns();
    for (const held of this.#elements.values()) this.#stand(held);
  }

  #scaleSigns(): void {
    const view = this.#view();
    if (view === null) return;
    const scale = (view.metresPerPx * Number.parseFloat(getComputedStyle(document.documentElement).fontSize)) / 16;
    for (const layer of ['sensors', 'cameras']) {
      for (const sign of this.#layers.get(layer)?.children ?? []) {
        const { x, y } = (sign as SVGElement).dataset;
        sign.setAttribute('transform', `translate(${x} ${y}) scale(${scale})`);
      }
    }
  }

  #stand({ element, place }: { element: HTMLElement; place: Point }): void {
    const view = this.#view();
    if (view === null) return;
    const { box, metresPerPx } = view;
    const [x, y] = this.#project(place);
    const left = this.#container.clientWidth / 2 + (x - box.x - box.width / 2) / metresPerPx;
    const top = this.#container.clientHeight / 2 + (y - box.y - box.height / 2) / metresPerPx;
    element.style.left = `${left}px`;
    element.style.top = `${top}px`;
  }
}

function make(name: string, attributes: Record<string, string>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
