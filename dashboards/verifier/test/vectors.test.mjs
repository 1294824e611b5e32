// The page's rules find in every vector what the command line found: the same codes at the same places.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fromArchive, ofBytes, verify, whole } from '../dist/rules.mjs';

const here = (name) => new URL(name, import.meta.url);
const { fingerprint, vectors } = JSON.parse(readFileSync(here('vectors.json'), 'utf8'));
const archive = new Uint8Array(readFileSync(here('base.zip')));

async function edited(edits) {
  const base = await fromArchive(ofBytes(archive));
  const files = new Map();
  for (const [name, part] of base.files) files.set(name, new Uint8Array(await whole(part)));
  for (const edit of edits) {
    if ('flip' in edit) files.get(edit.flip)[edit.at] ^= 1;
    else if ('remove' in edit) files.delete(edit.remove);
    else if ('put' in edit) files.set(edit.put, new Uint8Array(Buffer.from(edit.hex, 'hex')));
    else {
      const [one, other] = edit.swap.map((name) => files.get(name));
      files.set(edit.swap[0], other).set(edit.swap[1], one);
    }
  }
  return { files: new Map([...files].map(([name, bytes]) => [name, ofBytes(bytes)])), asPacked: true };
}

for (const vector of vectors) {
  test(vector.name, async () => {
    const report = await verify(await edited(vector.edits), null);
    assert.deepEqual(report.findings, vector.findings);
    assert.equal(report.framesVerified, vector.frames_verified);
  });
}

test('the archive as it was made is intact, and says whose it is', async () => {
  const report = await verify(await fromArchive(ofBytes(archive)), fingerprint);
  assert.equal(report.signedBy, fingerprint);
  assert.equal(report.keyConfirmed, true);
  assert.deepEqual(report.findings, vectors[0].findings);
  const other = await verify(await fromArchive(ofBytes(archive)), '0'.repeat(64));
  assert.deepEqual(other.findings[0], { code: 'key_unexpected', detail: fingerprint });
});

test('packages of the first version stay intact', async () => {
  const first = new Uint8Array(readFileSync(here('base-v1.zip')));
  const report = await verify(await fromArchive(ofBytes(first)), null);
  assert.deepEqual(report.findings.map(({ code }) => code), ['packet_loss', 'not_sealed', 'gap', 'not_sealed']);
  assert.equal(report.framesVerified, 65);
});

test('any single flipped bit of the archive is named', async () => {
  let state = 7; // a fixed walk over the archive: failures can be repeated
  for (let n = 0; n < 300; n += 1) {
    state = (state * 48_271) % 2_147_483_647;
    const [place, bit] = [Math.floor(state / 8) % archive.length, state % 8];
    const flipped = archive.slice();
    flipped[place] ^= 1 << bit;
    const named = await fromArchive(ofBytes(flipped))
      .then((pack) => verify(pack, null))
      .then((report) => JSON.stringify(report.findings) !== JSON.stringify(vectors[0].findings), () => true);
    assert.ok(named, `bit ${bit} of byte ${place}`);
  }
});
