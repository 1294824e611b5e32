import { describe, expect, it } from 'vitest';
import type { ReviewCase } from '../lib/wire';
import { Casework, following } from './casework.svelte';

function one(alert_id: string): ReviewCase {
  return { alert_id, rule_id: 'r', severity: 'high', title_vi: `vụ ${alert_id}`, title_en: `case ${alert_id}`, key: '', sensor_id: null, camera_id: null, unit_code: null, value: null, fired_ms: 0, decision: null, decided_by: null, decided_ms: null, note: null, clips: [] };
}

/** A desk whose server answers when the test says so; decided cases leave its queue. */
function desk(ids: string, leaves = true) {
  const sent: string[] = [];
  const opened: string[] = [];
  const answers: { durable(): void; refused(): void }[] = [];
  const world = { seen: true, server: [...ids].map(one) };
  const work: Casework = new Casework({
    seen: () => world.seen,
    send: (of, decision, note) => {
      sent.push(`${of.alert_id} ${decision} ${note ?? '-'}`);
      return new Promise<void>((done, fail) => answers.push({ durable: done, refused: () => fail(new Error('no')) }));
    },
    reload: async () => void (work.cases = world.server),
    opened: () => opened.push(work.chosen?.alert_id ?? '?'),
    leaves: () => leaves,
    words: { recorded: (decision) => `recorded ${decision}`, failed: () => 'failed', notSeen: () => 'wait', about: (of, text) => `${text} (${of.alert_id})` },
  });
  work.cases = world.server;
  return { work, world, sent, opened, answers };
}

describe('deciding', () => {
  it('goes on to the next case once the decision is durable', async () => {
    const { work, world, sent, opened, answers } = desk('ABC');
    work.choose('B');
    work.note = '38A-12345';
    const running = work.decide('violation');
    expect([work.deciding, work.chosen?.alert_id]).toEqual([true, 'B']);
    world.server = [one('N'), one('A'), one('C')];
    answers[0]?.durable();
    await running;
    expect(sent).toEqual(['B violation 38A-12345']);
    expect(opened).toEqual(['B', 'C']);
    expect([work.chosen?.alert_id, work.note, work.told?.text, work.deciding]).toEqual(['C', '', 'recorded violation', false]);
  });

  it('sends one decision at a time, however long a key is held', async () => {
    const { work, sent, answers } = desk('ABC');
    work.choose('A');
    const running = work.decide('violation');
    await work.decide('violation');
    await work.decide('none');
    expect(sent).toHaveLength(1);
    answers[0]?.durable();
    await running;
    void work.decide('none');
    expect(sent).toHaveLength(2);
  });

  it('leaves alone the case that was chosen while the answer was on its way', async () => {
    const { work, world, opened, answers } = desk('ABC');
    work.choose('A');
    const running = work.decide('violation');
    work.choose('C');
    work.note = 'of C';
    world.server = [one('B'), one('C')];
    answers[0]?.durable();
    await running;
    expect(opened).toEqual(['A', 'C']);
    expect([work.chosen?.alert_id, work.note, work.told?.text]).toEqual(['C', 'of C', 'recorded violation (A)']);
  });

  it('keeps the note of a decision that was refused, and names its case', async () => {
    const { work, answers } = desk('AB');
    work.choose('A');
    work.note = 'plate';
    const running = work.decide('none');
    answers[0]?.refused();
    await running;
    expect([work.chosen?.alert_id, work.note, work.told, work.deciding]).toEqual(['A', 'plate', { text: 'failed', bad: true }, false]);
    const again = work.decide('none');
    work.choose('B');
    answers[1]?.refused();
    await again;
    expect(work.told).toEqual({ text: 'failed (A)', bad: true });
  });

  it('waits for the picture', async () => {
    const { work, world, sent } = desk('A');
    work.choose('A');
    world.seen = false;
    await work.decide('violation');
    expect([sent, work.told]).toEqual([[], { text: 'wait', bad: true }]);
  });

  it('stays with a case that needs more', async () => {
    const { work, world, opened, answers } = desk('AB', false);
    work.choose('A');
    const running = work.decide('needs_more');
    world.server = [{ ...one('A'), decision: 'needs_more' }, one('B')];
    answers[0]?.durable();
    await running;
    expect([opened, work.chosen?.decision]).toEqual([['A'], 'needs_more']);
  });
});

describe('the next case', () => {
  it('is the one below as the queue stood, else the one above', () => {
    const next = (id: string, before: string, now: string) => following(id, [...before], [...now].map(one));
    expect(next('B', 'ABC', 'NAC')).toBe('C');
    expect(next('C', 'ABC', 'NAB')).toBe('B');
    expect(next('A', 'ABC', 'C')).toBe('C');
    expect(next('A', 'A', 'AN')).toBe('N');
    expect(next('A', 'A', 'A')).toBeUndefined();
  });
});
