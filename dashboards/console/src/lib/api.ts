/** The HTTP interface. Every failure arrives as an `ApiError` whose text can be shown. */
import { t } from './i18n/i18n.svelte';
import type { About, CameraInfo, CommandAccepted, CommandRequest, FrameTable, Problem, ReviewCase, SensorInfo } from './wire';

export class ApiError extends Error {
  constructor(
    readonly problem: Problem,
    readonly status: number,
  ) {
    super(problem.hint ? `${problem.message} (${problem.hint})` : problem.message);
  }
}

/** What went wrong, for people. */
export function explain(failure: unknown): string {
  if (failure instanceof ApiError && failure.status === 0) return t().connection.unreachable;
  return failure instanceof Error ? failure.message : String(failure);
}

const TIMEOUT_MS = 20_000;

async function request<T>(path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { signal: AbortSignal.timeout(TIMEOUT_MS) };
  if (body !== undefined) {
    init.method = 'POST';
    init.headers = { 'content-type': 'application/json', accept: 'application/json' };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new ApiError({ kind: 'unreachable', message }, 0);
  }
  if (!response.ok) throw new ApiError(await problemOf(response), response.status);
  return (await response.json()) as T;
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const problem = (await response.json()) as Problem;
    if (typeof problem.message === 'string') return problem;
  } catch {
    // Not JSON: a proxy in between has spoken.
  }
  return { kind: 'http', message: `HTTP ${response.status}` };
}

export const about = () => request<About>('/api/v1/about');
export const sensors = () => request<SensorInfo[]>('/api/v1/sensors');
export const cameras = () => request<CameraInfo[]>('/api/v1/cameras');
export const geojson = (name: string) => request<GeoJSON.FeatureCollection>(`/map/${name}.geojson`);

export function sql(statement: string): Promise<Record<string, unknown>[]> {
  return request('/api/v1/sql', { sql: statement });
}

/** A text literal of SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** An instant literal of SQL. */
export function timestamp(ms: number): string {
  return `TIMESTAMP '${new Date(ms).toISOString()}'`;
}

export type ReviewFilter = { state: string; rule: string; unit: string; from_ms: number | null; order: string };

/** Alerts with clips, for the review desk. */
export function reviewCases({ state, rule, unit, from_ms, order }: ReviewFilter): Promise<ReviewCase[]> {
  const query = new URLSearchParams({ state, order });
  if (rule) query.set('rule', rule);
  if (unit) query.set('unit', unit);
  if (from_ms !== null) query.set('from_ms', String(from_ms));
  return request(`/api/v1/review?${query}`);
}

const ofCamera = (camera: string) => `/api/v1/cameras/${encodeURIComponent(camera)}`;

/** A span of a camera's footage as MP4. */
export const spanUrl = (camera: string, fromMs: number, toMs: number) => `${ofCamera(camera)}/clip.mp4?from_ms=${fromMs}&to_ms=${toMs}`;

/** The picture that was on screen at an instant, as JPEG. */
export const stillUrl = (camera: string, atUs: number) => `${ofCamera(camera)}/still.jpg?at_us=${atUs}`;

/** When each frame of that MP4 is shown. */
export function frames(camera: string, fromMs: number, toMs: number): Promise<FrameTable> {
  return request(`${ofCamera(camera)}/frames?from_ms=${fromMs}&to_ms=${toMs}`);
}

/** What becomes of a package of evidence. */
export type Package = { package_id: string; state: 'making' | 'ready' | 'failed'; done_bytes: number; all_bytes: number; error: string | null };

/** Whether this installation makes packages. */
export const makesEvidence = () =>
  request('/api/v1/evidence/key').then(
    () => true,
    () => false,
  );
export const beginEvidence = (of: { alert_id: string; case: string; purpose: string; by: string }) => request<Package>('/api/v1/evidence', of);
export const evidence = (id: string) => request<Package>(`/api/v1/evidence/${encodeURIComponent(id)}`);
export const packageUrl = (id: string) => `/api/v1/evidence/${encodeURIComponent(id)}/package.zip`;

export type Decision = 'violation' | 'none' | 'needs_more';
export type Command = 'acknowledge' | 'shelve' | 'unshelve' | 'comment';

/** Resolves once the command is durable. Repeating it with the same `command_id` does nothing more. */
export function command(alertId: string, action: Command | `review_${Decision}`, body: CommandRequest): Promise<CommandAccepted> {
  return request(`/api/v1/alerts/${encodeURIComponent(alertId)}/${action}`, body);
}

/** Random 128 bits as hex; `crypto.randomUUID` is missing on plain HTTP outside loopback. */
export function newCommandId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
