import { expect, it, vi } from 'vitest';

vi.mock('../lib/i18n/i18n.svelte', () => ({ t: () => ({}) }));
const { acts } = await import('./keys');

it('only steps and seeks go on while a key is held', () => {
  const held = [',', '.', 'ArrowLeft', 'ArrowRight', '1', '2', '3', 'j', 'k', 'ArrowDown', 'p', 'x', ' ', '?'];
  expect(held.filter((key) => acts({ key, repeat: true }))).toEqual([',', '.', 'ArrowLeft', 'ArrowRight']);
  expect(held.every((key) => acts({ key, repeat: false }))).toBe(true);
});
