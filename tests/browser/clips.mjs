// Steps Debian's Chromium through clips, frame by frame: each must be presented at its own time.
// usage: node clips.mjs LIST, a JSON array of {file, codec, times (s), seconds}
// Prints one line of what was seen; any expectation that fails ends with a reason and status 1.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import { launch } from './chromium.mjs';

const clips = JSON.parse(readFileSync(process.argv[2], 'utf8'));

/** The clips under their numbers, and an empty page. */
const server = createServer((request, response) => {
  const clip = clips[Number(request.url.slice(1))];
  response.setHeader('content-type', clip ? 'video/mp4' : 'text/html');
  response.end(clip ? readFileSync(clip.file) : '<!doctype html><title>clips</title>');
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));

/**
 * In the page: duration, and the time of the frame presented at the middle of each. A seek that
 * ends on the frame that is presented already presents none anew.
 */
async function step({ url, times, seconds }) {
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
    presented.push(mediaTime);
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
    .evaluate(`(${told})(${JSON.stringify({ url: `/${n}`, times: clip.times, seconds: clip.seconds })})`)
    .catch((error) => ({ error: String(error) }));
  if (clip.codec === 'hevc' && seen.error) {
    refused += 1;
    continue;
  }
  if (seen.error) throw new Error(`${clip.file}: ${seen.error}`);
  if (Math.abs(seen.duration - clip.seconds) > 0.002) throw new Error(`${clip.file}: ${seen.duration} s, not ${clip.seconds}`);
  seen.presented.forEach((time, frame) => {
    if (Math.abs(time - clip.times[frame]) > 0.002) throw new Error(`${clip.file}: frame ${frame} at ${time} s, not ${clip.times[frame]}`);
  });
  frames += seen.presented.length;
}
await browser.close();
server.close();
console.log(`Chromium: ${clips.length - refused} clips stepped through, ${frames} frames each at its time; ${refused} of H.265 refused by this browser`);
