// Opens the verifier page of a package in Debian's Chromium from a file, as an officer would, and has it judge packages.
// usage: node verify.mjs PAGE ARCHIVE FOLDER_OF_PACKAGES FINGERPRINT
// Prints what the page said of the archive and of each folder, and whatever it asked of anybody.
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { SCREEN, launch, tell } from './chromium.mjs';

const [page, archive, folders, key] = process.argv.slice(2);

const seen = { strangers: [], errors: [], archive: null, cases: {} };
const browser = await launch();
const tab = await (await browser.newContext(SCREEN)).newPage();
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

await tell(browser, seen, async () => {
  seen.archive = await judge('#archive', archive);
  for (const name of readdirSync(folders)) seen.cases[name] = await judge('#folder', join(folders, name));
  if (seen.errors.length > 0) throw new Error(seen.errors.join('\n'));
});
