// Debian's Chromium, as every driver of these tests starts it, photographs it and ends with it.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../dashboards/console/package.json', import.meta.url));
const { chromium } = require('playwright-core');

/** Nothing is asked of anybody but the pages themselves. */
const QUIET = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A browser without a window; `flags` come on top. */
export const launch = (flags = []) => chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: [...QUIET, ...flags] });

/** A screen of an operations centre: 1080p, Vietnamese. */
export const SCREEN = { viewport: { width: 1920, height: 1080 }, locale: 'vi-VN' };

/**
 * Photographs a page. A processor draws it here, four times as many dots at 4K, on cores that other tests keep busy:
 * how long that takes says nothing about the page, so the limit only ends what hangs.
 */
export const picture = (page, path) => page.screenshot({ path, timeout: 180_000 });

/** Runs `story`, ends the browser and prints `seen` as one JSON object; a story that fails ends with its reason and status 1. */
export async function tell(browser, seen, story) {
  try {
    await story();
  } catch (error) {
    console.error(String(error.message ?? error));
    process.exitCode = 1;
  }
  await browser.close();
  console.log(JSON.stringify(seen));
}
