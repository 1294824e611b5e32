// Drives Debian's Chromium over the walls of camera tiles of a running vong.
// usage: node wall.mjs BASE_URL SCREENSHOT_DIRECTORY PID_OF_THE_CITY [64]
// Prints one JSON object of what was seen; any expectation that fails ends with a reason and status 1.
// At its end it stops the city, to see the tiles turn grey. With 64 it looks at a wall of 64 tiles alone.
import http from 'node:http';
import { join } from 'node:path';

import { SCREEN, launch, picture, tell } from './chromium.mjs';

const [base, shots, city, tiles] = process.argv.slice(2);

const seen = { strangers: [], errors: [] };
const expect = (condition, what) => {
  if (!condition) throw new Error(`expected ${what}; seen ${JSON.stringify(seen)}`);
};
const PATIENCE = { timeout: 90_000 };
const MEASURE_MS = 8_000;

async function open(browser, address) {
  const page = await browser.newPage({ viewport: { width: 1920, height: 1080 }, locale: 'vi-VN' });
  page.on('request', (request) => {
    if (!/^(blob|data):/.test(request.url()) && new URL(request.url()).host !== new URL(address).host) seen.strangers.push(request.url());
  });
  page.on('websocket', (socket) => new URL(socket.url()).host === new URL(address).host || seen.strangers.push(socket.url()));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  await page.goto(address);
  return page;
}

const tile = (id) => `[data-testid=tile-grid] [data-testid=camera-tile][data-camera-id="${id}"]`;

/** Waits until so many tiles show moving pictures in this form. */
async function playing(page, count, form) {
  const many = ({ count, form }) =>
    [...document.querySelectorAll('[data-testid=camera-tile]')].filter(
      ({ dataset }) => dataset.state === 'live' && dataset.form === form && Number(dataset.painted) >= 10,
    ).length >= count;
  await page.waitForFunction(many, { count, form }, PATIENCE);
}

/** Percentiles of a while of pictures, milliseconds. */
async function measured(page) {
  await page.evaluate(() => (globalThis.vongSamples.length = 0));
  await page.waitForTimeout(MEASURE_MS);
  const samples = await page.evaluate(() => globalThis.vongSamples);
  const stamped = samples.filter(([, camera]) => camera !== null).map(([, camera, , shown]) => (shown - camera) / 1_000);
  const received = samples.map(([, , receivedAt, shown]) => (shown - receivedAt) / 1_000);
  const at = (values, share) => {
    const sorted = [...values].sort((a, b) => a - b);
    return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  };
  return {
    per_s: Math.round((samples.length * 1_000) / MEASURE_MS),
    ...evenly(samples),
    glass_to_glass: { p50: at(stamped, 0.5), p99: at(stamped, 0.99) },
    since_received: { p50: at(received, 0.5), p99: at(received, 0.99) },
  };
}

/**
 * A tile that stands still has no pictures that could be late: how many tiles showed any, and of all but the one of stills
 * the fewest pictures and the longest pause.
 */
function evenly(samples) {
  const shown = new Map();
  for (const [tile, , , shownAt] of samples) shown.set(tile, [...(shown.get(tile) ?? []), shownAt / 1_000]);
  const moving = [...shown.values()].sort((a, b) => b.length - a.length).slice(0, Math.max(1, shown.size - 1));
  const pauses = moving.flatMap((times) => times.slice(1).map((time, n) => time - times[n]));
  return { tiles: shown.size, fewest: moving.at(-1)?.length, longest_pause_ms: Math.round(Math.max(...pauses)) };
}

const numbers = (page, name) => page.locator('[data-testid=camera-tile]').evaluateAll((all, name) => all.map((e) => Number(e.dataset[name] || 'NaN')), name);

/** How long tiles took from being asked for to their first picture, the quickest first. */
async function starts(page) {
  const took = (await numbers(page, 'startMs')).filter(Number.isFinite).sort((a, b) => a - b);
  const tiles = await page.locator('[data-testid=camera-tile]').count();
  // The last camera has no stream that this browser decodes.
  expect(took.length >= tiles - 1, `a start of every tile, not ${took.length} of ${tiles}`);
  return took;
}

/** How far from grey a tile's picture is at most: the largest difference between two of its colours. */
const colour = (page, id) =>
  page.evaluate((selector) => {
    const own = document.querySelector(selector).getBoundingClientRect();
    const shown = document.querySelector('canvas');
    const around = shown.getBoundingClientRect();
    const copy = new OffscreenCanvas(64, 36).getContext('2d');
    const scale = shown.width / around.width;
    copy.drawImage(shown, (own.left - around.left) * scale, (own.top - around.top) * scale, own.width * scale, own.height * scale, 0, 0, 64, 36);
    const { data } = copy.getImageData(0, 0, 64, 36);
    let most = 0;
    for (let i = 0; i < data.length; i += 4) most = Math.max(most, Math.abs(data[i] - data[i + 1]), Math.abs(data[i + 1] - data[i + 2]));
    return most;
  }, tile(id));

async function sixteen(browser) {
  const page = await open(browser, `${base}/wall/16?part=1&measure`);
  await playing(page, 14, 'frames');
  seen.frames = await measured(page);
  seen.frames.starts_ms = await starts(page);
  // Of ten a second each; a busy machine is given fewer, down to its key frames.
  expect(seen.frames.tiles === 16, 'pictures of every tile');
  expect(seen.frames.fewest >= 2, 'no tile to stand still');
  seen.skipped = (await numbers(page, 'skipped')).reduce((sum, n) => sum + n, 0);
  expect((await page.locator('[data-testid=camera-tile]').count()) === 16, 'sixteen tiles');
  expect((await page.locator('canvas').count()) === 1, 'one canvas for all tiles');
  await picture(page, join(shots, 'wall-16.png'));
  return page;
}

/** All tiles of a large wall show pictures, though perhaps few of them: a machine that cannot decode all gets key frames. */
async function sixtyFour(browser) {
  const page = await open(browser, `${base}/wall/64?part=1&measure`);
  const shown = () => [...document.querySelectorAll('[data-testid=camera-tile]')].filter(({ dataset }) => dataset.state === 'live').length >= 63;
  await page.waitForFunction(shown, null, PATIENCE);
  seen.starts_ms = await starts(page);
  seen.first = await measured(page);
  await page.waitForTimeout(20_000);
  seen.many = await measured(page);
  seen.slow = await page.locator('[data-testid=camera-tile][data-slow=true]').count();
  seen.live = await page.locator('[data-testid=camera-tile][data-state=live]').count();
  expect((await page.locator('canvas').count()) === 1, 'one canvas for all tiles');
  // The last camera has no stream that this browser decodes, but stills of it.
  expect(seen.live >= 63, 'all tiles but one live');
  await picture(page, join(shots, 'wall-64.png'));
  await page.setViewportSize({ width: 3840, height: 2160 });
  await page.waitForTimeout(3_000);
  await picture(page, join(shots, 'wall-64-4k.png'));
}

async function codecs(page) {
  const alone = page.locator(tile('CAM-16'));
  await page.waitForFunction((selector) => /refused|live/.test(document.querySelector(selector).dataset.state), tile('CAM-16'), PATIENCE);
  seen.h265 = { state: await alone.getAttribute('data-state'), form: await alone.getAttribute('data-form'), words: await alone.innerText() };
  expect(seen.h265.form === 'stills', 'stills of H.265');
  expect((await page.locator(tile('CAM-09')).getAttribute('data-stream')) === 'sub', 'the H.264 sub-stream of an H.265 camera');
}

async function enlarge(page) {
  const large = page.locator('[data-testid=large-tile] [data-testid=camera-tile]');
  const isLarge = (id, stream) =>
    page.locator(`[data-testid=large-tile] [data-camera-id="${id}"][data-state=live][data-stream=${stream}]`).waitFor(PATIENCE);
  await page.locator(tile('CAM-02')).click();
  await isLarge('CAM-02', 'main');
  seen.large_start_ms = Number(await large.getAttribute('data-start-ms'));
  await picture(page, join(shots, 'wall-16-large.png'));
  const covered = Number(await page.locator(tile('CAM-03')).getAttribute('data-painted'));
  await page.waitForTimeout(2_000);
  expect(Number(await page.locator(tile('CAM-03')).getAttribute('data-painted')) <= covered + 5, 'covered tiles to stop');
  await page.keyboard.press('Escape');
  await large.waitFor({ state: 'detached', timeout: 10_000 });
  // The keyboard goes on from the tile that was large: left of it, and down.
  for (const key of ['ArrowLeft', 'ArrowDown', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
  await isLarge('CAM-09', 'sub');
  expect(await page.locator('[data-testid=large-tile] [data-testid=tile-note]').isVisible(), 'a word on why it is the sub-stream');
  await page.keyboard.press('Enter');
  await large.waitFor({ state: 'detached', timeout: 10_000 });
  const before = Number(await page.locator(tile('CAM-03')).getAttribute('data-painted'));
  await page.waitForFunction(({ selector, before }) => Number(document.querySelector(selector).dataset.painted) > before + 5, { selector: tile('CAM-03'), before }, PATIENCE);
}

/** A camera that this browser cannot decode moves once it is large. */
async function moving(page) {
  await page.locator(tile('CAM-16')).click();
  const large = page.locator('[data-testid=large-tile] [data-camera-id="CAM-16"]');
  await page.locator('[data-testid=large-tile] [data-camera-id="CAM-16"][data-state=live][data-form=motion_jpeg]').waitFor(PATIENCE);
  const painted = async () => Number(await large.getAttribute('data-painted'));
  await page.waitForTimeout(2_000);
  const before = await painted();
  seen.motion = await measured(page);
  seen.motion.painted_per_s = Math.round((((await painted()) - before) * 1_000) / MEASURE_MS);
  expect(seen.motion.painted_per_s >= 5, 'moving pictures of H.265');
  await picture(page, join(shots, 'wall-16-h265.png'));
  await page.keyboard.press('Escape');
  await page.locator('[data-testid=large-tile]').waitFor({ state: 'detached', timeout: 10_000 });
  await page.locator(`${tile('CAM-16')}[data-form=stills]`).waitFor(PATIENCE);
}

/** A page that nobody can see asks for nothing. */
async function hidden(page) {
  const viewers = async () => Number(/^vong_hub_video_viewers (\d+)/m.exec(await (await fetch(`${base}/metrics`)).text())?.[1]);
  const become = (state) =>
    page.evaluate((state) => {
      Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  seen.viewers = { shown: await viewers() };
  await become('hidden');
  await page.waitForTimeout(2_000);
  seen.viewers.hidden = await viewers();
  await become('visible');
  await page.waitForTimeout(2_000);
  seen.viewers.back = await viewers();
  seen.again_ms = await starts(page);
  expect(seen.viewers.shown === 16 && seen.viewers.hidden === 0 && seen.viewers.back === 16, 'a hidden page to watch nothing');
}

async function fallback(browser) {
  const page = await open(browser, `${base}/wall/16?part=1&measure&video=fragments`);
  await playing(page, 14, 'fragments');
  seen.fragments = await measured(page);
  seen.fragments.starts_ms = await starts(page);
  await page.close();
}

/** The same server behind a name that is no secure context, as on a network without certificates. */
async function insecure(browser) {
  const { host } = new URL(base);
  const own = (headers) => ({ ...headers, host, ...(headers.origin ? { origin: base } : {}) });
  const proxy = http.createServer((request, response) => {
    const asked = http.request(base + request.url, { method: request.method, headers: own(request.headers) }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(asked);
  });
  proxy.on('upgrade', (request, socket) => {
    const asked = http.request(base + request.url, { headers: own(request.headers) });
    asked.on('upgrade', (answer, server) => {
      const lines = answer.rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${answer.rawHeaders[i + 1]}`] : []));
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
      server.pipe(socket).pipe(server);
      for (const end of [server, socket]) end.on('error', () => (server.destroy(), socket.destroy()));
    });
    asked.end();
  });
  await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening));
  const page = await open(browser, `http://wall.test:${proxy.address().port}/wall/4?part=1`);
  expect(!(await page.evaluate(() => globalThis.isSecureContext)), 'an origin without a secure context');
  await playing(page, 4, 'fragments');
  seen.insecure = await page.locator('[data-testid=camera-tile][data-state=live]').count();
  await page.close();
  proxy.closeAllConnections();
  proxy.close();
}

async function lost(page) {
  seen.colour = { live: await colour(page, 'CAM-02') };
  process.kill(Number(city), 'SIGTERM');
  await page.locator(`${tile('CAM-02')}[data-state=lost]`).waitFor(PATIENCE);
  for (let looks = 0; looks < 20; looks += 1) {
    await page.waitForTimeout(500);
    seen.colour.lost = await colour(page, 'CAM-02');
    if (seen.colour.lost < 12) break;
  }
  expect(seen.colour.live > 40 && seen.colour.lost < 12, 'a lost picture to lose its colours');
  await picture(page, join(shots, 'wall-16-lost.png'));
}

const browser = await launch(['--disable-gpu', '--autoplay-policy=no-user-gesture-required', '--host-resolver-rules=MAP wall.test 127.0.0.1']);

/** Everything about a wall of sixteen. */
async function wholeStory(browser) {
  const page = await sixteen(browser);
  await codecs(page);
  await enlarge(page);
  await moving(page);
  await hidden(page);
  await page.bringToFront();
  await fallback(browser);
  await insecure(browser);
  await page.bringToFront();
  await playing(page, 14, 'frames');
  await lost(page);
  expect(seen.frames.since_received.p50 < seen.fragments.since_received.p50, 'decoded frames to be on the screen sooner than fragments');
}

await tell(browser, seen, async () => {
  await (tiles === '64' ? sixtyFour(browser) : wholeStory(browser));
  expect(seen.strangers.length === 0, 'no request to another origin');
  expect(seen.errors.length === 0, 'no error in a page');
});
