/**
 * The page's side of its live pictures: which tiles there are and where, and how each is doing.
 * One worker and one connection for the whole page, made when the first tile is opened. A page that
 * cannot be seen, and a tile outside of it, asks for nothing.
 */
import { assets } from '../assets.svelte';
import { graphicsHardware } from '../map/hardware';
import type { VideoCodec, VideoStreamName } from '../wire';
import { FragmentPlayer } from './fragments';
import type { FromWorker, PageTile, Rect, Sample, TileReport, ToWorker } from './protocol';

export type Wish = { cameraId: string; stream: VideoStreamName; keep: boolean; hidden: boolean };

const MEDIA: [VideoCodec, string][] = [
  ['h264', 'video/mp4; codecs="avc1.64001f"'],
  ['h265', 'video/mp4; codecs="hvc1.1.6.L93.B0"'],
];
const SAMPLES = 20_000;
/** A canvas drawn by the processor is no wider: at 4K it would have no time left for decoding. */
const WIDEST_IN_SOFTWARE = 1_920;

/** A canvas and the tiles on it. */
export class PictureSurface {
  readonly #observer: ResizeObserver;

  constructor(
    readonly id: number,
    readonly canvas: HTMLCanvasElement,
    private readonly pictures: Pictures,
  ) {
    const [width, height] = this.size();
    const offscreen = canvas.transferControlToOffscreen();
    pictures.tell({ type: 'surface', surface: id, canvas: offscreen, width, height }, [offscreen]);
    this.#observer = new ResizeObserver(() => {
      const [w, h] = this.size();
      pictures.tell({ type: 'resize', surface: id, width: w, height: h });
      pictures.rearrange();
    });
    this.#observer.observe(canvas);
  }

  /** Of the screen's own pixels, or fewer where the processor has to draw them. */
  size(): [number, number] {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = Math.min(window.devicePixelRatio || 1, this.pictures.widest / Math.max(1, clientWidth));
    return [Math.max(1, Math.round(clientWidth * ratio)), Math.max(1, Math.round(clientHeight * ratio))];
  }

  /** Where an element lies on the canvas. */
  rectOf(element: HTMLElement): Rect {
    const [width] = this.size();
    const canvas = this.canvas.getBoundingClientRect();
    const own = element.getBoundingClientRect();
    const scale = canvas.width > 0 ? width / canvas.width : 1;
    const left = Math.round((own.left - canvas.left) * scale);
    const top = Math.round((own.top - canvas.top) * scale);
    return [left, top, Math.round((own.right - canvas.left) * scale) - left, Math.round((own.bottom - canvas.top) * scale) - top];
  }

  close(): void {
    this.#observer.disconnect();
    this.pictures.tell({ type: 'drop', surface: this.id });
  }
}

/** One tile; read `report` and `ageMs` inside an effect. */
export class LiveTile {
  report = $state.raw<TileReport | null>(null);
  /** Between the server getting the shown picture and now. */
  ageMs = $state(Number.POSITIVE_INFINITY);
  #seen = true;
  #player: FragmentPlayer | null = null;
  #observers: { disconnect(): void }[] = [];
  #wish: Wish;

  constructor(
    readonly number: number,
    readonly surface: PictureSurface,
    readonly element: HTMLElement,
    wish: Wish,
    private readonly pictures: Pictures,
  ) {
    this.#wish = wish;
    const visible = new IntersectionObserver((entries) => {
      this.#seen = entries.at(-1)?.isIntersecting ?? true;
      pictures.rearrange();
    });
    const size = new ResizeObserver(() => pictures.rearrange());
    this.#observers = [visible, size];
    visible.observe(element);
    size.observe(element);
  }

  want(wish: Wish): void {
    this.#wish = wish;
    this.pictures.rearrange();
  }

  /** Where fragments are played, when this browser needs them. */
  play(video: HTMLVideoElement): () => void {
    const player = new FragmentPlayer(
      video,
      () => this.pictures.tell({ type: 'failed', tile: this.number }),
      (shown) => {
        this.pictures.tell({ type: 'shown', tile: this.number, receivedUs: shown?.receivedUs ?? null });
        if (shown !== null) this.pictures.sample([this.number, shown.cameraUs, shown.receivedUs, (performance.timeOrigin + performance.now()) * 1_000]);
      },
    );
    this.#player = player;
    this.pictures.tell({ type: 'again', tile: this.number });
    return () => {
      player.close();
      if (this.#player === player) this.#player = null;
    };
  }

  close(): void {
    for (const observer of this.#observers) observer.disconnect();
    this.#player?.close();
    this.pictures.forget(this);
  }

  page(hidden: boolean): PageTile {
    const { cameraId, stream, keep } = this.#wish;
    const off = hidden || this.#wish.hidden || !this.#seen;
    return { tile: this.number, cameraId, stream, keep, off, surface: this.surface.id, rect: this.surface.rectOf(this.element) };
  }

  hear(message: Extract<FromWorker, { type: 'segment' | 'fragment' }>): void {
    if (message.type === 'segment') this.#player?.begin(message.mime, message.init);
    else this.#player?.append(message.header, message.data);
  }

  follow(report: TileReport, serverOffsetMs: number): void {
    this.report = report;
    const shownUs = this.#player?.shown?.receivedUs ?? report.shownUs;
    this.ageMs = shownUs === 0 ? Number.POSITIVE_INFINITY : Math.max(0, Date.now() + serverOffsetMs - shownUs / 1_000);
  }
}

class Pictures {
  /** How pictures come; null before that is known. */
  form = $state<'frames' | 'fragments' | null>(null);
  readonly widest = graphicsHardware() ? Number.POSITIVE_INFINITY : WIDEST_IN_SOFTWARE;
  readonly #worker: Worker;
  readonly #tiles = new Map<number, LiveTile>();
  #numbers = 0;
  #scheduled = false;
  #samples: Sample[] | null = null;

  constructor() {
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#hear(data);
    const asked = new URLSearchParams(location.search);
    const measure = asked.has('measure');
    if (measure) (globalThis as { vongSamples?: Sample[] }).vongSamples = this.#samples = [];
    // `?video=fragments` is for machines whose decoders misbehave, and for comparison.
    const fragments = asked.get('video') === 'fragments' || typeof VideoDecoder === 'undefined' ? playable() : null;
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    this.tell({ type: 'start', url: `${scheme}//${location.host}/api/v1/video`, fragments, measure });
    document.addEventListener('visibilitychange', () => this.rearrange());
    window.addEventListener('scroll', () => this.rearrange(), { passive: true });
    // As long as the page: another register may know what the server did not.
    $effect.root(() => {
      $effect(() => {
        void assets().cameras;
        this.tell({ type: 'registered' });
      });
    });
  }

  addSurface(canvas: HTMLCanvasElement): PictureSurface {
    this.#numbers += 1;
    return new PictureSurface(this.#numbers, canvas, this);
  }

  open(surface: PictureSurface, element: HTMLElement, wish: Wish): LiveTile {
    let number = 0;
    while (this.#tiles.has(number)) number += 1;
    const tile = new LiveTile(number, surface, element, wish, this);
    this.#tiles.set(number, tile);
    this.rearrange();
    return tile;
  }

  forget(tile: LiveTile): void {
    this.#tiles.delete(tile.number);
    this.rearrange();
  }

  tell(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  sample(sample: Sample): void {
    if (this.#samples !== null && this.#samples.length < SAMPLES) this.#samples.push(sample);
  }

  /** Tells where the tiles are, once for all that changes in one turn. */
  rearrange(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      const hidden = document.visibilityState === 'hidden';
      this.tell({ type: 'tiles', tiles: [...this.#tiles.values()].map((tile) => tile.page(hidden)) });
    });
  }

  #hear(message: FromWorker): void {
    if (message.type === 'form') this.form = message.form;
    else if (message.type === 'report') {
      for (const report of message.tiles) this.#tiles.get(report.tile)?.follow(report, message.serverOffsetMs);
      for (const sample of message.samples) this.sample(sample);
    } else this.#tiles.get(message.tile)?.hear(message);
  }
}

function playable(): VideoCodec[] {
  if (!('MediaSource' in globalThis)) return [];
  return MEDIA.filter(([, mime]) => MediaSource.isTypeSupported(mime)).map(([codec]) => codec);
}

let instance: Pictures | null = null;

/** The page's pictures, made on first use. */
export function pictures(): Pictures {
  instance ??= new Pictures();
  return instance;
}
