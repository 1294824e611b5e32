import { describe, expect, it } from 'vitest';
import type { Op, Row } from '../wire';
import { ViewReplica } from './replica';

const identity = (fields: Record<string, unknown>) => fields;

function snap(seq: number, rows: Row[], extra: Partial<{ part: number; parts: number; count: number; epoch: string }> = {}) {
  return { type: 'snap' as const, sid: 1, epoch: 'e1', seq, part: 1, parts: 1, rows, count: rows.length, ...extra };
}

function delta(from: number, to: number, ops: Op[], n = ops.length) {
  return { type: 'delta' as const, sid: 1, from, to, n, ops };
}

function mark(seq: number) {
  return { type: 'mark' as const, sid: 1, seq, watermark_ms: null, server_time_ms: 0 };
}

function shown(replica: ViewReplica<Record<string, unknown>>) {
  return Object.fromEntries(replica.rows);
}

describe('ViewReplica', () => {
  it('shows a snapshot and then the deltas that continue it', () => {
    const replica = new ViewReplica(identity);
    expect(replica.accept(snap(10, [['a', 9, { v: 1, u: 'm' }]]))).toBe('changed');
    expect(replica.accept(delta(10, 12, [['~', 'a', 11, { v: 2 }], ['+', 'b', 12, { v: 7 }]]))).toBe('changed');
    expect(replica.accept(delta(12, 15, [['-', 'b', 15, {}]]))).toBe('changed');
    expect(shown(replica)).toEqual({ a: { v: 2, u: 'm' } });
    expect(replica.resumePoint()).toEqual({ epoch: 'e1', seq: 15 });
  });

  it('keeps the old rows until the last part of a new snapshot is there', () => {
    const replica = new ViewReplica(identity);
    replica.accept(snap(10, [['old', 1, {}]]));
    expect(replica.accept(snap(20, [['a', 1, {}]], { parts: 2, count: 2 }))).toBe('unchanged');
    expect([...replica.rows.keys()]).toEqual(['old']);
    expect(replica.accept(snap(20, [['b', 1, {}]], { part: 2, parts: 2, count: 2 }))).toBe('changed');
    expect([...replica.rows.keys()]).toEqual(['a', 'b']);
  });

  it('refuses a snapshot whose parts do not add up', () => {
    const replica = new ViewReplica(identity);
    expect(replica.accept(snap(20, [['a', 1, {}]], { count: 2 }))).toBe('resubscribe');
    expect(replica.ready).toBe(false);
    expect(replica.accept(snap(20, [], { part: 2, parts: 2 }))).toBe('resubscribe');
  });

  it('notices a missed delta, changes nothing, and asks for everything anew', () => {
    const replica = new ViewReplica(identity);
    replica.accept(snap(10, [['a', 9, { v: 1 }]]));
    expect(replica.accept(delta(11, 12, [['~', 'a', 12, { v: 2 }]]))).toBe('resubscribe');
    expect(shown(replica)).toEqual({ a: { v: 1 } });
    expect(replica.resumePoint()).toBeUndefined();
    expect(replica.accept(snap(12, [['a', 12, { v: 2 }]]))).toBe('changed');
    expect(replica.resumePoint()).toEqual({ epoch: 'e1', seq: 12 });
  });

  it('takes a mark as proof that nothing happened up to there', () => {
    const replica = new ViewReplica(identity);
    replica.accept(snap(10, [['a', 9, { v: 1 }]]));
    replica.accept(mark(40));
    expect(replica.resumePoint()).toEqual({ epoch: 'e1', seq: 40 });
    // A server may number on from the last delta or from the mark: both leave nothing out.
    expect(replica.accept(delta(10, 41, [['~', 'a', 41, { v: 2 }]]))).toBe('changed');
    replica.accept(mark(50));
    expect(replica.accept(delta(50, 51, [['~', 'a', 51, { v: 3 }]]))).toBe('changed');
    expect(replica.accept(delta(52, 53, []))).toBe('resubscribe');
  });

  it('goes on after a reconnect without a snapshot', () => {
    const replica = new ViewReplica(identity);
    replica.accept(snap(10, [['a', 9, { v: 1 }]]));
    replica.interrupted();
    expect(replica.resumePoint()).toEqual({ epoch: 'e1', seq: 10 });
    expect(replica.accept(delta(10, 30, [['~', 'a', 29, { v: 5 }]], 14))).toBe('changed');
    expect(shown(replica)).toEqual({ a: { v: 5 } });
    expect(replica.folded).toBe(14);
  });

  it('keeps showing the old rows after a gap, until the snapshot that follows', () => {
    const replica = new ViewReplica(identity);
    replica.accept(snap(10, [['a', 9, {}]]));
    expect(replica.accept({ type: 'gap', sid: 1, from: 10, to: 99, why: 'epoch' })).toBe('unchanged');
    expect([...replica.rows.keys()]).toEqual(['a']);
    expect(replica.accept(snap(99, [['z', 98, {}]], { epoch: 'e2' }))).toBe('changed');
    expect(replica.resumePoint()).toEqual({ epoch: 'e2', seq: 99 });
  });

  it('refuses a patch of a row it does not have, before touching any row', () => {
    const replica = new ViewReplica(identity);
    replica.accept(snap(10, [['a', 9, { v: 1 }]]));
    expect(replica.accept(delta(10, 12, [['~', 'a', 11, { v: 2 }], ['~', 'ghost', 12, { v: 1 }]]))).toBe('resubscribe');
    expect(shown(replica)).toEqual({ a: { v: 1 } });
  });

  it('applies several steps of one key within one delta in order', () => {
    const replica = new ViewReplica(identity);
    replica.accept(snap(10, []));
    const steps: Op[] = [['+', 'a', 11, { state: 'firing' }], ['~', 'a', 12, { state: 'acknowledged' }]];
    expect(replica.accept(delta(10, 12, steps))).toBe('changed');
    expect(shown(replica)).toEqual({ a: { state: 'acknowledged' } });
  });
});
