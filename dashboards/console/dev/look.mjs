/**
 * Takes pictures of the pages and reports what went wrong in them: errors, refused or foreign requests.
 *   node dev/look.mjs [http://127.0.0.1:8090] [directory for pictures]
 */
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

const base = process.argv[2] ?? 'http://127.0.0.1:8090';
const out = process.argv[3] ?? '/tmp/console-look';
const only = process.argv[4];
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
});
const shots = [
  ['wall-1080', '/wall', 1920, 1080],
  ['wall-4k', '/wall', 3840, 2160],
  ['wall-en', '/wall?lang=en', 1920, 1080],
  ['console-1080', '/console', 1920, 1080],
  ['console-4k', '/console', 3840, 2160],
  ['console-small', '/console', 1366, 768],
  ['console-en', '/console?lang=en', 1920, 1080],
  ['home', '/', 1366, 768],
];
let bad = 0;
for (const [name, path, width, height] of shots) {
  if (only && !name.startsWith(only)) continue;
  const context = await browser.newContext({ viewport: { width, height }, locale: 'vi-VN' });
  const page = await context.newPage();
  const complain = (text) => {
    bad += 1;
    console.log(`${name}: ${text}`);
  };
  page.on('console', (message) => message.type() === 'error' && complain(message.text()));
  page.on('pageerror', (error) => complain(error.message));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (/^https?:$/.test(protocol) && origin !== new URL(base).origin) complain(`left the origin: ${request.url()}`);
  });
  await page.goto(base + path, { waitUntil: 'load' });
  await page.waitForTimeout(Number(process.env.SETTLE_MS ?? 9000));
  await page.screenshot({ path: `${out}/${name}.png` });
  const conn = await page.locator('[data-testid=conn-state]').getAttribute('data-state').catch(() => null);
  const tiles = await page.locator('[data-testid=camera-tile]').evaluateAll((all) => all.map((e) => `${e.dataset.cameraId}:${e.dataset.state}`));
  console.log(`${name}: connection ${conn}, tiles ${tiles.join(' ')}`);
  await context.close();
}
await browser.close();
process.exit(bad === 0 ? 0 : 1);
