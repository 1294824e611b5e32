// Drives Debian's Chromium over the wall and the operator page of a running vong, as a person would.
// usage: node drive.mjs BASE_URL SCREENSHOT_DIRECTORY
// Prints one JSON object of what was seen; any expectation that fails ends with a reason and status 1.
import { join } from 'node:path';

import { SCREEN, launch, picture, tell } from './chromium.mjs';

const [base, shots] = process.argv.slice(2);

const seen = { strangers: [], errors: [], failures: [] };
const expect = (condition, what) => {
  if (!condition) throw new Error(`expected ${what}; seen ${JSON.stringify(seen)}`);
};

async function open(context, path) {
  const page = await context.newPage();
  page.on('request', (request) => {
    const url = request.url();
    if (!/^(blob|data):/.test(url) && new URL(url).host !== new URL(base).host) seen.strangers.push(url);
  });
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText;
    // What is no longer looked at is given up on purpose.
    if (why !== 'net::ERR_ABORTED') seen.failures.push(`${request.method()} ${request.url()} ${why}`);
  });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  await page.goto(base + path);
  await page.locator('[data-testid=conn-state][data-state=live]').waitFor({ timeout: 30_000 });
  return page;
}

async function wall(context) {
  const page = await open(context, '/wall');
  await page.locator('[data-testid=simulated-label]').first().waitFor({ timeout: 5_000 });
  await page.waitForFunction(() => document.querySelectorAll('[data-testid=alert-row]').length >= 3, null, { timeout: 60_000 });
  await page.waitForFunction(
    () => [...document.querySelectorAll('[data-testid=camera-tile][data-state=live]')].filter((tile) => Number(tile.dataset.painted) >= 10).length >= 2,
    null,
    { timeout: 40_000 },
  );
  await page.locator('[data-testid=map][data-ready=true]').waitFor({ timeout: 40_000 });
  seen.alertsOnWall = await page.locator('[data-testid=alert-row]').count();
  seen.liveTiles = await page.locator('[data-testid=camera-tile][data-state=live]').count();
  seen.sensors = await page.locator('[data-testid=sensor-count]').first().innerText();
  await picture(page, join(shots, 'wall-1080p.png'));
  await page.setViewportSize({ width: 3840, height: 2160 });
  await page.waitForTimeout(3_000);
  await picture(page, join(shots, 'wall-4k.png'));
  await page.close();
}

async function operator(context) {
  const page = await open(context, '/console');
  await page.locator('[data-testid=alert-row]').first().waitFor({ timeout: 30_000 });
  const clip = await clipOfAnyAlert(page);
  seen.clip = clip;
  await picture(page, join(shots, 'operator-1080p.png'));

  const id = await page.locator('[data-testid=alert-row]:has([data-testid=ack-button])').first().getAttribute('data-alert-id');
  // By its name: the first of the queue may be another one by now.
  const same = page.locator(`[data-testid=alert-row][data-alert-id="${id}"]`);
  await same.locator('[data-testid=ack-button]').click();
  await page.waitForFunction(
    (id) => {
      const row = document.querySelector(`[data-testid=alert-row][data-alert-id="${id}"]`);
      return !row || row.dataset.standing === 'acknowledged' || row.dataset.state === 'acknowledged';
    },
    id,
    { timeout: 15_000 },
  );
  seen.acknowledged = id;
  seen.standing = (await same.count()) ? await same.first().getAttribute('data-standing') : 'gone';

  const before = await page.locator('[data-testid=console]').innerText();
  await page.locator('[data-testid=lang-switch]').first().click();
  await page.waitForTimeout(300);
  const after = await page.locator('[data-testid=console]').innerText();
  expect(before !== after, 'the language switch to change the words');
  await picture(page, join(shots, 'operator-english.png'));
  await page.setViewportSize({ width: 3840, height: 2160 });
  await page.waitForTimeout(1_000);
  await picture(page, join(shots, 'operator-4k.png'));
  await page.close();
}

// Goes through the queue until one alert's clip plays: its picture must move on by itself.
async function clipOfAnyAlert(page) {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const rows = await page.locator('[data-testid=alert-row]').count();
    for (let index = 0; index < rows; index += 1) {
      await page.locator('[data-testid=alert-row] .pick').nth(index).click({ timeout: 2_000 }).catch(() => {});
      await page.waitForTimeout(400);
      const video = page.locator('[data-testid=clip-video]').first();
      if (!(await video.count())) continue;
      const played = await video
        .evaluate(async (element) => {
          element.muted = true;
          await element.play();
          const begun = performance.now();
          while (performance.now() - begun < 4_000 && element.currentTime < 1) await new Promise((r) => setTimeout(r, 100));
          return { at: element.currentTime, duration: element.duration, width: element.videoWidth };
        })
        .catch(() => null);
      if (played && played.at >= 1 && played.width > 0) return played;
    }
    await page.waitForTimeout(2_000);
  }
  throw new Error('no clip of any alert played within a minute');
}

const browser = await launch(['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--autoplay-policy=no-user-gesture-required']);
await tell(browser, seen, async () => {
  const context = await browser.newContext(SCREEN);
  await wall(context);
  await operator(context);
  expect(seen.strangers.length === 0, 'no request to another origin');
  expect(seen.errors.length === 0, 'no error in a page');
  expect(seen.failures.length === 0, 'no request that fails');
});
