// Steps Debian's Chromium through clips, frame by frame: each must be presented, itself, at its own time.
// usage: node clips.mjs LIST, a JSON array of {file, pictures, codec, times (s), seconds}; `pictures` is a file of what
// another decoder made of the frames: grey, 160 x 90, one behind the other
// Prints one line of what was seen; any expectation that fails ends with a reason and status 1.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import { launch } from './chromium.mjs';

const clips = JSON.parse(readFileSync(process.argv[2], 'utf8'));

/** The clips under their numbers, and an empty page. */
const server = createServer((request, response) => {
  const [, what, n] = request.url.split('/');
  const file = clips[Number(n)]?.[what];
  response.setHeader('content-type', file ? 'video/mp4' : 'text/html');
  response.end(file ? readFileSync(file) : '<!doctype html><title>clips</title>');
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));

/**
 * In the page: duration, and of the frame presented at the middle of each its time and which of the other decoder's
 * pictures it is most like. A seek that ends on the frame that is presented already presents none anew.
 */
async function step({ url, picturesUrl, times, seconds }) {
  const [WIDTH, HEIGHT] = [160, 90];
  const pictures = new Uint8Array(await (await fetch(picturesUrl)).arrayBuffer());
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT).getContext('2d', { willReadFrequently: true });
  /** As a direction, so that neither brightness nor contrast counts. */
  const direction = (grey) => {
    const mean = grey.reduce((sum, dot) => sum + dot, 0) / grey.length;
    const off = Float64Array.from(grey, (dot) => dot - mean);
    const length = Math.hypot(...off) || 1;
    return off.map((dot) => dot / length);
  };
  const directions = Array.from({ length: pictures.length / (WIDTH * HEIGHT) }, (_, n) => direction(pictures.subarray(n * WIDTH * HEIGHT, (n + 1) * WIDTH * HEIGHT)));
  const mostLike = (video) => {
    canvas.drawImage(video, 0, 0, WIDTH, HEIGHT);
    const { data } = canvas.getImageData(0, 0, WIDTH, HEIGHT);
    const shown = direction(Float64Array.from({ length: WIDTH * HEIGHT }, (_, dot) => 0.299 * data[4 * dot] + 0.587 * data[4 * dot + 1] + 0.114 * data[4 * dot + 2]));
    const likeness = directions.map((one) => one.reduce((sum, dot, n) => sum + dot * shown[n], 0));
    const most = Math.max(...likeness);
    return { picture: likeness.indexOf(most), likeness: most };
  };
  const video = document.createElement('video');
  video.muted = true;
  let mediaTime = null;
  const watch = () =>
    video.requestVideoFrameCallback((_now, frame) => {
      mediaTime = frame.mediaTime;
      watch();
    });
  watch();
  const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const until = (event) =>
    new Promise((done, failed) => {
      video.addEventListener(event, done, { once: true });
      video.onerror = () => failed(new Error(video.error.message));
    });
  const loaded = until('loadeddata');
  video.src = URL.createObjectURL(await (await fetch(url)).blob()); // can be sought in without ranges
  document.body.replaceChildren(video);
  await loaded;
  const presented = [];
  for (let n = 0; n < times.length; n += 1) {
    const sought = until('seeked');
    video.currentTime = (times[n] + (times[n + 1] ?? seconds)) / 2;
    await sought;
    for (let patience = 0; patience < 20; patience += 1) {
      await painted();
      if (mediaTime !== null && Math.abs(mediaTime - times[n]) < 0.002) break;
    }
    presented.push({ time: mediaTime, ...mostLike(video) });
  }
  return { duration: video.duration, presented };
}

const browser = await launch();
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/page`);
let frames = 0;
let refused = 0;
for (const [n, clip] of clips.entries()) {
  const told = step.toString();
  const seen = await page
    .evaluate(`(${told})(${JSON.stringify({ url: `/file/${n}`, picturesUrl: `/pictures/${n}`, times: clip.times, seconds: clip.seconds })})`)
    .catch((error) => ({ error: String(error) }));
  if (clip.codec === 'hevc' && seen.error) {
    refused += 1;
    continue;
  }
  if (seen.error) throw new Error(`${clip.file}: ${seen.error}`);
  if (Math.abs(seen.duration - clip.seconds) > 0.002) throw new Error(`${clip.file}: ${seen.duration} s, not ${clip.seconds}`);
  seen.presented.forEach(({ time, picture, likeness }, frame) => {
    if (time === null || Math.abs(time - clip.times[frame]) > 0.002) throw new Error(`${clip.file}: frame ${frame} at ${time} s, not ${clip.times[frame]}`);
    if (picture !== frame || likeness < 0.95) throw new Error(`${clip.file}: frame ${frame} looks like ${picture} (${likeness})`);
  });
  frames += seen.presented.length;
}
await browser.close();
server.close();
console.log(`Chromium: ${clips.length - refused} clips stepped through, ${frames} frames each at its time and itself; ${refused} of H.265 refused by this browser`);
