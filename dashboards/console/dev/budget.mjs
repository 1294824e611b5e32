/**
 * Measures the first load of each page, gzip, and fails when the wall passes its budget.
 * A page's first load is all it can ask for by itself: entry, its chunks, styles, fonts, the map's worker.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const BUDGET_BYTES = 600 * 1024;
const dist = new URL('../dist/', import.meta.url).pathname;

const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));

// Fonts are fetched in woff2 only; they are compressed already and count as they are.
const size = (file) => {
  const bytes = readFileSync(file);
  return /\.woff2?$/.test(file) ? bytes.length : gzipSync(bytes, { level: 9 }).length;
};

const rows = files
  .filter((file) => !file.endsWith('.woff'))
  .map((file) => ({ name: file.slice(dist.length), bytes: size(file) }))
  .sort((a, b) => b.bytes - a.bytes);

const PAGES = ['Wall', 'TileWall', 'Console', 'Review'];
const belongsTo = (page) => ({ name }) => !PAGES.some((other) => other !== page && name.startsWith(`assets/${other}-`));
const total = (page) => rows.filter(belongsTo(page)).reduce((sum, { bytes }) => sum + bytes, 0);

for (const { name, bytes } of rows) console.log(`${(bytes / 1024).toFixed(1).padStart(8)} KiB  ${name}`);
for (const page of PAGES) console.log(`${(total(page) / 1024).toFixed(1).padStart(8)} KiB  first load, ${page.toLowerCase()}`);
if (total('Wall') > BUDGET_BYTES) {
  console.error(`the wall's first load passes ${BUDGET_BYTES / 1024} KiB`);
  process.exit(1);
}
