import { describe, expect, it } from 'vitest';
import { figures, sensorHealth, type Kpi } from './figures';
import { sensorRow, type SensorRow } from './rows';
import type { SensorInfo } from './wire';

const NOW = 10_000_000;

/** `id metric value age_s quality` */
function row(line: string): SensorRow {
  const [sensor_id, metric, value, ageS, quality = 'good'] = line.split(' ');
  const at = NOW - Number(ageS) * 1000;
  return sensorRow({ sensor_id, metric, value: Number(value), unit: 'u', quality, event_time_ms: at, arrival_time_ms: at });
}

function sensor(sensor_id: string, kind: string): [string, SensorInfo] {
  return [sensor_id, { sensor_id, kind, name_vi: '', name_en: '', lon: 0, lat: 0, unit_code: '' }];
}

const city = new Map([sensor('T1', 'traffic'), sensor('T2', 'traffic'), sensor('T3', 'traffic'), sensor('W1', 'water_level')]);
const speed: Kpi = { metric: 'speed', aggregate: 'avg', digits: 0, unit: 'km/h' };
const level: Kpi = { metric: 'water_level', aggregate: 'max', digits: 0, unit: 'm' };

describe('figures', () => {
  it('averages fresh readings and says how many stations stand behind them', () => {
    const found = figures([row('T1 speed 30 1'), row('T2 speed 50 2'), row('T3 speed 900 600')], city, [speed], NOW).get('speed');
    expect(found).toEqual({ value: 40, unit: 'u', newestMs: NOW - 1000, fresh: 2, all: 3 });
  });

  it('leaves out readings of a device whose clock is wrong', () => {
    const found = figures([row('T1 speed 30 1'), row('T2 speed 90 1 clock_ahead')], city, [speed], NOW).get('speed');
    expect(found).toMatchObject({ value: 30, fresh: 1, all: 3 });
  });

  it('has no value but an age when all stations are silent', () => {
    expect(figures([row('W1 water_level 3 900')], city, [level], NOW).get('water_level')).toEqual({
      value: null,
      unit: 'u',
      newestMs: NOW - 900_000,
      fresh: 0,
      all: 1,
    });
  });
});

describe('sensorHealth', () => {
  it('calls a sensor silent when it never spoke or no longer does', () => {
    const health = sensorHealth([row('T1 speed 1 1'), row('T1 flow 1 900'), row('T2 speed 1 900'), row('W1 water_level 1 1 clock_ahead')], city, NOW);
    expect(Object.fromEntries(health)).toEqual({ T1: 'good', T2: 'silent', T3: 'silent', W1: 'clock_ahead' });
  });
});
