import { beforeEach, describe, expect, it, vi } from 'vitest';

vi.mock('../lib/api', () => ({ explain: (failure: Error) => failure.message }));
const { Stills } = await import('./stills.svelte');

type Asked = { address: string; signal: AbortSignal; answer(): Promise<void>; refuse(): Promise<void> };
let asked: Asked[] = [];
const held = new Set<string>();
let made = 0;

/** Lets everything run that waits for an answer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await new Promise((done) => setTimeout(done, 0));
}

beforeEach(() => {
  asked = [];
  held.clear();
  vi.stubGlobal('fetch', (address: string, { signal }: { signal: AbortSignal }) => {
    return new Promise<Response>((done, fail) => {
      signal.addEventListener('abort', () => fail(new Error('aborted')));
      asked.push({
        address,
        signal,
        answer: () => (done(new Response(new Blob([address]))), settle()),
        refuse: () => (done(new Response('{"message":"no picture"}', { status: 404 })), settle()),
      });
    });
  });
  vi.spyOn(URL, 'createObjectURL').mockImplementation(() => {
    made += 1;
    held.add(`blob:${made}`);
    return `blob:${made}`;
  });
  vi.spyOn(URL, 'revokeObjectURL').mockImplementation((url) => void held.delete(url));
});

describe('stills', () => {
  it('say which frame is on screen while another is on its way', async () => {
    const stills = new Stills();
    stills.want('/a', 1);
    await asked[0]?.answer();
    stills.want('/b', 2);
    expect(stills.shown?.frame).toBe(1);
    stills.want('/c', 3);
    await asked[1]?.answer();
    expect(stills.shown?.frame).toBe(2);
    await asked[2]?.answer();
    expect([stills.shown?.frame, await stills.shown?.picture.text(), asked.map(({ address }) => address).join(' '), held.size]).toEqual([3, '/c', '/a /b /c', 1]);
  });

  it('keep the picture that was left and come back to', async () => {
    const stills = new Stills();
    stills.want('/a', 1);
    await asked[0]?.answer();
    stills.want('/b', 2);
    stills.want('/a', 1);
    await asked[1]?.answer();
    expect([stills.shown?.frame, asked.length, held.size]).toEqual([1, 2, 1]);
  });

  it('keep the old picture, and its frame, when the new one cannot be made', async () => {
    const stills = new Stills();
    stills.want('/a', 1);
    await asked[0]?.answer();
    stills.want('/b', 2);
    await asked[1]?.refuse();
    expect([stills.shown?.frame, stills.error]).toEqual([1, 'no picture']);
    stills.want('/b', 2);
    expect(asked).toHaveLength(2);
    stills.want('/a', 1);
    expect([stills.shown?.frame, stills.error, asked.length]).toEqual([1, null, 2]);
    stills.want('/b', 2);
    expect(asked).toHaveLength(3);
  });

  it('hold no picture and ask for none once they are closed', async () => {
    const stills = new Stills();
    stills.want('/a', 1);
    await asked[0]?.answer();
    stills.want('/b', 2);
    stills.close();
    await asked[1]?.answer();
    expect([held.size, stills.shown, asked[1]?.signal.aborted]).toEqual([0, null, true]);
    stills.want('/c', 3);
    expect(asked).toHaveLength(2);
  });

  it('let go of a picture whose bytes come after the end', async () => {
    const stills = new Stills();
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(new Blob(['x']))));
    stills.want('/a', 1);
    stills.close();
    await settle();
    expect([held.size, stills.error]).toEqual([0, null]);
  });
});
