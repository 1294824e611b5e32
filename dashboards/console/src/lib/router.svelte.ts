/** Paths of the console. Unknown paths are answered by the page itself, as the server sends it everywhere. */
import { layoutOf } from '../wall/layouts';

export type Page = 'home' | 'wall' | 'tiles' | 'console' | 'review' | 'unknown';

function pageOf(path: string): Page {
  if (path === '/' || path === '/index.html') return 'home';
  if (layoutOf(path) !== null) return 'tiles';
  if (path === '/wall' || path.startsWith('/wall/')) return 'wall';
  if (path === '/console' || path.startsWith('/console/')) return 'console';
  if (path === '/review' || path.startsWith('/review/')) return 'review';
  return 'unknown';
}

let current = $state<Page>(pageOf(location.pathname));
window.addEventListener('popstate', () => (current = pageOf(location.pathname)));

export function page(): Page {
  return current;
}

/** For `onclick` of a link: goes there without loading anew, unless a new tab is wanted. */
export function follow(event: MouseEvent): void {
  const link = (event.currentTarget as HTMLElement | null)?.closest('a');
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, '', link.href);
  current = pageOf(location.pathname);
}
