// A clip's frames, one by one, against the hashes taken when they were received.
import { hash, hex, type Bytes } from './bytes';
import type { CameraPart, Manifest } from './manifest';
import { readMovie, type Movie, type Sample } from './mp4';
import type { Part } from './package';
import { wallAfter, type Check, type Finding } from './verify';

const NAMED = 10;
const TIMING_TOLERANCE = 90;
const WINDOW = 4 * 2 ** 20;

interface Expected {
  group: number;
  frame: number;
  at_us: number;
  media: number;
  hash: string;
}

export async function verifyClip(check: Check, manifest: Manifest, camera: CameraPart, changed: boolean): Promise<void> {
  const [id, path] = [camera.camera_id, camera.clip.path];
  const file = check.pack.files.get(path);
  if (!file) return; // told already
  const inClip = (code: string): Finding => ({ code, file: path, camera: id });
  const movie = await readMovie(file);
  const frames = new Frames(file);
  const found = movie && (await frames.hashes(movie.samples));
  if (!movie || !found) {
    check.findings.push(inClip('clip_unreadable'));
    return;
  }
  const wanted = expectedFrames(camera);
  const known = new Set(wanted.map((frame) => frame.hash));
  if (found.length === wanted.length && found.every((hash, at) => hash === wanted[at]!.hash)) {
    check.framesVerified += wanted.length;
    await payloads(check, camera, movie, frames);
    timing(check, camera, movie, wanted);
    if (changed) check.findings.push(inClip('container_rewritten'));
  } else if (!found.some((hash) => known.has(hash))) {
    const other = otherCamera(manifest, id, found);
    check.findings.push(other === null ? inClip('reencoded') : { ...inClip('clip_of_other_camera'), detail: other });
    return;
  } else {
    differences(check, id, wanted, found);
  }
  const entries = JSON.stringify(movie.descriptions.map(hex));
  if (entries !== JSON.stringify(camera.clip.descriptions)) check.findings.push(inClip('decoder_changed'));
}

/** The hashes of whole groups: what the chain was made of. */
async function payloads(check: Check, camera: CameraPart, movie: Movie, frames: Frames): Promise<void> {
  let next = 0;
  for (const [at, group] of camera.groups.entries()) {
    const parts: Bytes[] = [];
    for (const sample of movie.samples.slice(next, next + group.frames.length)) parts.push((await frames.bytes(sample))!.slice());
    next += group.frames.length;
    if ((hex(hash(...parts)) === group.payload) === group.damaged) {
      check.findings.push({ code: 'group_payload_wrong', camera: camera.camera_id, group: at + 1, at_us: group.start_us });
    }
  }
}

/** Whether a second of playing is still a second of the day. */
function timing(check: Check, camera: CameraPart, movie: Movie, wanted: Expected[]): void {
  const in90k = (ticks: number, scale: number) => Number((BigInt(ticks) * 90_000n) / BigInt(scale));
  const differ = (a: number, b: number) => Math.abs(a - b) > TIMING_TOLERANCE;
  let media = 0;
  let wrong: Expected | null = null;
  for (const [at, frame] of wanted.entries()) {
    if (differ(in90k(media, movie.timescale), frame.media)) wrong ??= frame;
    media += movie.samples[at]!.duration;
  }
  if (wrong) {
    const { group, frame, at_us } = wrong;
    check.findings.push({ code: 'timing_changed', camera: camera.camera_id, group, frame, at_us });
  }
  const [start, length] = movie.edit
    ? [in90k(movie.edit.start, movie.timescale), in90k(movie.edit.length, movie.movieTimescale)]
    : [0, in90k(media, movie.timescale)];
  if (differ(start, camera.clip.edit_start_90k) || differ(length, camera.clip.duration_90k)) {
    check.findings.push({ code: 'shown_range_changed', camera: camera.camera_id });
  }
}

/** Names the frames that differ; goes through both rows once. */
function differences(check: Check, camera: string, wanted: Expected[], found: string[]): void {
  const lastFound = new Map(found.map((hash, at) => [hash, at]));
  const lastWanted = new Map(wanted.map((frame, at) => [frame.hash, at]));
  const comes = (last: Map<string, number>, hash: string, from: number) => (last.get(hash) ?? -1) >= from;
  let [told, more] = [0, 0];
  const tell = (finding: Finding) => {
    if (told < NAMED) {
      check.findings.push(finding);
      told += 1;
    } else {
      more += 1;
    }
  };
  let [at, place] = [0, 0];
  while (at < wanted.length) {
    const { group, frame, at_us, hash: own } = wanted[at]!;
    const here = (code: string): Finding => ({ code, camera, group, frame, at_us });
    const hash = found[place];
    if (hash === undefined) {
      tell(here('frame_removed'));
      at += 1;
    } else if (hash === own) {
      check.framesVerified += 1;
      [at, place] = [at + 1, place + 1];
    } else if (comes(lastFound, own, place)) {
      tell(here('frame_added'));
      place += 1;
    } else if (comes(lastWanted, hash, at)) {
      tell(here('frame_removed'));
      at += 1;
    } else {
      tell(here('frame_changed'));
      [at, place] = [at + 1, place + 1];
    }
  }
  for (; place < found.length; place += 1) tell({ code: 'frame_added', camera });
  if (more > 0) check.findings.push({ code: 'more_frames', camera, count: more });
}

function expectedFrames(camera: CameraPart): Expected[] {
  const all: Expected[] = [];
  for (const [at, group] of camera.groups.entries()) {
    let ticks = 0;
    for (const [n, [duration, , hash]] of group.frames.entries()) {
      all.push({ group: at + 1, frame: n + 1, at_us: wallAfter(group.start_us, ticks), media: group.media_90k + ticks, hash });
      ticks += duration;
    }
  }
  return all;
}

function otherCamera(manifest: Manifest, id: string, found: string[]): string | null {
  const others = manifest.cameras.filter((camera) => camera.camera_id !== id);
  const holder = others.find((camera) => camera.groups.some((group) => group.frames.some(([, , hash]) => hash === found[0])));
  return holder?.camera_id ?? null;
}

/** Reads frames through a window: they lie close together, and there are many. */
class Frames {
  private start = 0;
  private window: Bytes = new Uint8Array();

  constructor(private readonly file: Part) {}

  async hashes(samples: Sample[]): Promise<string[] | null> {
    const all: string[] = [];
    for (const sample of samples) {
      const bytes = await this.bytes(sample);
      if (!bytes) return null;
      all.push(hex(hash(bytes).subarray(0, 8)));
    }
    return all;
  }

  async bytes({ offset, size }: Sample): Promise<Bytes | null> {
    if (offset + size > this.file.size) return null;
    if (offset < this.start || offset + size > this.start + this.window.length) {
      this.window = await this.file.read(offset, Math.min(Math.max(WINDOW, size), this.file.size - offset));
      this.start = offset;
    }
    const from = offset - this.start;
    return this.window.subarray(from, from + size);
  }
}
