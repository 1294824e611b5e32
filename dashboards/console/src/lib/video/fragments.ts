/**
 * One live camera through Media Source, where the browser has no decoder for pages: fragments into a
 * media element. Invariants: what is held is bounded (`QUEUE_BYTES` waiting, `KEEP_S` seconds played),
 * playback stays close to the newest frame, and only what the element says is on the screen is told
 * as shown. Whatever breaks is told once for each `begin`.
 */
import type { PictureHeader } from './picture';

/** A queue this long means that the browser cannot keep up: better a jump than growing memory. */
const QUEUE_BYTES = 8 * 1024 * 1024;
const KEEP_S = 12;
/** Behind the newest frame by more than this, playback jumps; by more than `CATCH_UP_S`, it hurries. */
const JUMP_S = 2;
const CATCH_UP_S = 0.4;
const CUSHION_S = 0.2;
const TICKS = 90_000;
/** Frames whose times are remembered: more than can wait. */
const REMEMBERED = 256;

export type Shown = { receivedUs: number; cameraUs: number | null };

export class FragmentPlayer {
  /** Of the frame on the screen, as far as the browser tells. */
  shown: Shown | null = null;
  #media: MediaSource | null = null;
  #buffer: SourceBuffer | null = null;
  #queue: ArrayBuffer[] = [];
  #queued = 0;
  #address: string | null = null;
  #times: { media: number; shown: Shown }[] = [];
  #broken = false;
  #closed = false;

  constructor(
    private readonly video: HTMLVideoElement,
    /** Full or broken: a new set-up brings a new buffer and a key frame. */
    private readonly onTrouble: () => void,
    /** A frame is on the screen; null where it is not known which. */
    private readonly onShown: (shown: Shown | null) => void = () => undefined,
  ) {
    this.#nextFrame();
    video.addEventListener('error', this.#onError);
  }

  close(): void {
    this.#closed = true;
    this.video.removeEventListener('error', this.#onError);
    this.#discard();
  }

  begin(mime: string, init: ArrayBuffer): void {
    this.#discard();
    this.#broken = false;
    const media = new MediaSource();
    this.#media = media;
    this.#queue.push(init);
    this.#address = URL.createObjectURL(media);
    this.video.src = this.#address;
    media.addEventListener(
      'sourceopen',
      () => {
        if (media !== this.#media) return;
        try {
          this.#buffer = this.#addBuffer(media, mime);
        } catch {
          this.#break();
          return;
        }
        this.#feed();
      },
      { once: true },
    );
    // What we close ourselves is no longer ours by then.
    for (const end of ['sourceclose', 'sourceended']) media.addEventListener(end, () => media === this.#media && this.#break());
  }

  append(header: PictureHeader, data: ArrayBuffer): void {
    if (this.#media === null || this.#broken) return;
    this.#queue.push(data);
    this.#queued += data.byteLength;
    const { receivedUs, cameraUs } = header;
    this.#times.push({ media: header.pts90k / TICKS, shown: { receivedUs, cameraUs } });
    if (this.#times.length > REMEMBERED) this.#times.shift();
    if (this.#queued > QUEUE_BYTES) this.#break();
    else this.#feed();
  }

  #addBuffer(media: MediaSource, mime: string): SourceBuffer {
    const buffer = media.addSourceBuffer(mime);
    buffer.addEventListener('updateend', () => {
      if (buffer !== this.#buffer) return;
      this.#follow();
      this.#feed();
    });
    buffer.addEventListener('error', () => buffer === this.#buffer && this.#break());
    return buffer;
  }

  readonly #onError = (): void => {
    // Of a source of ours; an element without one has nothing to fail.
    if (this.#media !== null) this.#break();
  };

  /** Nothing more comes of this source. */
  #break(): void {
    if (this.#broken || this.#closed) return;
    this.#broken = true;
    this.#queue = [];
    this.#queued = 0;
    this.onTrouble();
  }

  #feed(): void {
    const buffer = this.#buffer;
    if (buffer === null || buffer.updating || this.#broken) return;
    if (this.#media?.readyState !== 'open') {
      this.#break();
      return;
    }
    try {
      if (this.#trim(buffer)) return;
      if (this.#queue.length === 0) return;
      const data = join(this.#queue);
      this.#queue = [];
      this.#queued = 0;
      buffer.appendBuffer(data);
    } catch {
      this.#break();
    }
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
    if (video.currentTime < start || lag > JUMP_S || lag < -0.1) video.currentTime = Math.max(start, end - CUSHION_S);
    video.playbackRate = lag > CATCH_UP_S && lag <= JUMP_S ? 1 + Math.min(0.5, lag - CUSHION_S) : 1;
    // Muted playback may start by itself; if not, the next fragment tries again.
    if (video.paused) video.play().catch(() => undefined);
  }

  #nextFrame(): void {
    const { video } = this;
    if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback((_now, { mediaTime }) => this.#onFrame(mediaTime));
    // An older browser tells only that time went on, some four times a second.
    else (video as HTMLVideoElement).addEventListener('timeupdate', () => this.#onFrame((video as HTMLVideoElement).currentTime), { once: true });
  }

  #onFrame(mediaTime: number): void {
    if (this.#closed) return;
    this.#nextFrame();
    if (this.#media === null || this.#broken) return;
    const known = this.#times.findLast(({ media }) => Math.abs(media - mediaTime) < 0.002);
    if (known !== undefined) this.shown = known.shown;
    this.onShown(known?.shown ?? null);
  }

  #discard(): void {
    this.#queue = [];
    this.#queued = 0;
    this.#times = [];
    this.#buffer = null;
    this.#media = null;
    if (this.#address === null) return;
    URL.revokeObjectURL(this.#address);
    this.#address = null;
    this.video.removeAttribute('src');
    this.video.load();
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
