/**
 * Everything behind the tiles of one page: connection, decoders, canvases. Runs in a worker, so that
 * a busy page does not hold up a picture; knows nothing of the page but what it is told.
 */
import type { VideoCodec, VideoMode, VideoServerMessage } from '../wire';
import { TileDecoder } from './decoding';
import type { VideoLink } from './link';
import { fromHex, type PictureHeader } from './picture';
import type { Condition, FromWorker, PageTile, Rect, Sample, TileReport } from './protocol';
import { Surface } from './surface';

/** Without a picture for this long a tile is no longer called live; key frames come rarely. */
const LOST_MS = 5_000;
const LOST_KEYS_MS = 15_000;
/** A player that broke is begun anew at once, then ever more rarely while it keeps breaking. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
/** A player that still shows pictures this long after it began has recovered. */
const RECOVERED_MS = 10_000;
/** An unknown camera is asked for again after this time, should the page not hear of the register. */
const UNKNOWN_RETRY_MS = 60_000;
/** Measured pictures between two reports. */
const SAMPLES = 2_000;
const NONE: ReadonlySet<number> = new Set();

type Setup = Extract<VideoServerMessage, { type: 'setup' }>;

type Tile = {
  page: PageTile;
  setup: Setup | null;
  decoder: TileDecoder | null;
  /** A JPEG is being decoded; another one meanwhile is left out. */
  busy: boolean;
  askedAt: number;
  /** Local time of the last picture; 0 before the first. */
  paintedAt: number;
  /** Local time of the last data for a player of the page. */
  fedAt: number;
  failures: number;
  /** When a player that broke is begun anew; null when it is not waiting for that. */
  retryAt: number | null;
  report: TileReport;
};

export type Post = (message: FromWorker, transfer?: Transferable[]) => void;

export class Studio {
  #tiles = new Map<number, Tile>();
  #surfaces = new Map<number, { surface: Surface; width: number; height: number }>();
  #samples: Sample[] = [];
  /** Server time minus ours; the largest of late, since every message is late by something. */
  #offsets: { at: number; ms: number }[] = [];
  #form: 'frames' | 'fragments' = 'frames';
  #plays: VideoCodec[] = [];
  #link: VideoLink | null = null;

  constructor(
    private readonly post: Post,
    private readonly nextFrame: (run: (now: number) => void) => void,
    private readonly measure: boolean,
  ) {}

  connect(link: VideoLink, form: 'frames' | 'fragments', plays: VideoCodec[]): void {
    this.#link = link;
    this.#form = form;
    this.#plays = plays;
    this.#say();
  }

  /** How many tiles there are. */
  get size(): number {
    return this.#tiles.size;
  }

  // ---- what the page says ----

  addSurface(id: number, canvas: OffscreenCanvas, width: number, height: number): void {
    const surface = new Surface(canvas, this.nextFrame, () => {
      for (const tile of this.#tiles.values()) if (tile.page.surface === id) this.again(tile.page.tile);
    });
    this.#surfaces.set(id, { surface, width, height });
    this.#arrange();
  }

  resize(id: number, width: number, height: number): void {
    const known = this.#surfaces.get(id);
    if (known === undefined) return;
    [known.width, known.height] = [width, height];
    this.#arrange();
  }

  drop(id: number): void {
    this.#surfaces.get(id)?.surface.close();
    this.#surfaces.delete(id);
  }

  arrange(pages: PageTile[]): void {
    const before = this.#tiles;
    this.#tiles = new Map();
    for (const page of pages) {
      const known = before.get(page.tile);
      before.delete(page.tile);
      const same = known !== undefined && known.page.cameraId === page.cameraId && known.page.stream === page.stream;
      const tile = same ? known : fresh(page);
      if (known !== undefined && !same) known.decoder?.close();
      if (page.off !== tile.page.off) {
        this.#begin(tile);
        tile.askedAt = Date.now();
        tile.report.startMs = null;
      }
      tile.page = page;
      this.#tiles.set(page.tile, tile);
    }
    for (const gone of before.values()) gone.decoder?.close();
    this.#arrange();
    this.#say();
  }

  /** Begins a tile anew: without it, then with it. */
  again(number: number): void {
    const tile = this.#tiles.get(number);
    if (tile === undefined) return;
    this.#begin(tile);
    this.#sayAnew([number]);
  }

  /** The page's player of a tile put a picture on the screen. */
  shown(number: number, receivedUs: number | null): void {
    const tile = this.#tiles.get(number);
    if (tile?.setup?.form !== 'fragments' || tile.page.off) return;
    const now = Date.now();
    tile.paintedAt = now;
    tile.retryAt = null;
    // One picture after each beginning is no recovery.
    if (now - tile.askedAt > RECOVERED_MS) tile.failures = 0;
    this.#count(tile, receivedUs);
  }

  /** The page's player of a tile broke: said on the tile, and begun anew. */
  failed(number: number): void {
    const tile = this.#tiles.get(number);
    if (tile === undefined || tile.page.off || tile.retryAt !== null) return;
    const now = Date.now();
    const wait = tile.failures === 0 ? 0 : Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (tile.failures - 1));
    tile.failures += 1;
    tile.retryAt = now + wait;
    tile.report.condition = 'failed';
    this.#retry(now);
  }

  /** The register of cameras is another one: what was unknown is asked for again. */
  registered(): void {
    this.#askAgain(() => true);
  }

  // ---- what the server says ----

  /** A new connection knows no tiles yet. */
  opened(): void {
    for (const tile of this.#tiles.values()) {
      this.#begin(tile);
      if (tile.paintedAt === 0) tile.askedAt = Date.now();
    }
    this.#say();
  }

  told(message: VideoServerMessage): void {
    if (message.type === 'welcome' || message.type === 'mark') {
      this.#compareClocks(message.server_time_ms);
      return;
    }
    if (message.type === 'bye') return;
    const tile = this.#tiles.get(message.tile);
    if (tile === undefined) return;
    if (message.type === 'setup') this.#setUp(tile, message);
    else if (message.type === 'lost') this.#lose(tile);
    else if (message.type === 'mode') tile.report.slow = message.why === 'slow';
    else {
      tile.report.condition = 'refused';
      tile.report.why = message.why;
      tile.report.codec = message.codec;
      this.#surface(tile)?.grey(message.tile);
    }
  }

  picture(header: PictureHeader, payload: Uint8Array<ArrayBuffer>): void {
    const tile = this.#tiles.get(header.tile);
    if (tile === undefined || tile.setup?.setup !== header.setup || tile.page.off) {
      this.#link?.taken(payload.byteLength);
      return;
    }
    tile.report.skipped += header.skipped;
    if (tile.setup.form === 'frames') {
      tile.decoder?.feed(header, payload);
      return;
    }
    this.#link?.taken(payload.byteLength);
    if (tile.setup.form === 'stills' || tile.setup.form === 'motion_jpeg') this.#jpeg(tile, header, payload);
    else {
      // Live once the page's player has it on the screen, not before.
      tile.fedAt = Date.now();
      const data = payload.slice().buffer;
      this.post({ type: 'fragment', tile: header.tile, header, data }, [data]);
    }
  }

  /** About twice a second: what the page shows beside the pictures. */
  report(): void {
    const now = Date.now();
    for (const tile of this.#tiles.values()) this.#judge(tile, now);
    this.#retry(now);
    this.#askAgain((tile) => now - tile.askedAt > UNKNOWN_RETRY_MS);
    const tiles = [...this.#tiles.values()].map(({ report, decoder }) => ({ ...report, left: report.left + (decoder?.left ?? 0) }));
    this.post({ type: 'report', serverOffsetMs: Math.max(...this.#offsets.map(({ ms }) => ms), Number.NEGATIVE_INFINITY), tiles, samples: this.#samples });
    this.#samples = [];
  }

  // ---- inside ----

  /** Without these tiles, then with them: so they begin anew. */
  #sayAnew(tiles: readonly number[]): void {
    this.#say(new Set(tiles));
    this.#say();
  }

  #say(without: ReadonlySet<number> = NONE): void {
    const shown = [...this.#tiles.values()].filter(({ page }) => !without.has(page.tile));
    const tiles = shown.map(({ page }) => {
      const mode: VideoMode = page.off ? 'off' : 'full';
      return { tile: page.tile, camera_id: page.cameraId, stream: page.stream, mode, keep: page.keep };
    });
    this.#link?.show(this.#form, this.#plays, tiles);
  }

  #arrange(): void {
    for (const [id, { surface, width, height }] of this.#surfaces) {
      const rects = new Map<number, Rect>();
      for (const { page } of this.#tiles.values()) if (page.surface === id && !page.off) rects.set(page.tile, page.rect);
      surface.arrange(width, height, rects);
    }
  }

  #surface(tile: Tile): Surface | undefined {
    return this.#surfaces.get(tile.page.surface)?.surface;
  }

  #retry(now: number): void {
    const due = [...this.#tiles.values()].filter(({ retryAt }) => retryAt !== null && retryAt <= now);
    if (due.length === 0) return;
    for (const tile of due) {
      tile.retryAt = null;
      this.#begin(tile);
      tile.askedAt = now;
    }
    this.#sayAnew(due.map(({ page }) => page.tile));
  }

  /** Of the tiles whose camera the server did not know, those that `isDue`. */
  #askAgain(isDue: (tile: Tile) => boolean): void {
    const due = [...this.#tiles.values()].filter((tile) => tile.report.why === 'unknown' && isDue(tile));
    if (due.length === 0) return;
    for (const tile of due) {
      this.#begin(tile);
      tile.askedAt = Date.now();
      Object.assign(tile.report, { condition: 'connecting', why: null });
    }
    this.#sayAnew(due.map(({ page }) => page.tile));
  }

  /** Nothing that was said of it holds any longer; the server says anew what mode it gets. */
  #begin(tile: Tile): void {
    this.#reset(tile);
    tile.report.slow = false;
  }

  #reset(tile: Tile): void {
    tile.setup = null;
    if (tile.decoder !== null) {
      tile.report.left += tile.decoder.left;
      tile.decoder.close();
      tile.decoder = null;
    }
  }

  #setUp(tile: Tile, setup: Setup): void {
    if (setup.camera_id !== tile.page.cameraId) return;
    this.#reset(tile);
    tile.setup = setup;
    Object.assign(tile.report, { why: null, codec: setup.codec, form: setup.form, stream: setup.stream });
    if (tile.report.condition === 'refused') tile.report.condition = 'connecting';
    if (setup.form === 'frames') {
      tile.decoder = new TileDecoder({
        picture: (frame, header) => this.#put(tile, frame, header),
        taken: (bytes) => this.#link?.taken(bytes),
      });
      tile.decoder.setUp({ codec: setup.codecs, description: fromHex(setup.data), optimizeForLatency: true });
    } else if (setup.form === 'fragments') {
      const init = fromHex(setup.data).buffer;
      this.post({ type: 'segment', tile: setup.tile, mime: `video/mp4; codecs="${setup.codecs}"`, init }, [init]);
    }
  }

  #jpeg(tile: Tile, header: PictureHeader, payload: Uint8Array<ArrayBuffer>): void {
    if (tile.busy) {
      tile.report.left += 1;
      return;
    }
    tile.busy = true;
    createImageBitmap(new Blob([payload], { type: 'image/jpeg' })).then(
      (bitmap) => {
        tile.busy = false;
        this.#put(tile, bitmap, header);
      },
      () => {
        tile.busy = false;
        tile.report.left += 1;
      },
    );
  }

  #put(tile: Tile, picture: VideoFrame | ImageBitmap, header: PictureHeader): void {
    const surface = this.#surface(tile);
    if (surface === undefined || tile.page.off || tile.setup?.setup !== header.setup) {
      picture.close();
      return;
    }
    surface.put(header.tile, picture, () => {
      tile.paintedAt = Date.now();
      this.#count(tile, header.receivedUs);
      // By the next frame of the screen what was drawn is on it.
      if (this.measure) this.nextFrame(() => this.#sample(header));
    });
  }

  #sample({ tile, cameraUs, receivedUs }: PictureHeader): void {
    const paintedUs = (performance.timeOrigin + performance.now()) * 1_000;
    if (this.#samples.length < SAMPLES) this.#samples.push([tile, cameraUs, receivedUs, paintedUs]);
  }

  #count(tile: Tile, receivedUs: number | null): void {
    tile.report.startMs ??= Date.now() - tile.askedAt;
    if (receivedUs !== null) tile.report.shownUs = receivedUs;
    tile.report.painted += 1;
    tile.report.condition = 'live';
  }

  #lose(tile: Tile): void {
    if (tile.report.condition === 'lost') return;
    tile.report.condition = 'lost';
    this.#surface(tile)?.grey(tile.page.tile);
  }

  #judge(tile: Tile, now: number): void {
    if (tile.page.off || tile.report.condition === 'refused') return;
    // Of motion JPEG nothing comes between a damaged frame and the next key frame.
    const rare = tile.report.slow || tile.setup?.form === 'stills' || tile.setup?.form === 'motion_jpeg';
    const since = Math.max(tile.paintedAt, tile.askedAt);
    if (now - since <= (rare ? LOST_KEYS_MS : LOST_MS)) return;
    // Data come and no picture does: the player stands still.
    if (tile.setup?.form === 'fragments' && now - tile.fedAt < LOST_MS) this.failed(tile.page.tile);
    else this.#lose(tile);
  }

  #compareClocks(serverMs: number): void {
    const at = Date.now();
    this.#offsets = [...this.#offsets.filter((offset) => at - offset.at < 60_000), { at, ms: serverMs - at }];
  }
}

function fresh(page: PageTile): Tile {
  const condition: Condition = 'connecting';
  const report: TileReport = {
    tile: page.tile,
    condition,
    why: null,
    codec: null,
    form: null,
    stream: null,
    slow: false,
    shownUs: 0,
    startMs: null,
    painted: 0,
    skipped: 0,
    left: 0,
  };
  return { page, setup: null, decoder: null, busy: false, askedAt: Date.now(), paintedAt: 0, fedAt: 0, failures: 0, retryAt: null, report };
}
