import { describe, expect, it } from 'vitest';
import tables from '../../../../docs/generated/tables.md?raw';
import { en } from './i18n/en';
import { vi } from './i18n/vi';
import { cameraRow } from './rows';
import { CAMERA_STATES, SOURCE_STATES, cameraStanding, disconnected, isConnected, sourceStanding } from './states';

/** What stands in backquotes in the meaning of a stream's column `state`. */
function statesOf(stream: string): string[] {
  const table = tables.split(/^## /m).find((part) => part.startsWith(`${stream}\n`)) ?? '';
  const row = table.split('\n').find((line) => line.startsWith('| `state` ')) ?? '';
  const words = [...row.matchAll(/`(\w+)`/g)].map(([, word]) => word ?? '').slice(1);
  return [...new Set(words.filter((word) => !word.startsWith('vong_')))].sort();
}

/** Names under which the program tells of itself, out of its own sources. */
const programs = import.meta.glob<string>('../../../../crates/*/src/*.rs', { query: '?raw', import: 'default', eager: true });
const own = Object.values(programs).flatMap((text) => [...text.matchAll(/(?:: &str = |Some\()"(vong_[a-z]+)"/g)].map(([, name]) => name ?? ''));

const DICTIONARIES = { vi, en };

describe('every state of the streams', () => {
  it.each([
    ['source_events', SOURCE_STATES, 'sources'],
    ['camera_events', CAMERA_STATES, 'cameras'],
  ] as const)('of %s is known and has words in both languages', (stream, known, part) => {
    expect(statesOf(stream).length).toBeGreaterThan(10);
    expect([...known].sort()).toEqual(statesOf(stream));
    for (const [language, words] of Object.entries(DICTIONARIES)) {
      const without = known.filter((state) => !(words[part].state as Record<string, string>)[state]);
      expect([language, without]).toEqual([language, []]);
    }
  });

  it('comes from a source that has a name in both languages', () => {
    expect(own.length).toBeGreaterThan(3);
    for (const [language, words] of Object.entries(DICTIONARIES)) {
      expect([language, own.filter((name) => !(words.sources.own as Record<string, string>)[name])]).toEqual([language, []]);
    }
  });

  it('is good, bad or neither, and an unknown one neither', () => {
    const kinds = ['worker_failed', 'set_aside', 'taken_back', 'alive', 'late', 'invented'].map(sourceStanding);
    expect(kinds).toEqual(['bad', 'bad', 'good', 'good', 'neutral', 'neutral']);
    expect(['refused', 'packets_lost', 'packets_good', 'invented'].map(cameraStanding)).toEqual(['bad', 'bad', 'good', 'neutral']);
  });
});

describe('a camera', () => {
  it('is connected when its row says so, and not when it has none', () => {
    const rows = new Map([['A', 'connected'], ['B', 'lost'], ['C', 'refused'], ['D', 'packets_lost'], ['E', 'clock_drift']].map(([camera_id = '', state]) => [camera_id, cameraRow({ camera_id, state })]));
    expect(disconnected(['F', 'E', 'D', 'C', 'B', 'A'], rows)).toEqual(['B', 'C', 'F']);
    expect(isConnected(cameraRow({ camera_id: 'A' }))).toBe(false);
  });

  it('tells of its recording where the server does', () => {
    expect(['lost', null, undefined, 7].map((recording) => cameraRow({ camera_id: 'A', recording }).recording)).toEqual(['lost', null, null, null]);
  });
});
