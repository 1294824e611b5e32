/** Instants and ages as text. The city's clock is Indochina Time wherever the screen stands. */
import type { Messages } from './i18n/i18n.svelte';

const ZONE = 'Asia/Ho_Chi_Minh';

const clock = new Intl.DateTimeFormat('en-GB', { timeZone: ZONE, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const dates = new Map<string, Intl.DateTimeFormat>();

/** `14:03:27` */
export function clockTime(ms: number): string {
  return clock.format(ms);
}

/** `14:03` */
export function hourMinute(ms: number): string {
  return clock.format(ms).slice(0, 5);
}

/** `Chủ Nhật, 22/11/2026` or `Sunday, 22/11/2026` */
export function longDate(ms: number, locale: string): string {
  let format = dates.get(locale);
  if (format === undefined) {
    format = new Intl.DateTimeFormat(locale, { timeZone: ZONE, weekday: 'long', day: '2-digit', month: '2-digit', year: 'numeric' });
    dates.set(locale, format);
  }
  return format.format(ms);
}

/** `12 giây`, `4 phút`; seconds below a minute, then minutes, so that it does not flicker. */
export function age(ms: number, words: Messages): string {
  if (!Number.isFinite(ms)) return words.age.none;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return words.age.s(seconds);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return words.age.m(minutes);
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return words.age.h(hours, minutes % 60);
  return words.age.d(Math.floor(hours / 24));
}

/**
 * An instant of an SQL answer: ISO text with or without a zone (then UTC), or a number of
 * milliseconds or microseconds. NaN when it is none of these.
 */
export function instant(value: unknown): number {
  if (typeof value === 'number') return value > 1e14 ? value / 1000 : value;
  if (typeof value !== 'string') return Number.NaN;
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`;
  return Date.parse(zoned.replace(' ', 'T'));
}
