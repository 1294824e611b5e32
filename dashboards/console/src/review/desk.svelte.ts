/**
 * A case on the desk: the leading picture, the same moment beside it, one clock for all.
 *
 * While it plays the others are kept in step by their speed; whenever it stands they are put on the
 * frame of the same instant.
 */
import type { ReviewCase, ReviewClip } from '../lib/wire';
import { frameAt, mediaAt, startOf, wallAt } from './frames';
import { Player } from './player.svelte';
import { correction } from './together';

/** Footage around the clip that is loaded with it. */
export const AROUND_MS = 10_000;
/** The group of pictures that is being received is not readable yet. */
const SETTLE_MS = 4_000;
const TICK_MS = 80;
export const RATES = [0.25, 0.5, 1, 2, 4] as const;

export class Desk {
  main = $state.raw<Player | null>(null);
  others = $state.raw<Player[]>([]);
  playing = $state(false);
  rate = $state(1);
  clip = $state.raw<ReviewClip | null>(null);

  #timer: ReturnType<typeof setInterval> | undefined;

  /** How much of the footage was there when it was opened. */
  #stage = 0;

  constructor(readonly now: () => number) {}

  get from(): number {
    return (this.clip?.from_ms ?? 0) - AROUND_MS;
  }

  /** Seconds until the clip is complete. */
  get waitS(): number {
    return this.clip === null ? 0 : Math.max(0, Math.ceil((this.clip.to_ms + SETTLE_MS - this.now()) / 1000));
  }

  async open(of: ReviewCase, clip: ReviewClip, beside: readonly string[], atUs: number | null): Promise<void> {
    this.close();
    this.clip = clip;
    const until = Math.min(clip.to_ms + AROUND_MS, this.now() - SETTLE_MS / 2);
    this.#stage = this.#stageNow;
    const at = atUs ?? Math.max(clip.from_ms, Math.min(of.fired_ms, until)) * 1000;
    const main = new Player(clip.camera_id);
    const others = beside.map((camera) => new Player(camera));
    this.main = main;
    this.others = others;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    await main.load(this.from, until, at);
    if (this.main !== main) return;
    await Promise.all(others.map((other) => other.load(this.from, until, at)));
    this.#settle();
  }

  close(): void {
    clearInterval(this.#timer);
    this.playing = false;
    this.main?.close();
    this.others.forEach((other) => other.close());
    this.main = null;
    this.others = [];
    this.clip = null;
  }

  /** There is more footage than when it was opened: the clip, or what follows it, is complete now. */
  get due(): boolean {
    return this.clip !== null && this.#stageNow > this.#stage;
  }

  /** 0: the clip is being recorded, 1: it is complete, 2: so is what follows it. */
  get #stageNow(): number {
    const past = this.now() - SETTLE_MS - (this.clip?.to_ms ?? 0);
    return past < 0 ? 0 : past < AROUND_MS ? 1 : 2;
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  play(): void {
    const { main } = this;
    if (main === null || main.mode === 'none') return;
    if (main.ended) main.show(0);
    this.playing = true;
    main.play(this.rate);
    for (const other of this.others) if (other.mode !== 'none') other.play(this.rate);
  }

  pause(): void {
    this.playing = false;
    this.main?.pause();
    this.others.forEach((other) => other.pause());
    this.#settle();
  }

  setRate(rate: number): void {
    this.rate = rate;
    if (this.playing) [this.main, ...this.others].forEach((player) => player?.setRate(rate));
  }

  faster(by: number): void {
    const at = RATES.indexOf(this.rate as (typeof RATES)[number]);
    this.setRate(RATES[Math.max(0, Math.min(RATES.length - 1, at + by))] ?? 1);
  }

  /** Exactly so many frames on, or back. */
  step(frames: number): void {
    this.pause();
    const { main } = this;
    if (main === null) return;
    const frame = main.heading + frames;
    main.show(frame);
    this.#follow(frame);
  }

  /** To the frame at a wall-clock instant. */
  goTo(wallUs: number): void {
    const { main } = this;
    if (main?.table == null) return;
    const frame = frameAt(main.table, Math.max(0, mediaAt(main.table, wallUs)));
    main.show(frame);
    this.#follow(frame);
  }

  by(seconds: number): void {
    const { main } = this;
    if (main?.table == null) return;
    this.goTo(wallAt(main.table, startOf(main.table, main.heading)) + seconds * 1e6);
  }

  /** Puts the others on the instant at which this frame of the leading picture begins. */
  #follow(frame: number): void {
    const { main } = this;
    if (main?.table == null) return;
    const last = main.table.times_90k.length - 1;
    const wall = wallAt(main.table, startOf(main.table, Math.max(0, Math.min(last, frame))));
    this.others.forEach((other) => other.showWall(wall));
  }

  #settle(): void {
    const { main } = this;
    // What is on screen may still be on its way: asked again by the next ticks.
    if (main !== null && !this.playing) this.#follow(main.heading);
  }

  #tick(): void {
    const { main } = this;
    if (main === null) return;
    main.tick();
    if (!this.playing) {
      this.others.forEach((other) => other.tick());
      return this.#settle();
    }
    if (main.ended) return this.pause();
    for (const other of this.others) {
      other.tick();
      const { table, video } = other;
      if (table === null) continue;
      const wanted = mediaAt(table, main.runningUs);
      other.outside = wanted < 0 || wanted > other.duration;
      if (video === null || video.seeking) continue;
      const found = correction(video.currentTime - wanted, this.rate, other.frameS);
      if (found.kind === 'jump' && !other.outside) video.currentTime = Math.max(0, wanted);
      else if (found.kind === 'rate') other.setRate(found.rate);
    }
  }
}
