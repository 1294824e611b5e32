// Verifies a package with nothing but the package: the same rules, in the same order, as
// crates/vong-evidence/src/verify.rs; test/vectors.json holds the two together.
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { hash, hex, same, text, unhex, utf8, Writer, type Bytes } from './bytes';
import { verifyClip } from './clip';
import type { CameraPart, Group, Manifest, Span } from './manifest';
import { isManifest } from './manifest';
import { whole, type Package, type Part } from './package';

export interface Finding {
  code: string;
  file?: string;
  camera?: string;
  group?: number;
  frame?: number;
  line?: number;
  checkpoint?: number;
  count?: number;
  at_us?: number;
  until_us?: number;
  detail?: string;
}

export interface Report {
  findings: Finding[];
  /** Fingerprint of the key whose genuine signature the package carries. */
  signedBy: string | null;
  keyConfirmed: boolean;
  framesVerified: number;
  manifest: Manifest | null;
}

export interface Check {
  pack: Package;
  findings: Finding[];
  framesVerified: number;
  progress: (done: number, total: number) => void;
}

const MANIFEST = 'manifest.json';
const SEAL = 'manifest.sig';
const CUSTODY = 'custody.jsonl';
const TEXT_LIMIT = 256 * 2 ** 20;
const GAP_TOLERANCE_US = 100_000;
const TICKS_PER_SECOND = 90_000;
const PIECE = 2 ** 22;

export async function verify(pack: Package, expected: string | null, progress: Check['progress'] = () => {}): Promise<Report> {
  const check: Check = { pack, findings: [], framesVerified: 0, progress };
  const found = (finding: Finding) => check.findings.push(finding);
  if (!pack.asPacked) found({ code: 'archive_rewritten' });
  const seal = await readSeal(check);
  const signedBy = seal ? hex(hash(seal.key)) : null;
  if (expected && signedBy && expected !== signedBy) found({ code: 'key_unexpected', detail: signedBy });
  const manifest = await readManifest(check, seal);
  if (manifest) {
    const changed = await verifyFiles(check, manifest);
    await verifyCustody(check, seal);
    const checkpoints = readCheckpoints(check, manifest);
    for (const camera of manifest.cameras) {
      verifyFacts(check, manifest, camera, checkpoints);
      await verifyClip(check, manifest, camera, changed.has(camera.clip.path));
      notes(check, camera, checkpoints);
    }
  } else {
    await verifyCustody(check, seal);
  }
  const { findings, framesVerified } = check;
  return { findings, signedBy, keyConfirmed: !!expected && expected === signedBy, framesVerified, manifest };
}

/** A signed text taken apart; `null` unless it is spelt as we spell it. */
function signed(rendered: string): { text: string; key: Bytes; signature: Bytes } | null {
  const match = /^([^]*\n)signed ([0-9a-f]{64}) ([0-9a-f]{128})\n$/.exec(rendered);
  const [body, key, signature] = [match?.[1], unhex(match?.[2], 32), unhex(match?.[3], 64)];
  return body !== undefined && key && signature ? { text: body, key, signature } : null;
}

function isGenuine({ text, key, signature }: { text: string; key: Bytes; signature: Bytes }): boolean {
  try {
    return ed25519.verify(signature, utf8(text), key, { zip215: false });
  } catch {
    return false; // not a point of the curve
  }
}

type Seal = { manifest: Bytes; custody: Bytes; key: Bytes } | null;

async function readText(part: Part | undefined): Promise<Bytes | null> {
  return part && part.size <= TEXT_LIMIT ? whole(part) : null;
}

async function readSeal(check: Check): Promise<Seal> {
  const bytes = await readText(check.pack.files.get(SEAL));
  if (!bytes) {
    check.findings.push({ code: 'file_missing', file: SEAL });
    return null;
  }
  const read = signed(text(bytes) ?? '');
  const match = /^vong package 1\nmanifest ([0-9a-f]{64})\ncustody ([0-9a-f]{64})\n$/.exec(read?.text ?? '');
  const [manifest, custody] = [unhex(match?.[1], 32), unhex(match?.[2], 32)];
  if (!read || !manifest || !custody) {
    check.findings.push({ code: 'signature_unreadable', file: SEAL });
    return null;
  }
  if (!isGenuine(read)) {
    check.findings.push({ code: 'signature_wrong', file: SEAL });
    return null;
  }
  return { manifest, custody, key: read.key };
}

async function readManifest(check: Check, seal: Seal): Promise<Manifest | null> {
  const bytes = await readText(check.pack.files.get(MANIFEST));
  const found = (code: string) => check.findings.push({ code, file: MANIFEST });
  if (!bytes) {
    found('file_missing');
    return null;
  }
  if (seal && !same(seal.manifest, hash(bytes))) found('manifest_edited');
  let read: unknown = null;
  try {
    read = JSON.parse(text(bytes) ?? '');
  } catch {
    // told below
  }
  if (!isManifest(read)) {
    found('manifest_unreadable');
    return null;
  }
  const key = unhex(read.key.public_key, 32)!;
  if (read.key.fingerprint !== hex(hash(key)) || (seal && !same(seal.key, key))) found('key_contradicts');
  return read;
}

export async function hashFile(part: Part, progress: (done: number) => void): Promise<string> {
  const hasher = sha256.create();
  for (let at = 0; at < part.size; at += PIECE) {
    const piece = await part.read(at, Math.min(PIECE, part.size - at));
    if (piece.length === 0) break;
    hasher.update(piece);
    progress(Math.min(at + PIECE, part.size));
    await new Promise((resolve) => setTimeout(resolve)); // the page stays alive
  }
  return hex(hasher.digest());
}

/** Gives the files that are there but not as they were. */
async function verifyFiles(check: Check, manifest: Manifest): Promise<Set<string>> {
  const changed = new Set<string>();
  const known = new Set([MANIFEST, SEAL, CUSTODY]);
  const total = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  let before = 0;
  for (const file of manifest.files) {
    known.add(file.path);
    const part = check.pack.files.get(file.path);
    if (!part) {
      check.findings.push({ code: 'file_missing', file: file.path });
    } else if (part.size !== file.bytes || (await hashFile(part, (done) => check.progress(before + done, total))) !== file.sha256) {
      check.findings.push({ code: 'file_changed', file: file.path });
      changed.add(file.path);
    }
    before += file.bytes;
  }
  const byName = (a: string, b: string) => (a < b ? -1 : 1);
  for (const name of [...check.pack.files.keys()].sort(byName)) {
    if (!known.has(name)) check.findings.push({ code: 'file_added', file: name });
  }
  return changed;
}

async function verifyCustody(check: Check, seal: Seal): Promise<void> {
  const bytes = await readText(check.pack.files.get(CUSTODY));
  if (!bytes) {
    check.findings.push({ code: 'file_missing', file: CUSTODY });
    return;
  }
  const wrong = wrongLine(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), seal);
  if (wrong) check.findings.push({ code: 'custody_edited', file: CUSTODY, line: wrong });
}

/** The first line, from 1, that is not what was written; 0 if there is none. */
function wrongLine(custody: string, seal: Seal): number {
  const lines = custody.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  if (lines.length === 0) return 1;
  let previous: Bytes = new Uint8Array(32);
  let first: Bytes | null = null;
  for (const [at, line] of lines.entries()) {
    const match = /^\{"hash":"([0-9a-f]{64})","entry":([^]*)\}\n$/.exec(line);
    const [own, json] = [unhex(match?.[1], 32), match?.[2]];
    if (!own || json === undefined || !same(own, hash(utf8('vong-custody-v1\0'), previous, utf8(json)))) return at + 1;
    first ??= own;
    previous = own;
  }
  return seal && first && !same(seal.custody, first) ? 1 : 0;
}

interface Checkpoint {
  /** Start of its hour, µs. */
  hour: number;
  groups: number;
  root: Bytes;
}

function readCheckpoints(check: Check, manifest: Manifest): Map<number, Checkpoint> {
  const shape =
    /^vong checkpoint 1\nnumber (\d+)\nhour_us (-?\d+)\nsealed_us (-?\d+)\ncameras (\d+)\ngroups (\d+)\nlate (\d+)\nroot ([0-9a-f]{64})\nprevious ([0-9a-f]{64})\n$/;
  const known = new Map<number, Checkpoint>();
  for (const [at, rendered] of manifest.checkpoints.entries()) {
    const read = signed(rendered);
    const match = shape.exec(read?.text ?? '');
    const root = unhex(match?.[7], 32);
    const numbers = match?.slice(1, 7).map(Number) ?? [];
    const canonical = match?.slice(1, 7).every((digits, n) => String(numbers[n]) === digits);
    const [number, hour, groups] = [numbers[0], numbers[1], numbers[4]];
    if (!read || !root || !canonical || number === undefined || hour === undefined || groups === undefined) {
      check.findings.push({ code: 'checkpoint_unreadable', line: at + 1 });
    } else if (hex(read.key) === manifest.key.public_key && isGenuine(read)) {
      known.set(number, { hour, groups, root });
    } else {
      check.findings.push({ code: 'checkpoint_wrong', checkpoint: number });
    }
  }
  return known;
}

const HOUR_US = 3_600_000_000;

/** The number of the checkpoint of the group's own hour. */
function ofHour(group: Group, checkpoints: Map<number, Checkpoint>): number | undefined {
  const hour = Math.floor(group.start_us / HOUR_US) * HOUR_US;
  const numbers = [...checkpoints].filter(([, checkpoint]) => checkpoint.hour === hour).map(([number]) => number);
  return numbers.length > 0 ? Math.min(...numbers) : undefined;
}

/** Why the group has no seal, whatever is said of it: where the package holds the checkpoint of its hour, that hour was sealed. */
function unsealed(group: Group, checkpoints: Map<number, Checkpoint>): Group['unsealed'] {
  if (group.seal) return null;
  if (group.unsealed === 'leaves_gone' || group.unsealed === 'not_under_its_seal') return group.unsealed;
  return ofHour(group, checkpoints) === undefined ? 'not_yet' : 'not_under_its_seal';
}

function isLate(group: Group, checkpoints: Map<number, Checkpoint>): boolean {
  const under = group.seal ? checkpoints.get(group.seal.checkpoint) : undefined;
  return under !== undefined && under.hour > group.start_us;
}

function verifyFacts(check: Check, manifest: Manifest, camera: CameraPart, checkpoints: Map<number, Checkpoint>): void {
  const id = camera.camera_id;
  let before: Group | null = null;
  for (const [at, group] of camera.groups.entries()) {
    const here = (code: string): Finding => ({ code, camera: id, group: at + 1, at_us: group.start_us });
    if (!isOwnHash(camera, group)) check.findings.push(here('group_facts_changed'));
    if (group.linked !== (before !== null && before.chained === group.previous)) check.findings.push(here('chain_broken'));
    if (group.seal && !isProven(group, checkpoints)) {
      check.findings.push({ ...here('proof_wrong'), checkpoint: group.seal.checkpoint });
    }
    if (unsealed(group, checkpoints) === 'not_under_its_seal') {
      const checkpoint = ofHour(group, checkpoints);
      check.findings.push(checkpoint === undefined ? here('not_under_its_seal') : { ...here('not_under_its_seal'), checkpoint });
    }
    before = group;
  }
  const declared = JSON.stringify(camera.gaps.map(({ from_us, to_us }) => [from_us, to_us]));
  if (JSON.stringify(gaps(camera.groups, manifest.asked, manifest.version)) !== declared) check.findings.push({ code: 'gaps_wrong', camera: id });
  if (camera.groups.reduce((sum, group) => sum + group.lost_packets, 0) !== camera.lost_packets) {
    check.findings.push({ code: 'loss_wrong', camera: id });
  }
}

const NO_TIME = -(2n ** 63n);

function isOwnHash(camera: CameraPart, group: Group): boolean {
  const entry = unhex(camera.clip.descriptions[group.description]);
  if (!entry) return false;
  const id = utf8(camera.camera_id);
  const writer = new Writer()
    .bytes(utf8('vong-gop-v1\0'))
    .bytes(unhex(group.previous, 32)!)
    .u16(Math.min(id.length, 0xffff))
    .bytes(id)
    .bytes(hash(entry))
    .i64(BigInt(group.start_us))
    .i64(group.camera_us === null ? NO_TIME : BigInt(group.camera_us))
    .u32(group.lost_packets)
    .u8(group.key ? 1 : 0)
    .u32(group.frames.length);
  for (const [duration, size] of group.frames) writer.u32(duration).u32(size);
  return hex(writer.bytes(unhex(group.payload, 32)!).hash()) === group.chained;
}

const leaf = (data: Bytes) => hash(Uint8Array.of(0), data);
const node = (left: Bytes, right: Bytes) => hash(Uint8Array.of(1), left, right);

/** RFC 9162, 2.1.3.2. */
function isProven(group: Group, checkpoints: Map<number, Checkpoint>): boolean {
  const seal = group.seal!;
  const checkpoint = checkpoints.get(seal.checkpoint);
  if (!checkpoint || seal.index >= checkpoint.groups) return false;
  let [place, last] = [seal.index, checkpoint.groups - 1];
  let root = leaf(unhex(group.chained, 32)!);
  for (const digits of seal.path) {
    const sibling = unhex(digits, 32);
    if (!sibling || last === 0) return false;
    if (place % 2 === 1 || place === last) {
      root = node(sibling, root);
      while (place % 2 === 0 && place !== 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      root = node(root, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 && same(root, checkpoint.root);
}

/** The instant `ticks` of 1/90000 s after `start`, to the nearest microsecond. */
export const wallAfter = (start: number, ticks: number): number => start + Math.floor((ticks * 100 + 4) / 9);

/**
 * When a group was recorded: in one piece, unless a frame lasts over a second and over twice the (lower) median. Such a frame
 * was there for as long as the median; the rest is a hole. In the first version a group had none.
 */
function covered({ start_us, frames }: Group, version: number): [number, number][] {
  const durations = frames.map(([duration]) => duration);
  const median = [...durations].sort((a, b) => a - b)[Math.floor((durations.length - 1) / 2)];
  const long = version === 1 ? Infinity : Math.max(TICKS_PER_SECOND, 2 * (median ?? 0));
  const spans: [number, number][] = [];
  let [from, at] = [0, 0];
  for (const duration of durations) {
    const end = at + duration;
    if (duration > long) {
      spans.push([from, at + median!]);
      from = end;
    }
    at = end;
  }
  if (from < at || version === 1) spans.push([from, at]);
  return spans.map(([begin, end]) => [wallAfter(start_us, begin), wallAfter(start_us, end)]);
}

function gaps(groups: Group[], asked: Span, version: number): [number, number][] {
  const found: [number, number][] = [];
  let until = asked.from_us;
  const note = (start: number) => {
    if (start - until > GAP_TOLERANCE_US) found.push([until, start]);
  };
  for (const group of groups) {
    for (const [start, end] of covered(group, version)) {
      note(Math.min(start, asked.to_us));
      until = Math.max(until, end);
    }
  }
  note(asked.to_us);
  return found;
}

/** What nobody changed, and whoever relies on it should know. */
function notes(check: Check, camera: CameraPart, checkpoints: Map<number, Checkpoint>): void {
  const id = camera.camera_id;
  for (const { from_us, to_us } of camera.gaps) check.findings.push({ code: 'gap', camera: id, at_us: from_us, until_us: to_us });
  for (const { from_us, to_us } of camera.unreadable ?? []) {
    check.findings.push({ code: 'unreadable', camera: id, at_us: from_us, until_us: to_us });
  }
  const count = (code: string, count: number) => {
    if (count > 0) check.findings.push({ code, camera: id, count });
  };
  const of = (which: (group: Group) => boolean) => camera.groups.filter(which).length;
  count('packet_loss', camera.lost_packets);
  const lacks = (why: Group['unsealed']) => of((group) => unsealed(group, checkpoints) === why);
  count('not_sealed', lacks('not_yet'));
  count('seal_gone', lacks('leaves_gone'));
  count('sealed_late', of((group) => isLate(group, checkpoints)));
  count('not_linked', of((group) => !group.linked) - 1);
  count('damaged_before', of((group) => group.damaged));
  count('camera_signed', camera.camera_signatures.groups);
}
