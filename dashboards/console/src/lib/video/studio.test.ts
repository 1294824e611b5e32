import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { VideoServerMessage, VideoTile } from '../wire';
import type { VideoLink } from './link';
import type { FromWorker, PageTile, TileReport } from './protocol';
import { Studio } from './studio';

/** What the studio says to server and page, with time moved by the test. */
class Stage {
  shows: string[] = [];
  posted: FromWorker[] = [];
  studio = new Studio((message) => this.posted.push(message), () => undefined, false);
  #setups = 0;

  constructor(form: 'frames' | 'fragments', tiles: number[]) {
    const say = (shown: VideoTile[]) => this.shows.push(shown.map(({ tile, mode }) => `${tile}${mode === 'off' ? '-' : ''}`).join(' '));
    const link = { show: (_form: string, _plays: unknown, shown: VideoTile[]) => say(shown), taken: () => undefined };
    this.studio.connect(link as unknown as VideoLink, form, ['h264']);
    this.arrange(tiles);
    this.studio.opened();
    this.shows.length = 0;
  }

  arrange(tiles: number[], off: number[] = []): void {
    const page = (tile: number): PageTile => ({ tile, cameraId: `C${tile}`, stream: 'sub', keep: false, off: off.includes(tile), surface: 1, rect: [0, 0, 16, 9] });
    this.studio.arrange(tiles.map(page));
  }

  tell(message: VideoServerMessage): void {
    this.studio.told(message);
  }

  setUp(tile: number): void {
    this.#setups += 1;
    this.tell({ type: 'setup', tile, setup: this.#setups, camera_id: `C${tile}`, stream: 'sub', form: 'fragments', codec: 'h264', codecs: 'avc1.64001f', width: 640, height: 360, data: '00' });
  }

  fragment(tile: number): void {
    this.studio.picture({ key: true, tile, setup: this.#setups, skipped: 0, pts90k: 0, receivedUs: 5, cameraUs: null }, new Uint8Array(4));
  }

  report(tile: number): TileReport {
    this.studio.report();
    const last = this.posted.findLast((message) => message.type === 'report');
    const found = last?.tiles.find((report) => report.tile === tile);
    if (found === undefined) throw new Error(`no report of tile ${tile}`);
    return found;
  }

  /** So many seconds, reporting as the worker does; `each` runs once a second. */
  pass(seconds: number, each: () => void = () => undefined): void {
    for (let second = 0; second < seconds; second += 1) {
      each();
      vi.advanceTimersByTime(1_000);
      this.studio.report();
    }
  }
}

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

describe('a slow machine', () => {
  const slow = (stage: Stage) => stage.tell({ type: 'mode', tile: 0, mode: 'key', why: 'slow' });

  test('is said until the server takes it back', () => {
    const stage = new Stage('frames', [0]);
    slow(stage);
    expect(stage.report(0).slow).toBe(true);
    stage.setUp(0);
    expect(stage.report(0).slow).toBe(true);
    stage.tell({ type: 'mode', tile: 0, mode: 'full', why: 'recovered' });
    expect(stage.report(0).slow).toBe(false);
  });

  test('is forgotten with the connection, with the tile and while nobody can see it', () => {
    const stage = new Stage('frames', [0]);
    const ways: [string, () => void][] = [
      ['connection', () => stage.studio.opened()],
      ['anew', () => stage.studio.again(0)],
      ['hidden', () => (stage.arrange([0], [0]), stage.arrange([0]))],
    ];
    for (const [way, run] of ways) {
      slow(stage);
      run();
      expect([way, stage.report(0).slow]).toEqual([way, false]);
    }
  });
});

describe('a tile that the page plays', () => {
  test('is live when the page says that a picture is on the screen, not when data come', () => {
    const stage = new Stage('fragments', [0]);
    stage.setUp(0);
    stage.fragment(0);
    expect([stage.report(0).condition, stage.report(0).painted, stage.report(0).startMs]).toEqual(['connecting', 0, null]);
    vi.advanceTimersByTime(300);
    stage.studio.shown(0, 77);
    expect(stage.report(0)).toMatchObject({ condition: 'live', painted: 1, startMs: 300, shownUs: 77 });
    stage.studio.shown(0, null);
    expect(stage.report(0)).toMatchObject({ painted: 2, shownUs: 77 });
  });

  test('is told as broken and begun anew when data come and no picture does', () => {
    const stage = new Stage('fragments', [0, 1]);
    stage.setUp(0);
    stage.studio.shown(0, 1);
    stage.pass(5, () => stage.fragment(0));
    expect(stage.report(0).condition).toBe('live');
    stage.pass(1, () => stage.fragment(0));
    expect(stage.report(0).condition).toBe('failed');
    expect(stage.shows).toEqual(['1', '0 1']);
    stage.setUp(0);
    stage.studio.shown(0, 2);
    expect(stage.report(0).condition).toBe('live');
  });

  test('is lost when no data come', () => {
    const stage = new Stage('fragments', [0]);
    stage.setUp(0);
    stage.studio.shown(0, 1);
    stage.pass(7);
    expect([stage.report(0).condition, stage.shows]).toEqual(['lost', []]);
  });

  test('is begun anew ever more rarely while it keeps breaking', () => {
    const stage = new Stage('fragments', [0]);
    const begun: number[] = [];
    for (let second = 0; second < 70; second += 1) {
      stage.setUp(0);
      stage.fragment(0);
      stage.studio.failed(0);
      expect(stage.report(0).condition).toBe('failed');
      if (stage.shows.length > 0) begun.push(second);
      stage.shows.length = 0;
      stage.pass(1);
      if (stage.shows.length > 0) begun.push(second + 1);
      stage.shows.length = 0;
    }
    expect(begun).toEqual([0, 2, 4, 8, 16, 32, 62]);
  });
});

describe('a player that shows one picture after each beginning', () => {
  test('is begun anew ever more rarely too', () => {
    const stage = new Stage('fragments', [0]);
    let begun = 0;
    stage.setUp(0);
    stage.studio.shown(0, 1);
    stage.pass(120, () => {
      stage.fragment(0);
      if (stage.shows.length === 0) return;
      begun += 1;
      stage.shows.length = 0;
      stage.setUp(0);
      stage.studio.shown(0, 1);
    });
    expect(begun).toBeLessThan(9);
    begun = 0;
    stage.pass(30, () => stage.studio.shown(0, 2));
    stage.studio.failed(0);
    expect(stage.shows).toEqual(['', '0']);
  });
});

describe('a camera that the server did not know', () => {
  test('is asked for again when the register is another one', () => {
    const stage = new Stage('frames', [0, 1, 2]);
    for (const tile of [0, 2]) stage.tell({ type: 'refused', tile, why: 'unknown', codec: null });
    stage.tell({ type: 'refused', tile: 1, why: 'codec', codec: 'h265' });
    expect(stage.report(0)).toMatchObject({ condition: 'refused', why: 'unknown' });
    stage.studio.registered();
    expect(stage.shows).toEqual(['1', '0 1 2']);
    expect([stage.report(0).condition, stage.report(1).condition]).toEqual(['connecting', 'refused']);
    stage.studio.registered();
    expect(stage.shows).toHaveLength(2);
  });

  test('is asked for again once a minute anyway', () => {
    const stage = new Stage('frames', [0]);
    stage.tell({ type: 'refused', tile: 0, why: 'unknown', codec: null });
    stage.pass(59);
    expect(stage.shows).toEqual([]);
    stage.pass(2);
    expect(stage.shows).toEqual(['', '0']);
  });
});
