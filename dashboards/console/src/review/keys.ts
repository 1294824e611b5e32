/** The keys of the review desk: which act while they are held, and what stands in the list of them. */
import { t } from '../lib/i18n/i18n.svelte';

/** Steps and seeks go on while a key is held; every other act is one act for one press. */
const HELD: ReadonlySet<string> = new Set([',', '.', 'ArrowLeft', 'ArrowRight']);

export function acts({ key, repeat }: Pick<KeyboardEvent, 'key' | 'repeat'>): boolean {
  return !repeat || HELD.has(key);
}

export function keyList(): readonly (readonly [string, string])[] {
  const { keys } = t().review;
  return [
    ['Space', keys.play],
    [', .', keys.frame],
    ['← →', keys.second],
    ['Shift ← →', keys.ten],
    ['Home End', keys.ends],
    ['e', keys.event],
    ['[ ]', keys.speed],
    ['c', keys.camera],
    ['m', keys.neighbours],
    ['1 2 3', keys.decide],
    ['n', keys.note],
    ['j ↓ / k ↑', keys.cases],
    ['p', keys.snapshot],
    ['x', keys.export],
    ['v', keys.evidence],
    ['?', keys.help],
  ];
}
