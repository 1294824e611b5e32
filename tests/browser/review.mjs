// Drives Debian's Chromium over the review desk of a running vong, as a reviewer would.
// usage: node review.mjs BASE_URL ALERT_ID DIRECTORY
// Leaves the exported clip and the snapshot in DIRECTORY and prints one JSON object of what was seen;
// any expectation that fails ends with a reason and status 1.
import { join } from 'node:path';

import { SCREEN, launch, picture, tell } from './chromium.mjs';

const [base, alert, directory] = process.argv.slice(2);

const seen = { errors: [], steps: [], neighbours: 0, driftFrames: null };
const expect = (condition, what) => {
  if (!condition) throw new Error(`expected ${what}; seen ${JSON.stringify(seen)}`);
};

/** What is on screen: the leading picture and those beside it. */
const screens = (page) =>
  page.evaluate(() => {
    const of = (figure) => ({
      camera: figure.dataset.cameraId,
      mode: figure.dataset.mode,
      frame: Number(figure.dataset.frame),
      mediaTime: Number(figure.dataset.mediaTime),
      wallUs: Number(figure.dataset.wallUs),
      frameUs: Number(figure.dataset.frameUs),
      outside: figure.dataset.outside === 'true',
      src: figure.querySelector('video')?.getAttribute('src') ?? '',
      seconds: figure.querySelector('video')?.currentTime ?? null,
      seeking: figure.querySelector('video')?.seeking ?? false,
    });
    return {
      main: of(document.querySelector('[data-testid=review-screen]')),
      others: [...document.querySelectorAll('[data-testid=review-neighbour]')].map(of).filter((o) => o.mode === 'video'),
    };
  });

const table = (page, src) => page.evaluate(async (url) => (await fetch(url.replace('clip.mp4', 'frames'))).json(), src);

/** Every picture beside the leading one that has this instant, one at least, shows it, within one frame. */
async function inStep(page, when) {
  const together = ({ main, others }) =>
    others.some(({ outside }) => !outside) &&
    others.every((other) => other.outside || (!other.seeking && Math.abs(other.wallUs - main.wallUs) <= Math.max(main.frameUs, other.frameUs)));
  for (let attempt = 0; attempt < 60; attempt += 1) {
    if (together(await screens(page))) return;
    await page.waitForTimeout(50);
  }
  seen.apart = await screens(page);
  expect(false, `neighbours within one frame ${when}`);
}

async function stepTo(page, key, frame) {
  await page.keyboard.press(key);
  await page.waitForFunction((n) => document.querySelector('[data-testid=review-screen]').dataset.frame === String(n), frame, { timeout: 5_000 });
  const { main } = await screens(page);
  seen.steps.push(main.frame);
  return main;
}

async function framesMoveByOne(page, times) {
  let { main } = await screens(page);
  const first = main.frame;
  for (let n = 1; n <= 8; n += 1) {
    main = await stepTo(page, '.', first + n);
    // The browser's own word for the frame it presents.
    expect(Math.abs(main.mediaTime - times.times_90k[first + n] / 90_000) < 0.002, `frame ${first + n} at its own time`);
    await inStep(page, `after step ${n}`);
  }
  for (let n = 7; n >= 5; n -= 1) {
    main = await stepTo(page, ',', first + n);
    expect(Math.abs(main.mediaTime - times.times_90k[first + n] / 90_000) < 0.002, `frame ${first + n} again at its own time`);
  }
}

async function playsInStep(page, tables) {
  await page.keyboard.press('Space');
  await page.waitForTimeout(2_500);
  const drifts = [];
  for (let sample = 0; sample < 20; sample += 1) {
    const { main, others } = await screens(page);
    const wall = (screen) => tables.get(screen.camera).start_us + screen.seconds * 1e6;
    for (const other of others) {
      if (!other.outside && tables.has(other.camera)) drifts.push(Math.abs(wall(other) - wall(main)) / Math.max(main.frameUs, other.frameUs));
    }
    await page.waitForTimeout(60);
  }
  const moved = (await screens(page)).main.seconds;
  await page.keyboard.press('Space');
  drifts.sort((a, b) => a - b);
  seen.driftFrames = { median: drifts[drifts.length >> 1], most: drifts.at(-1), samples: drifts.length };
  expect(drifts.length >= 10, 'neighbours that play along');
  expect(drifts[drifts.length >> 1] <= 1, 'neighbours to play within one frame');
  await inStep(page, 'once it stands');
  return moved;
}

async function saved(page, key, name) {
  const [download] = await Promise.all([page.waitForEvent('download', { timeout: 20_000 }), page.keyboard.press(key)]);
  seen[name] = download.suggestedFilename();
  await download.saveAs(join(directory, name));
}

async function decides(page) {
  await page.keyboard.press('n');
  await page.waitForFunction(() => document.activeElement?.dataset.testid === 'review-note', null, { timeout: 5_000 });
  await page.keyboard.type('vượt đèn đỏ, 38A-12345');
  await page.keyboard.press('Escape');
  await page.keyboard.press('1');
  await page.waitForFunction(() => /nhật ký/.test(document.querySelector('[data-testid=review-told]')?.textContent ?? ''), null, { timeout: 10_000 });
  seen.told = await page.locator('[data-testid=review-told]').innerText();
}

/** What a screen reader would stumble over: controls without a name. */
const nameless = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('button, input, select, video, img')]
      .filter((e) => !(e.getAttribute('aria-label') || e.getAttribute('alt') || e.textContent.trim() || e.closest('label')?.textContent.trim()))
      .map((e) => e.outerHTML.slice(0, 120)),
  );

const browser = await launch();
await tell(browser, seen, async () => {
  const page = await (await browser.newContext({ ...SCREEN, acceptDownloads: true })).newPage();
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  await page.goto(`${base}/review?alert=${encodeURIComponent(alert)}`);
  await page.locator('[data-testid=review-screen][data-mode=video]').waitFor({ timeout: 30_000 });
  await page.waitForFunction(() => Number(document.querySelector('[data-testid=review-screen]').dataset.mediaTime) >= 0, null, { timeout: 15_000 });
  await page.waitForFunction(() => {
    const beside = [...document.querySelectorAll('[data-testid=review-neighbour]')];
    return beside.length > 0 && beside.every(({ dataset }) => dataset.mode !== 'loading' && (dataset.mode !== 'video' || Number(dataset.mediaTime) >= 0));
  }, null, { timeout: 20_000 });
  await page.waitForTimeout(1_500);
  const { main, others } = await screens(page);
  seen.neighbours = others.length;
  expect(others.length > 0, 'a neighbouring camera that plays');
  const tables = new Map();
  for (const screen of [main, ...others]) tables.set(screen.camera, await table(page, screen.src));
  await inStep(page, 'at first');
  await picture(page, join(directory, 'review.png'));
  await framesMoveByOne(page, tables.get(main.camera));
  const before = (await screens(page)).main.seconds;
  const after = await playsInStep(page, tables);
  expect(after - before > 1.5, 'the picture to play');
  await page.keyboard.press(']');
  expect((await page.locator('[data-testid=review-speed]').inputValue()) === '2', 'twice the speed');
  await page.keyboard.press('[');
  await page.keyboard.press('e');
  await inStep(page, 'at the moment of the alert');
  await saved(page, 'p', 'snapshot.png');
  await saved(page, 'x', 'export.mp4');
  await page.keyboard.press('?');
  await page.locator('[data-testid=review-keys]').waitFor({ state: 'visible' });
  await picture(page, join(directory, 'review-keys.png'));
  await page.keyboard.press('Escape');
  await page.locator('[data-testid=review-keys]').waitFor({ state: 'hidden' });
  seen.nameless = await nameless(page);
  expect(seen.nameless.length === 0, 'a name for every control');
  await decides(page);
  await picture(page, join(directory, 'review-decided.png'));
  expect(seen.errors.length === 0, 'no error in the page');
  seen.size = [tables.get(main.camera).width, tables.get(main.camera).height];
});
