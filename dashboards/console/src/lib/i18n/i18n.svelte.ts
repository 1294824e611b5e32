/**
 * The chosen language, remembered; Vietnamese unless someone chose otherwise.
 * `t()` is read inside markup, so a switch redraws every text at once.
 */
import { en } from './en';
import { vi } from './vi';

export type Messages = typeof vi;
export type Language = 'vi' | 'en';

const STORED = 'vong.language';
const DICTIONARIES: Record<Language, Messages> = { vi, en };

function remembered(): Language {
  // `?lang=en` is for kiosks, whose start address is all one can set.
  const asked = new URLSearchParams(location.search).get('lang');
  if (asked === 'vi' || asked === 'en') return asked;
  try {
    return localStorage.getItem(STORED) === 'en' ? 'en' : 'vi';
  } catch {
    return 'vi';
  }
}

let current = $state<Language>(remembered());
document.documentElement.lang = remembered();

export function language(): Language {
  return current;
}

export function setLanguage(next: Language): void {
  current = next;
  document.documentElement.lang = next;
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // Private windows refuse storage: the choice then lasts as long as the page.
  }
}

export function t(): Messages {
  return DICTIONARIES[current];
}

/** The field of the chosen language, the other one when it is empty. */
export function pick(vietnamese: string, english: string): string {
  return current === 'vi' ? vietnamese || english : english || vietnamese;
}
