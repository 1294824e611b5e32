/**
 * One live camera: fragmented MP4 from a WebSocket into a media element.
 * Invariants: what is held is bounded (`QUEUE_BYTES` waiting, `KEEP_S` seconds played), playback stays
 * close to the newest frame, and it never stops trying.
 */
import { backoffMs } from '../live/backoff';
import type { LiveVideoInit } from '../wire';

export type VideoState = 'connecting' | 'playing' | 'unsupported';

/** A queue this long means that the browser cannot keep up: better a jump than growing memory. */
const QUEUE_BYTES = 8 * 1024 * 1024;
const KEEP_S = 12;
/** Behind the newest frame by more than this, playback jumps; by more than `CATCH_UP_S`, it hurries. */
const JUMP_S = 2.5;
const CATCH_UP_S = 0.9;
const CUSHION_S = 0.25;
/** Without a message for this long the connection is thought dead. */
const SILENCE_MS = 15_000;

export class LivePlayer {
  /** Local time at which the last fragment arrived; 0 before the first. */
  lastFrameAt = 0;
  #socket: WebSocket | null = null;
  #media: MediaSource | null = null;
  #buffer: SourceBuffer | null = null;
  #queue: ArrayBuffer[] = [];
  #queued = 0;
  #address: string | null = null;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #watch: ReturnType<typeof setInterval>;
  #closed = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly cameraId: string,
    private readonly onState: (state: VideoState) => void,
  ) {
    this.#watch = setInterval(() => this.#check(), 1_000);
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#watch);
    if (this.#retry !== null) clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#discard();
  }

  /** Seconds between what is shown and the newest frame. */
  lagS(): number {
    const { buffered, currentTime } = this.video;
    return buffered.length === 0 ? 0 : Math.max(0, buffered.end(buffered.length - 1) - currentTime);
  }

  #connect(): void {
    this.#retry = null;
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const path = `/api/v1/cameras/${encodeURIComponent(this.cameraId)}/live`;
    const socket = new WebSocket(`${scheme}//${location.host}${path}`);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#openedAt = Date.now();
    socket.onmessage = (event: MessageEvent) => {
      if (socket !== this.#socket) return;
      if (typeof event.data === 'string') this.#begin(event.data);
      else this.#fragment(event.data as ArrayBuffer);
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#again();
    };
  }

  #openedAt = 0;

  /** The connection ended: the last picture stays until the next one comes. */
  #again(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    if (this.#closed || this.#retry !== null) return;
    this.onState('connecting');
    this.#retry = setTimeout(() => this.#connect(), backoffMs(this.#attempt, Math.random()));
    this.#attempt += 1;
  }

  #begin(text: string): void {
    let init: LiveVideoInit;
    try {
      init = JSON.parse(text) as LiveVideoInit;
    } catch {
      return;
    }
    this.#discard();
    if (typeof init.mime !== 'string' || !('MediaSource' in window) || !MediaSource.isTypeSupported(init.mime)) {
      this.onState('unsupported');
      return;
    }
    const media = new MediaSource();
    this.#media = media;
    this.#address = URL.createObjectURL(media);
    this.video.src = this.#address;
    media.addEventListener('sourceopen', () => this.#opened(media, init.mime), { once: true });
  }

  #opened(media: MediaSource, mime: string): void {
    if (media !== this.#media) return;
    try {
      const buffer = media.addSourceBuffer(mime);
      buffer.addEventListener('updateend', () => this.#feed());
      this.#buffer = buffer;
    } catch {
      this.onState('unsupported');
      return;
    }
    this.#feed();
  }

  #fragment(data: ArrayBuffer): void {
    if (this.#media === null) return;
    this.lastFrameAt = Date.now();
    this.#attempt = 0;
    this.#queue.push(data);
    this.#queued += data.byteLength;
    if (this.#queued > QUEUE_BYTES) {
      this.#again();
      return;
    }
    this.#feed();
  }

  #feed(): void {
    const buffer = this.#buffer;
    if (buffer === null || buffer.updating || this.#media?.readyState !== 'open') return;
    try {
      if (this.#trim(buffer)) return;
      const data = this.#queue.length > 1 ? join(this.#queue) : this.#queue[0];
      if (data === undefined) return;
      this.#queue = [];
      this.#queued = 0;
      buffer.appendBuffer(data);
    } catch {
      // Full or broken: a new connection brings a new buffer and a key frame.
      this.#again();
    }
    this.#follow();
  }

  /** Removes what was played; true when a removal has begun. */
  #trim(buffer: SourceBuffer): boolean {
    const { buffered } = buffer;
    if (buffered.length === 0) return false;
    const start = buffered.start(0);
    const keepFrom = this.video.currentTime - KEEP_S;
    if (keepFrom - start < KEEP_S) return false;
    buffer.remove(start, keepFrom);
    return true;
  }

  /** Keeps playback near the newest frame. */
  #follow(): void {
    const { video } = this;
    const { buffered } = video;
    if (buffered.length === 0) return;
    const start = buffered.start(buffered.length - 1);
    const end = buffered.end(buffered.length - 1);
    const lag = end - video.currentTime;
    if (video.currentTime < start || lag > JUMP_S || lag < -0.1) {
      video.currentTime = Math.max(start, end - CUSHION_S);
    }
    video.playbackRate = lag > CATCH_UP_S && lag <= JUMP_S ? 1.1 : 1;
    if (video.paused) {
      // Muted playback may start by itself; if not, the next fragment tries again.
      video.play().then(
        () => this.onState('playing'),
        () => undefined,
      );
    }
  }

  #check(): void {
    if (this.#socket === null) return;
    const heard = Math.max(this.lastFrameAt, this.#openedAt);
    if (Date.now() - heard > SILENCE_MS) this.#again();
  }

  #discard(): void {
    this.#queue = [];
    this.#queued = 0;
    this.#buffer = null;
    this.#media = null;
    if (this.#address !== null) {
      URL.revokeObjectURL(this.#address);
      this.#address = null;
      this.video.removeAttribute('src');
      this.video.load();
    }
  }
}

function join(parts: ArrayBuffer[]): ArrayBuffer {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return whole.buffer;
}
