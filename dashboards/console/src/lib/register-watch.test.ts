import { expect, it } from 'vitest';
import { RegisterWatch } from './register-watch';

/** Each line is a second: cameras of the live view, then what facts name, then what the register knows. */
function seconds(...lines: string[]): number[] {
  const watch = new RegisterWatch();
  return lines.flatMap((line, second) => {
    const [cameras = '', named = '', known = ''] = line.split('|').map((part) => part.trim());
    return watch.look(second * 1_000, cameras === '-' ? null : cameras, named, (id) => known.includes(id)) ? [second] : [];
  });
}
const times = (line: string, count: number) => Array.from({ length: count }, () => line);

it('is quiet while nothing changes, and at the first list', () => {
  expect(seconds('-|A|AB', 'AB|AB|AB', ...times('AB|AB|AB', 8))).toEqual([]);
});

it('asks once for a bunch of new cameras', () => {
  expect(seconds('A|A|A', 'AB|AB|A', 'ABC|ABC|A', ...times('ABC|ABC|A', 2), ...times('ABC|ABC|ABC', 8))).toEqual([4]);
});

it('asks when a camera is gone', () => {
  expect(seconds('AB|AB|AB', ...times('A|A|AB', 3), ...times('A|A|A', 5))).toEqual([3]);
});

it('asks once about what stays unknown, and again when it was known in between', () => {
  expect(seconds('A|A|A', ...times('A|AS|A', 12))).toEqual([3]);
  expect(seconds('A|A|A', ...times('A|AS|A', 4), ...times('A|AS|AS', 2), ...times('A|AS|A', 6))).toEqual([3, 9]);
});

it('does not wait for ever for quiet', () => {
  const growing = Array.from({ length: 16 }, (_, n) => `${'ABCDEFGHIJKLMNOPQ'.slice(0, n + 1)}||`);
  expect(seconds(...growing)).toEqual([11]);
});
