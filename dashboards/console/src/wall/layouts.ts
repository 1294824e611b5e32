/** Walls of camera tiles alone: `/wall/16` and its like. Another one is another line here. */

export type Layout = { columns: number; rows: number };

const LAYOUTS: Readonly<Record<string, Layout>> = {
  '4': { columns: 2, rows: 2 },
  '9': { columns: 3, rows: 3 },
  '16': { columns: 4, rows: 4 },
  '36': { columns: 6, rows: 6 },
  '64': { columns: 8, rows: 8 },
};

/** Of the page at `path`; null when it is another page. */
export function layoutOf(path: string): Layout | null {
  const name = /^\/wall\/(\w+)\/?$/.exec(path)?.[1];
  return name !== undefined && Object.hasOwn(LAYOUTS, name) ? (LAYOUTS[name] ?? null) : null;
}

/** The place that an arrow key leads to from `place`; itself at an edge. */
export function neighbour(place: number, key: string, { columns, rows }: Layout): number {
  const [column, row] = [place % columns, Math.floor(place / columns)];
  if (key === 'ArrowLeft') return column > 0 ? place - 1 : place;
  if (key === 'ArrowRight') return column < columns - 1 ? place + 1 : place;
  if (key === 'ArrowUp') return row > 0 ? place - columns : place;
  if (key === 'ArrowDown') return row < rows - 1 ? place + columns : place;
  return place;
}
