import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Package } from '../lib/api';

let answers: Partial<Package>[] = [];
const asked: string[] = [];
const next = (): Promise<Package> => {
  const answer = answers.shift();
  if (answer === undefined) return Promise.reject(new Error('gone'));
  return Promise.resolve({ package_id: 'P', state: 'making', done_bytes: 0, all_bytes: 10, error: null, ...answer });
};

vi.mock('../lib/api', () => ({
  beginEvidence: (of: { alert_id: string; case: string }) => {
    asked.push(`${of.alert_id} ${of.case}`);
    return next();
  },
  evidence: next,
  explain: (failure: Error) => failure.message,
}));

const { Packaging } = await import('./packaging.svelte');

beforeEach(() => {
  vi.useFakeTimers();
  asked.length = 0;
});
afterEach(() => void vi.useRealTimers());

describe('a package', () => {
  it('is followed until it is ready, and asked for once', async () => {
    answers = [{}, { done_bytes: 5 }, { state: 'ready' }];
    const work = new Packaging('A');
    work.file = '12/2026';
    const making = work.make();
    void work.make();
    await vi.advanceTimersByTimeAsync(700);
    expect([work.isMaking, work.made?.done_bytes]).toEqual([true, 5]);
    await vi.advanceTimersByTimeAsync(700);
    await making;
    expect([asked, work.isMaking, work.made?.state]).toEqual([['A 12/2026'], false, 'ready']);
  });

  it('of another case begins empty, and the first is no longer asked about', async () => {
    answers = [{}, {}, {}, { state: 'ready' }];
    const first = new Packaging('A');
    first.file = '12/2026';
    const making = first.make();
    await vi.advanceTimersByTimeAsync(700);
    first.stop();
    await vi.advanceTimersByTimeAsync(2_000);
    await making;
    const second = new Packaging('B');
    expect([second.file, second.purpose, second.by, second.made, answers.length]).toEqual(['', '', '', null, 1]);
  });

  it('says why it was not made', async () => {
    answers = [{ state: 'failed', error: 'no footage' }];
    const work = new Packaging('A');
    await work.make();
    expect(work.error).toBe('no footage');
    await work.make();
    expect([work.made, work.error]).toEqual([null, 'gone']);
  });
});
