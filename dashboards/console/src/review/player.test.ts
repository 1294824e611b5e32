import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { FrameTable } from '../lib/wire';

const table: FrameTable = { start_us: 1_000_000, etag: '"x"', codec: 'hvc1.1.6.L93.B0', width: 640, height: 360, times_90k: [0, 9_000, 18_000], end_90k: 27_000, gaps: [] };

vi.mock('../lib/api', () => ({
  frames: (camera: string) => (camera === 'NONE' ? Promise.reject(new Error('no footage')) : Promise.resolve(table)),
  spanUrl: () => '/clip.mp4',
  stillUrl: (camera: string, at: number) => `/${camera}/${at}`,
  explain: (failure: Error) => failure.message,
}));
const { Player } = await import('./player.svelte');

let asked: { address: string; answer(): Promise<void> }[] = [];

/** Lets everything run that waits for an answer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await new Promise((done) => setTimeout(done, 0));
}

beforeEach(() => {
  asked = [];
  vi.stubGlobal('document', { createElement: () => ({ canPlayType: () => '' }) });
  vi.stubGlobal('fetch', (address: string) => new Promise<Response>((done) => asked.push({ address, answer: () => (done(new Response(new Blob(['x']))), settle()) })));
  vi.spyOn(URL, 'createObjectURL').mockReturnValue('blob:1');
  vi.spyOn(URL, 'revokeObjectURL').mockReturnValue(undefined);
});

async function stills() {
  const player = new Player('CAM');
  await player.load(0, 0, 1_000_000);
  const seen = () => [player.mode, player.frame, player.shown, player.shownUs, player.isBehind, player.isSettled];
  return { player, seen };
}

describe('pictures from the server', () => {
  it('are dated by what is on screen, and count only once that is what was asked for', async () => {
    const { player, seen } = await stills();
    expect(seen()).toEqual(['stills', 0, null, null, true, false]);
    await asked[0]?.answer();
    expect(seen()).toEqual(['stills', 0, 0, 1_000_000, false, true]);
    player.show(2);
    expect(seen()).toEqual(['stills', 2, 0, 1_000_000, true, false]);
    await asked[1]?.answer();
    expect(seen()).toEqual(['stills', 2, 2, 1_200_000, false, true]);
  });

  it('come for the frame at which it stops playing', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(100_000);
    const { player, seen } = await stills();
    await asked[0]?.answer();
    player.play(1);
    vi.spyOn(performance, 'now').mockReturnValue(100_120);
    player.tick();
    expect(player.isBehind).toBe(false);
    player.pause();
    await asked.at(-1)?.answer();
    vi.restoreAllMocks();
    expect(seen()).toEqual(['stills', 1, 1, 1_100_000, false, true]);
  });

  it('end with the player', async () => {
    const { player } = await stills();
    player.close();
    await asked[0]?.answer();
    expect([player.still, player.error]).toEqual([null, null]);
  });
});

it('without footage there is nothing to wait for', async () => {
  const player = new Player('NONE');
  expect(player.isSettled).toBe(false);
  await player.load(0, 0, 0);
  expect([player.mode, player.error, player.isSettled]).toEqual(['none', 'no footage', true]);
});
