/**
 * One camera's footage of a span: the video element that shows it, and which frame is on screen.
 *
 * Every seek goes to the middle of a frame of the table; what is shown is read back from the
 * presented frame itself. Where the browser cannot decode the codec, the server makes the pictures.
 */
import { explain, frames, spanUrl, stillUrl } from '../lib/api';
import type { FrameTable } from '../lib/wire';
import { covers, frameAt, lengthOf, mediaAt, middleOf, startOf, wallAt } from './frames';
import { Stills, type Still } from './stills.svelte';

/** Pictures from the server while it plays: more than these nobody can follow, milliseconds. */
const STILL_EVERY_MS = 700;

/** So long a presented frame may be another one than was asked for. */
const LAGGING_TICKS = 5;

export type Mode = 'loading' | 'video' | 'stills' | 'none';

export class Player {
  mode = $state<Mode>('loading');
  #failed = $state<string | null>(null);
  table = $state.raw<FrameTable | null>(null);
  /** The frame on screen; of stills, the one that is asked for: `shown` says which one is there. */
  frame = $state(0);
  /** Media time that the browser says the frame on screen has, seconds. */
  mediaTime = $state(-1);
  url = $state('');
  /** The leading picture's moment lies outside of this footage. */
  outside = $state(false);
  duration = $state(0);

  #video: HTMLVideoElement | null = null;
  /** Asked for while another seek was on its way. */
  #wanted: number | null = null;
  /** What was asked for last, while it stands: what is presented may lag behind. */
  #target: number | null = null;
  #lagging = 0;
  #playing = $state(false);
  #rate = 1;
  /** Of stills: where playing began. */
  #begun = { at: 0, seconds: 0 };
  #lastStill = 0;
  #stills = new Stills();
  #closed = false;

  constructor(readonly camera: string) {}

  async load(fromMs: number, toMs: number, atUs: number): Promise<void> {
    try {
      const table = await frames(this.camera, fromMs, toMs);
      if (this.#closed) return;
      this.table = table;
      this.duration = table.end_90k / 90_000;
      this.frame = frameAt(table, mediaAt(table, atUs));
      const playable = document.createElement('video').canPlayType(`video/mp4; codecs="${table.codec}"`) !== '';
      this.mode = playable ? 'video' : 'stills';
      this.url = spanUrl(this.camera, fromMs, toMs);
      this.show(this.frame);
    } catch (failure) {
      if (this.#closed) return;
      this.mode = 'none';
      this.#failed = explain(failure);
    }
  }

  close(): void {
    this.#closed = true;
    this.#stills.close();
    this.#video?.removeAttribute('src');
    this.#video?.load();
    this.#video = null;
  }

  /** Called with the element once it stands in the page. */
  attach(video: HTMLVideoElement): void {
    this.#video = video;
    const onFrame = (_now: number, { mediaTime }: { mediaTime: number }) => {
      if (this.#video !== video) return;
      this.mediaTime = mediaTime;
      if (this.table) this.frame = frameAt(this.table, mediaTime);
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    video.addEventListener('seeked', () => {
      const wanted = this.#wanted;
      this.#wanted = null;
      if (wanted !== null) this.#seek(wanted);
    });
    video.addEventListener('loadedmetadata', () => this.#seek(this.heading));
  }

  failed(): void {
    this.mode = 'stills';
    this.show(this.frame);
  }

  /** What went wrong with the footage, or with the last picture. */
  get error(): string | null {
    return this.#failed ?? this.#stills.error;
  }

  /** The server's picture on screen. */
  get still(): Still | null {
    return this.#stills.shown;
  }

  /** The frame that is really on screen; null before there is one. */
  get shown(): number | null {
    if (this.mode === 'stills') return this.still?.frame ?? null;
    return this.mode === 'video' && this.mediaTime >= 0 ? this.frame : null;
  }

  /** Its wall clock, microseconds. */
  get shownUs(): number | null {
    return this.table === null || this.shown === null ? null : wallAt(this.table, startOf(this.table, this.shown));
  }

  /** The picture on screen is an older one than what was asked for; while it plays it always is a little. */
  get isBehind(): boolean {
    return this.mode === 'stills' && !this.#playing && this.shown !== this.frame;
  }

  /** Somebody can judge: the picture is there, or it is said that there is none. */
  get isSettled(): boolean {
    return this.mode === 'none' || (this.shown !== null && !this.isBehind) || (this.mode === 'stills' && this.error !== null);
  }

  get video(): HTMLVideoElement | null {
    return this.#video;
  }

  /** Seconds of media time now, between frames too. */
  get seconds(): number {
    if (this.mode === 'video' && this.#video) return this.#video.currentTime;
    if (!this.#playing) return this.table ? startOf(this.table, this.frame) : 0;
    return this.#begun.seconds + ((performance.now() - this.#begun.at) / 1000) * this.#rate;
  }

  /** Wall clock of `frame`, microseconds. */
  get wallUs(): number {
    return this.table ? wallAt(this.table, startOf(this.table, this.frame)) : 0;
  }

  /** Wall clock of this moment of playing, microseconds. */
  get runningUs(): number {
    return this.table ? wallAt(this.table, this.seconds) : 0;
  }

  get frameS(): number {
    return this.table ? Math.min(lengthOf(this.table, this.frame), 0.2) : 0.04;
  }

  get ended(): boolean {
    return this.#video?.ended || (this.duration > 0 && this.seconds >= this.duration - 0.001);
  }

  /** Puts a frame on screen. */
  show(frame: number): void {
    const table = this.table;
    if (table === null || table.times_90k.length === 0) return;
    const next = Math.max(0, Math.min(table.times_90k.length - 1, frame));
    if (!this.#playing) this.#target = next;
    if (this.mode === 'stills') {
      this.frame = next;
      this.#begun = { at: performance.now(), seconds: startOf(table, next) };
      this.#fetchStill();
    } else {
      this.#seek(next);
    }
  }

  /** The frame that will be on screen once what was asked for is done. */
  get heading(): number {
    return this.#target ?? this.frame;
  }

  showWall(wallUs: number): void {
    if (this.table === null) return;
    this.outside = !covers(this.table, wallUs);
    // Half a millisecond into the frame that this instant belongs to.
    const frame = frameAt(this.table, mediaAt(this.table, wallUs));
    if (frame !== this.heading || this.#playing) this.show(frame);
  }

  play(rate: number): void {
    this.#begun = { at: performance.now(), seconds: this.table ? startOf(this.table, this.frame) : 0 };
    this.#playing = true;
    this.#target = null;
    this.setRate(rate);
    this.#video?.play().catch(() => undefined);
  }

  pause(): void {
    if (this.mode === 'stills') this.tick();
    this.#playing = false;
    this.#target = null;
    // The picture of the frame it stands at, which playing may have passed over.
    if (this.mode === 'stills') this.#fetchStill();
    this.#video?.pause();
  }

  get playing(): boolean {
    return this.#playing;
  }

  setRate(rate: number): void {
    if (this.mode === 'stills' && this.#playing) this.#begun = { at: performance.now(), seconds: this.seconds };
    this.#rate = rate;
    if (this.#video && this.#video.playbackRate !== rate) this.#video.playbackRate = rate;
  }

  /** Stills go on by the clock; a picture that did not come although nothing is sought is asked for again. */
  tick(): void {
    const lags = this.mode === 'video' && this.#target !== null && this.frame !== this.#target && this.#video?.seeking === false;
    this.#lagging = lags ? this.#lagging + 1 : 0;
    if (lags && this.#lagging >= LAGGING_TICKS && this.#target !== null) {
      this.#lagging = 0;
      this.#seek(this.#target);
    }
    if (this.mode !== 'stills' || !this.#playing || this.table === null) return;
    this.frame = frameAt(this.table, this.seconds);
    if (performance.now() - this.#lastStill > STILL_EVERY_MS) this.#fetchStill();
  }

  #seek(frame: number): void {
    const video = this.#video;
    // Before its metadata a player forgets what it was asked for; it is asked again then.
    if (video === null || this.table === null || video.readyState < HTMLMediaElement.HAVE_METADATA) return;
    if (video.seeking) {
      this.#wanted = frame;
      return;
    }
    video.currentTime = middleOf(this.table, frame);
  }

  #fetchStill(): void {
    if (this.table === null) return;
    const middle = wallAt(this.table, middleOf(this.table, this.frame));
    if (this.#stills.want(stillUrl(this.camera, Math.round(middle)), this.frame)) this.#lastStill = performance.now();
  }
}
