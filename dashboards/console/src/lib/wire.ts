/**
 * The shapes that cross the wire, as the Rust crate `vong-wire` defines them.
 * Nothing here has behaviour; a field that is not in `vong-wire` has no place here.
 * Instants end in `_ms`: milliseconds since 1970-01-01T00:00:00Z.
 */

export const PROTOCOL = 'vong.live.v1';

// ---- live ----

export type Fields = Record<string, unknown>;

export type View = 'sensors' | 'cameras' | 'alerts' | 'clips' | 'sources';

export type Since = { epoch: string; seq: number };

export type ClientMessage =
  | { type: 'sub'; sid: number; view: View; since?: Since }
  | { type: 'unsub'; sid: number }
  | { type: 'ack'; sid: number; seq: number };

/** Key, revision (the log offset that last changed it), all fields. */
export type Row = [string, number, Fields];

/** `+` put, `~` patch, `-` remove. */
export type OpKind = '+' | '~' | '-';

/** What, key, revision, fields. */
export type Op = [OpKind, string, number, Fields];

export type GapReason = 'epoch' | 'retention';

export type ByeCode = 'shutdown' | 'slow' | 'protocol';

export type ServerMessage =
  | {
      type: 'welcome';
      protocol: string;
      epoch: string;
      head: number;
      server_time_ms: number;
      mark_ms: number;
      simulated: boolean;
    }
  | {
      type: 'snap';
      sid: number;
      epoch: string;
      seq: number;
      part: number;
      parts: number;
      rows: Row[];
      count: number;
    }
  | { type: 'delta'; sid: number; from: number; to: number; n: number; ops: Op[] }
  | { type: 'mark'; sid: number; seq: number; watermark_ms: number | null; server_time_ms: number }
  | { type: 'gap'; sid: number; from: number; to: number; why: GapReason }
  | { type: 'bye'; code: ByeCode; retry_ms: number; detail: string };

/** `GET /api/v1/live/{view}/snapshot`. */
export type ViewSnapshot = { epoch: string; seq: number; rows: Row[] };

// ---- http ----

export type SqlRequest = { sql: string };

export type Problem = {
  kind: string;
  message: string;
  hint?: string;
  line?: number;
  column?: number;
};

export type CommandRequest = {
  command_id: string | null;
  reason: string | null;
  until_ms: number | null;
};

export type CommandAccepted = { command_id: string; offset: number };

export type About = {
  version: string;
  city_name_vi: string;
  city_name_en: string;
  simulated: boolean;
  server_time_ms: number;
};

export type SensorInfo = {
  sensor_id: string;
  kind: string;
  name_vi: string;
  name_en: string;
  lon: number;
  lat: number;
  unit_code: string;
};

export type CameraInfo = {
  camera_id: string;
  name_vi: string;
  name_en: string;
  lon: number;
  lat: number;
  heading_deg: number;
  unit_code: string;
};

export type LiveVideoInit = { mime: string; width: number; height: number };

export type Readiness = { ready: boolean; waiting_for: string[] };
