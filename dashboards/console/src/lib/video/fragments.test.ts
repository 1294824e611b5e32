import { beforeEach, describe, expect, test, vi } from 'vitest';
import { FragmentPlayer } from './fragments';

class Buffer extends EventTarget {
  updating = false;
  buffered = { length: 0 };
  appended = 0;
  appendBuffer(data: ArrayBuffer): void {
    this.appended += data.byteLength;
  }
}

let medias: Media[] = [];
let playable = true;

class Media extends EventTarget {
  readyState = 'closed';
  buffer = new Buffer();
  constructor() {
    super();
    medias.push(this);
  }
  addSourceBuffer(): Buffer {
    if (!playable) throw new Error('NotSupportedError');
    return this.buffer;
  }
  become(state: 'open' | 'ended' | 'closed'): void {
    this.readyState = state;
    this.dispatchEvent(new Event(state === 'closed' ? 'sourceclose' : `source${state}`));
  }
}

/** A media element whose frames the test presents. */
class Video extends EventTarget {
  src = '';
  currentTime = 0;
  playbackRate = 1;
  paused = false;
  buffered = { length: 0 };
  #onFrame: ((now: number, frame: { mediaTime: number }) => void) | null = null;
  requestVideoFrameCallback(run: (now: number, frame: { mediaTime: number }) => void): void {
    this.#onFrame = run;
  }
  present(mediaTime: number): void {
    const run = this.#onFrame;
    this.#onFrame = null;
    run?.(0, { mediaTime });
  }
  removeAttribute(): void {
    medias.at(-1)?.become('closed');
  }
  load(): void {}
}

function player() {
  const video = new Video();
  const seen: string[] = [];
  const made = new FragmentPlayer(video as unknown as HTMLVideoElement, () => seen.push('broken'), (shown) => seen.push(`shown ${shown?.receivedUs ?? '?'}`));
  const append = (seconds: number) => made.append({ key: true, tile: 0, setup: 1, skipped: 0, pts90k: seconds * 90_000, receivedUs: seconds * 1e6, cameraUs: null }, new ArrayBuffer(8));
  return { video, seen, player: made, append };
}

beforeEach(() => {
  medias = [];
  playable = true;
  vi.stubGlobal('MediaSource', Media);
  vi.spyOn(URL, 'createObjectURL').mockReturnValue('blob:1');
  vi.spyOn(URL, 'revokeObjectURL').mockReturnValue(undefined);
});

describe('a player of fragments', () => {
  test('tells the frames that the element presents, and no others', () => {
    const { video, seen, player: made, append } = player();
    made.begin('video/mp4', new ArrayBuffer(4));
    medias[0]?.become('open');
    append(1);
    append(2);
    expect(seen).toEqual([]);
    video.present(2);
    video.present(1.5);
    expect([seen, made.shown?.receivedUs]).toEqual([['shown 2000000', 'shown ?'], 2e6]);
  });

  test('is broken when its element says so, when its source closes or ends, when it takes no such video', () => {
    const ways: [string, (video: Video) => void][] = [
      ['error', (video) => (medias[0]?.become('open'), video.dispatchEvent(new Event('error')))],
      ['closed', () => (medias[0]?.become('open'), medias[0]?.become('closed'))],
      ['ended', () => (medias[0]?.become('open'), medias[0]?.become('ended'))],
      ['buffer', () => (medias[0]?.become('open'), medias[0]?.buffer.dispatchEvent(new Event('error')))],
      ['type', () => ((playable = false), medias[0]?.become('open'))],
    ];
    for (const [way, run] of ways) {
      [medias, playable] = [[], true];
      const { video, seen, player: made, append } = player();
      made.begin('video/mp4', new ArrayBuffer(4));
      run(video);
      expect([way, seen]).toEqual([way, ['broken']]);
      append(1);
      video.present(1);
      video.dispatchEvent(new Event('error'));
      expect([way, seen]).toEqual([way, ['broken']]);
    }
  });

  test('begins anew with a source of its own, and closing the old one is no trouble', () => {
    const { video, seen, player: made, append } = player();
    made.begin('video/mp4', new ArrayBuffer(4));
    medias[0]?.become('open');
    made.begin('video/mp4', new ArrayBuffer(4));
    medias[1]?.become('open');
    append(3);
    video.present(3);
    expect(seen).toEqual(['shown 3000000']);
    made.close();
    medias[1]?.become('closed');
    video.dispatchEvent(new Event('error'));
    expect(seen).toHaveLength(1);
  });
});
