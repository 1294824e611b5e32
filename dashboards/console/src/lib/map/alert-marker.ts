/** The mark of an alert on the map: its severity shape; a pulse while nobody has acknowledged it. */
import { SEVERITY_RANK } from '../rows';
import { SHAPE_PATHS, TEXT_Y } from '../ui/shapes';
import type { MapAlert } from './drawing';
import './alert-marker.css';

const SVG = 'http://www.w3.org/2000/svg';

export function alertElement(id: string, onPick?: (id: string) => void): HTMLElement {
  const element = document.createElement(onPick ? 'button' : 'div');
  if (!onPick) element.setAttribute('role', 'img');
  element.className = 'alert-mark';
  element.dataset['testid'] = 'map-alert';
  element.dataset['alertId'] = id;
  if (onPick) element.addEventListener('click', () => onPick(id));
  const ring = svg('svg', { viewBox: '0 0 24 24', class: 'ring', 'aria-hidden': 'true' });
  ring.append(svg('path', {}));
  const shape = svg('svg', { viewBox: '0 0 24 24', class: 'shape', 'aria-hidden': 'true' });
  shape.append(svg('path', {}), svg('text', { x: '12' }));
  element.append(ring, shape);
  return element;
}

export function updateAlertElement(element: HTMLElement, alert: MapAlert): void {
  const state = `${alert.severity} ${alert.acknowledged} ${alert.active} ${alert.selected} ${alert.title}`;
  if (element.dataset['state'] === state) return;
  element.dataset['state'] = state;
  // The map library keeps classes of its own on the element.
  for (const severity of Object.keys(SHAPE_PATHS)) element.classList.toggle(`sev-${severity}`, severity === alert.severity);
  element.classList.toggle('acknowledged', alert.acknowledged);
  element.classList.toggle('over', !alert.active);
  element.classList.toggle('selected', alert.selected);
  element.setAttribute('aria-label', `${SEVERITY_RANK[alert.severity]} ${alert.title}`);
  element.title = alert.title;
  element.style.zIndex = String(alert.selected ? 9 : 5 - SEVERITY_RANK[alert.severity]);
  for (const path of element.querySelectorAll('path')) path.setAttribute('d', SHAPE_PATHS[alert.severity]);
  const text = element.querySelector('text');
  if (text !== null) {
    text.textContent = String(SEVERITY_RANK[alert.severity]);
    text.setAttribute('y', String(TEXT_Y[alert.severity]));
  }
}

function svg(name: string, attributes: Record<string, string>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
