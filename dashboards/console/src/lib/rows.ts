/**
 * Rows of the live views, read out of the untyped fields of the wire.
 * A field of the wrong type becomes null here, never an exception on a screen nobody touches.
 */
import type { Fields } from './wire';

export type Severity = 'critical' | 'high' | 'medium' | 'low';

export const SEVERITIES: readonly Severity[] = ['critical', 'high', 'medium', 'low'];

/** 1 is the most urgent. */
export const SEVERITY_RANK: Record<Severity, number> = { critical: 1, high: 2, medium: 3, low: 4 };

export type AlertState =
  | 'pending'
  | 'firing'
  | 'acknowledged'
  | 'shelved'
  | 'suppressed'
  | 'resolved'
  | 'cancelled';

const ALERT_STATES: readonly AlertState[] = [
  'pending',
  'firing',
  'acknowledged',
  'shelved',
  'suppressed',
  'resolved',
  'cancelled',
];

export type SensorRow = {
  sensor_id: string;
  metric: string;
  value: number | null;
  unit: string | null;
  unit_code: string | null;
  quality: string | null;
  event_time_ms: number;
  arrival_time_ms: number;
};

export type CameraRow = {
  camera_id: string;
  state: string;
  detail: string | null;
  event_time_ms: number;
  /** `lost` while what it shows is not recorded. */
  recording: string | null;
};

export type AlertRow = {
  alert_id: string;
  rule_id: string;
  state: AlertState;
  severity: Severity;
  key: string;
  sensor_id: string | null;
  camera_id: string | null;
  unit_code: string | null;
  value: number | null;
  title_vi: string;
  title_en: string;
  action_vi: string;
  action_en: string;
  started_time_ms: number;
  event_time_ms: number;
  actor: string | null;
  reason: string | null;
  acknowledged: boolean;
  shelved_until_ms: number | null;
};

export type ClipRow = {
  clip_id: string;
  alert_id: string;
  camera_id: string;
  event_time_ms: number;
  from_time_ms: number;
  to_time_ms: number;
  distance_m: number | null;
  /** How well the camera shows the place, 0 to 1; null where it is only near. */
  view_quality: number | null;
  url: string;
};

export type SourceRow = {
  source_id: string;
  state: string;
  detail: string | null;
  event_time_ms: number;
  rows_in: number;
  rows_rejected: number;
};

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function sensorRow(fields: Fields): SensorRow {
  return {
    sensor_id: text(fields['sensor_id']) ?? '',
    metric: text(fields['metric']) ?? '',
    value: number(fields['value']),
    unit: text(fields['unit']),
    unit_code: text(fields['unit_code']),
    quality: text(fields['quality']),
    event_time_ms: number(fields['event_time_ms']) ?? 0,
    arrival_time_ms: number(fields['arrival_time_ms']) ?? 0,
  };
}

export function cameraRow(fields: Fields): CameraRow {
  return {
    camera_id: text(fields['camera_id']) ?? '',
    state: text(fields['state']) ?? '',
    detail: text(fields['detail']),
    event_time_ms: number(fields['event_time_ms']) ?? 0,
    recording: text(fields['recording']),
  };
}

export function alertRow(fields: Fields): AlertRow {
  const state = fields['state'] as AlertState;
  const severity = fields['severity'] as Severity;
  const ruleId = text(fields['rule_id']) ?? '';
  return {
    alert_id: text(fields['alert_id']) ?? '',
    rule_id: ruleId,
    state: ALERT_STATES.includes(state) ? state : 'firing',
    severity: SEVERITIES.includes(severity) ? severity : 'critical',
    key: text(fields['key']) ?? '',
    sensor_id: text(fields['sensor_id']),
    camera_id: text(fields['camera_id']),
    unit_code: text(fields['unit_code']),
    value: number(fields['value']),
    title_vi: text(fields['title_vi']) ?? ruleId,
    title_en: text(fields['title_en']) ?? ruleId,
    action_vi: text(fields['action_vi']) ?? '',
    action_en: text(fields['action_en']) ?? '',
    started_time_ms: number(fields['started_time_ms']) ?? 0,
    event_time_ms: number(fields['event_time_ms']) ?? 0,
    actor: text(fields['actor']),
    reason: text(fields['reason']),
    acknowledged: fields['acknowledged'] === true,
    shelved_until_ms: number(fields['shelved_until_ms']),
  };
}

export function clipRow(fields: Fields): ClipRow {
  return {
    clip_id: text(fields['clip_id']) ?? '',
    alert_id: text(fields['alert_id']) ?? '',
    camera_id: text(fields['camera_id']) ?? '',
    event_time_ms: number(fields['event_time_ms']) ?? 0,
    from_time_ms: number(fields['from_time_ms']) ?? 0,
    to_time_ms: number(fields['to_time_ms']) ?? 0,
    distance_m: number(fields['distance_m']),
    view_quality: number(fields['view_quality']),
    url: text(fields['url']) ?? '',
  };
}

export function sourceRow(fields: Fields): SourceRow {
  return {
    source_id: text(fields['source_id']) ?? '',
    state: text(fields['state']) ?? '',
    detail: text(fields['detail']),
    event_time_ms: number(fields['event_time_ms']) ?? 0,
    rows_in: number(fields['rows_in']) ?? 0,
    rows_rejected: number(fields['rows_rejected']) ?? 0,
  };
}
