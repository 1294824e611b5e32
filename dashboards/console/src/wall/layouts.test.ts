import { describe, expect, test } from 'vitest';
import { layoutOf, neighbour } from './layouts';

describe('layouts', () => {
  test('are chosen by the path, and unknown ones are none', () => {
    expect(layoutOf('/wall/16')).toEqual({ columns: 4, rows: 4 });
    expect(layoutOf('/wall/64/')).toEqual({ columns: 8, rows: 8 });
    for (const path of ['/wall', '/wall/17', '/wall/16/x', '/console/16', '/wall/constructor']) expect(layoutOf(path), path).toBeNull();
  });

  test('arrow keys stop at the edges', () => {
    const wall = { columns: 4, rows: 4 };
    const walk = (from: number, keys: string[]) => keys.reduce((place, key) => neighbour(place, `Arrow${key}`, wall), from);
    expect(walk(0, ['Left', 'Up'])).toBe(0);
    expect(walk(0, ['Right', 'Down'])).toBe(5);
    expect(walk(15, ['Right', 'Down'])).toBe(15);
    expect(neighbour(5, 'Enter', wall)).toBe(5);
  });
});
