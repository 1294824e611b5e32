// Opens the verifier page of a package in Debian's Chromium from a file, as an officer would, and has it judge packages.
// usage: node verify.mjs PAGE ARCHIVE FOLDER_OF_PACKAGES FINGERPRINT   (resolves playwright-core from the console)
// Prints what the page said of the archive and of each folder, and whatever it asked of anybody.
import { createRequire } from 'node:module';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [page, archive, folders, key] = process.argv.slice(2);
const require = createRequire(new URL('../../dashboards/console/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const seen = { strangers: [], errors: [], archive: null, cases: {} };
const browser = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'vong-browser-')), {
  executablePath: '/usr/bin/chromium',
  headless: true,
  locale: 'vi-VN',
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const tab = await browser.newPage();
const own = pathToFileURL(resolve(page)).href;
tab.on('request', (request) => {
  if (request.url() !== own && !/^(blob|data):/.test(request.url())) seen.strangers.push(request.url());
});
tab.on('pageerror', (error) => seen.errors.push(String(error)));

async function judge(input, path) {
  await tab.goto(own);
  await tab.locator('#key').fill(key);
  await tab.locator(input).setInputFiles(path);
  const verdict = tab.locator('#verdict');
  await verdict.waitFor({ timeout: 60_000 });
  const codes = await tab.locator('#result li').evaluateAll((items) => items.map((item) => item.dataset.code));
  return { verdict: await verdict.getAttribute('data-verdict'), codes, text: await tab.locator('#result').innerText() };
}

try {
  seen.archive = await judge('#archive', archive);
  for (const name of readdirSync(folders)) seen.cases[name] = await judge('#folder', join(folders, name));
} catch (error) {
  seen.errors.push(String(error));
}
await browser.close();
console.log(JSON.stringify(seen));
if (seen.errors.length > 0) {
  console.error(seen.errors.join('\n'));
  process.exit(1);
}
