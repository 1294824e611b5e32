/**
 * The live views as the pages read them: one counter per view, raised at most once a frame.
 * However many messages arrive, a page recomputes what it shows once per frame and view.
 */
import {
  alertRow,
  cameraRow,
  clipRow,
  sensorRow,
  sourceRow,
  type AlertRow,
  type CameraRow,
  type ClipRow,
  type SensorRow,
  type SourceRow,
} from '../rows';
import type { Fields, View } from '../wire';
import { LiveClient, type Status } from './client';
import type { ViewReplica } from './replica';

/** Hidden pages get no animation frames; they still have to keep up. */
const HIDDEN_FRAME_MS = 250;

function nextFrame(run: () => void): void {
  if (document.visibilityState === 'visible') requestAnimationFrame(run);
  else setTimeout(run, HIDDEN_FRAME_MS);
}

/** One view: read `rows` inside an effect or derived value and it re-runs when they change. */
export class LiveView<T> {
  #version = $state(0);
  #scheduled = false;
  #replica: ViewReplica<T>;

  constructor(client: LiveClient, view: View, decode: (fields: Fields) => T) {
    this.#replica = client.watch(view, decode, () => this.#schedule());
  }

  get rows(): ReadonlyMap<string, T> {
    void this.#version;
    return this.#replica.rows;
  }

  get ready(): boolean {
    void this.#version;
    return this.#replica.ready;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    nextFrame(() => {
      this.#scheduled = false;
      this.#version += 1;
    });
  }
}

export type Health = 'connecting' | 'live' | 'stale' | 'lost';

/** Longer than this without a word: what is shown is called old. */
const STALE_MS = 3_000;
const LOST_MS = 10_000;

class Live {
  readonly sensors: LiveView<SensorRow>;
  readonly cameras: LiveView<CameraRow>;
  readonly alerts: LiveView<AlertRow>;
  readonly clips: LiveView<ClipRow>;
  readonly sources: LiveView<SourceRow>;
  /** Server time, advanced about once a second. */
  now = $state(Date.now());
  #local = $state(Date.now());
  #status: Status = $state.raw({} as Status);
  #client: LiveClient;

  constructor() {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#client = new LiveClient(
      {
        url: `${scheme}//${location.host}/api/v1/live`,
        open: (url, protocol) => new WebSocket(url, protocol),
        now: () => Date.now(),
        chance: () => Math.random(),
        setTimer: (run, ms) => window.setTimeout(run, ms),
        clearTimer: (timer) => window.clearTimeout(timer),
      },
      () => {
        this.#status = { ...this.#client.status };
      },
    );
    this.#status = { ...this.#client.status };
    this.sensors = new LiveView(this.#client, 'sensors', sensorRow);
    this.cameras = new LiveView(this.#client, 'cameras', cameraRow);
    this.alerts = new LiveView(this.#client, 'alerts', alertRow);
    this.clips = new LiveView(this.#client, 'clips', clipRow);
    this.sources = new LiveView(this.#client, 'sources', sourceRow);
    this.#client.start();
    this.#tick();
    window.addEventListener('online', () => this.#client.retryNow());
    document.addEventListener('visibilitychange', () => this.#client.retryNow());
  }

  get status(): Status {
    return this.#status;
  }

  /** Milliseconds since the server was last heard. */
  get ageMs(): number {
    if (this.#status.heardAt === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#local - this.#status.heardAt);
  }

  get health(): Health {
    if (this.#status.heardAt === 0) return 'connecting';
    if (this.ageMs > LOST_MS) return 'lost';
    if (this.ageMs > STALE_MS || this.#status.phase !== 'open') return 'stale';
    return 'live';
  }

  /** Ticks on the second of the server's clock, so that a shown clock does not skip. */
  #tick(): void {
    const local = Date.now();
    const server = local + this.#client.status.clockOffset;
    this.#local = local;
    this.now = server;
    setTimeout(() => this.#tick(), 1_000 - (server % 1_000) + 5);
  }
}

let instance: Live | null = null;

/** The page's one connection, made on first use. */
export function live(): Live {
  instance ??= new Live();
  return instance;
}

export type { Live };
