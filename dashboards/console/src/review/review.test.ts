import { describe, expect, it } from 'vitest';
import type { FrameTable } from '../lib/wire';
import { covers, frameAt, lengthOf, mediaAt, middleOf, startOf, wallAt } from './frames';
import { correction } from './together';
import { neighbours } from './neighbours';

/** Frames of 40 ms, then one held for 2 s over a gap, then two more. */
const table: FrameTable = {
  start_us: 1_000_000_000,
  etag: '"x"',
  codec: 'avc1.64001f',
  width: 640,
  height: 360,
  times_90k: [0, 3_600, 7_200, 187_200, 190_800],
  end_90k: 194_400,
  gaps: [{ from_ms: 1_000_120, to_ms: 1_002_080 }],
};

describe('frame table', () => {
  it('finds the frame on screen, also when the player rounds down', () => {
    expect([0, 0.0399999, 0.04, 0.05, 0.079_999_9, 1.5, 2.08, 99, -1].map((s) => frameAt(table, s))).toEqual([0, 1, 1, 1, 2, 2, 3, 4, 0]);
  });

  it('seeks to the middle of each frame, and that is this frame', () => {
    for (let frame = 0; frame < table.times_90k.length; frame += 1) {
      expect(frameAt(table, middleOf(table, frame))).toBe(frame);
      expect(middleOf(table, frame)).toBeGreaterThan(startOf(table, frame));
    }
    expect(middleOf(table, 2)).toBeCloseTo(0.1, 6);
    expect(lengthOf(table, 2)).toBeCloseTo(2, 6);
  });

  it('leads from the wall clock to the player and back', () => {
    expect(mediaAt(table, wallAt(table, 1.25))).toBeCloseTo(1.25, 9);
    expect([0.05, 1, 2.1, 2.17, -0.01].map((s) => covers(table, wallAt(table, s)))).toEqual([true, false, true, false, false]);
  });
});

describe('pictures in step', () => {
  it('leaves alone what is within a quarter of a frame', () => {
    expect(correction(0.009, 1, 0.04)).toEqual({ kind: 'rate', rate: 1 });
  });

  it('slows what is ahead and hurries what is behind', () => {
    const rate = (drift: number) => {
      const found = correction(drift, 2, 0.04);
      return found.kind === 'rate' ? found.rate : Number.NaN;
    };
    expect(rate(0.1)).toBeLessThan(2);
    expect(rate(-0.1)).toBeGreaterThan(2);
    expect(rate(0.3)).toBeCloseTo(1.5, 6);
  });

  it('jumps over what nobody should watch', () => {
    expect(correction(1, 1, 0.04)).toEqual({ kind: 'jump' });
    expect(correction(-3, 4, 0.04)).toEqual({ kind: 'jump' });
  });

  it('comes within a frame and stays there', () => {
    let drift = 0.35;
    for (let tick = 0; tick < 40; tick += 1) {
      const found = correction(drift, 1, 0.04);
      if (found.kind === 'rate') drift += 0.1 * (found.rate - 1);
    }
    expect(Math.abs(drift)).toBeLessThan(0.04);
  });
});

describe('neighbours', () => {
  const camera = (camera_id: string, lon: number) => ({ camera_id, lon, lat: 18.34 });
  it('are the other witnesses first, then what stands near', () => {
    const all = [camera('A', 105.9), camera('B', 105.901), camera('C', 105.9005), camera('D', 106.9), camera('E', 105.96)];
    expect(neighbours('A', ['A', 'E'], all, 3)).toEqual(['E', 'C', 'B']);
    expect(neighbours('A', [], all, 1)).toEqual(['C']);
    expect(neighbours('X', ['B'], all, 3)).toEqual(['B']);
  });
});
