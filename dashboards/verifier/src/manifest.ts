// What `manifest.json` holds, and whether a value is one. The fields are described in
// crates/vong-evidence/src/manifest.rs.
import { unhex } from './bytes';

export interface Span {
  from_us: number;
  to_us: number;
}

export interface Group {
  start_us: number;
  camera_us: number | null;
  key: boolean;
  lost_packets: number;
  description: number;
  media_90k: number;
  linked: boolean;
  damaged: boolean;
  payload: string;
  previous: string;
  chained: string;
  seal: { checkpoint: number; index: number; path: string[] } | null;
  /** Why it has no seal; unknown to the first version. */
  unsealed?: 'not_yet' | 'not_under_its_seal' | 'leaves_gone' | null;
  frames: [number, number, string][];
}

export interface CameraPart {
  camera_id: string;
  name_vi: string;
  name_en: string;
  clip: { path: string; edit_start_90k: number; duration_90k: number; descriptions: string[]; shown: Span };
  gaps: Span[];
  unreadable?: Span[];
  lost_packets: number;
  camera_signatures: { groups: number };
  groups: Group[];
}

export interface Manifest {
  format: string;
  version: number;
  case: string;
  purpose: string;
  asked_by: string;
  made_us: number;
  site_vi: string;
  site_en: string;
  key: { public_key: string; fingerprint: string };
  asked: Span;
  cameras: CameraPart[];
  checkpoints: string[];
  files: { path: string; bytes: number; sha256: string }[];
}

type Test = (value: unknown) => boolean;

const number: Test = (value) => Number.isSafeInteger(value);
const count: Test = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const word: Test = (value) => count(value) && (value as number) <= 0xffff_ffff;
const string: Test = (value) => typeof value === 'string';
const flag: Test = (value) => typeof value === 'boolean';
const hash32: Test = (value) => unhex(value, 32) !== null;
const list = (of: Test): Test => (value) => Array.isArray(value) && value.every(of);
const or = (of: Test): Test => (value) => value === null || of(value);
const maybe = (of: Test): Test => (value) => value === undefined || of(value);
const shape = (fields: Record<string, Test>): Test => (value) =>
  typeof value === 'object' && value !== null && Object.entries(fields).every(([name, test]) => test((value as Record<string, unknown>)[name]));

const span = shape({ from_us: number, to_us: number });
const frame: Test = (value) => Array.isArray(value) && value.length === 3 && word(value[0]) && word(value[1]) && string(value[2]);
const group = shape({
  start_us: number,
  camera_us: or(number),
  key: flag,
  lost_packets: word,
  description: word,
  media_90k: count,
  before_asked: flag,
  linked: flag,
  damaged: flag,
  recorded_in: string,
  payload: hash32,
  previous: hash32,
  chained: hash32,
  seal: or(shape({ checkpoint: count, index: count, path: list(string) })),
  unsealed: maybe(or((value) => value === 'not_yet' || value === 'not_under_its_seal' || value === 'leaves_gone')),
  frames: list(frame),
});
const camera = shape({
  camera_id: string,
  name_vi: string,
  name_en: string,
  clip: shape({ path: string, edit_start_90k: count, duration_90k: count, descriptions: list(string), shown: span }),
  gaps: list(span),
  unreadable: maybe(list(span)),
  lost_packets: count,
  camera_signatures: shape({ kinds: list(string), groups: count, verified: flag }),
  groups: list(group),
});
const manifest = shape({
  format: (value) => value === 'vong-evidence',
  version: (value) => value === 1 || value === 2,
  case: string,
  purpose: string,
  asked_by: string,
  made_us: number,
  site_vi: string,
  site_en: string,
  key: shape({ public_key: hash32, fingerprint: hash32 }),
  asked: span,
  cameras: list(camera),
  checkpoints: list(string),
  files: list(shape({ path: string, bytes: count, sha256: hash32 })),
});

export function isManifest(value: unknown): value is Manifest {
  return manifest(value);
}
