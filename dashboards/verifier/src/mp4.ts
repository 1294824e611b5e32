// The sample tables of an MP4 that may have been changed by anybody (ISO/IEC 14496-12, 8.5 to 8.7).
import { Reader, type Bytes } from './bytes';
import type { Part } from './package';

export interface Sample {
  offset: number;
  size: number;
  duration: number;
}

export interface Movie {
  descriptions: Bytes[];
  samples: Sample[];
  timescale: number;
  movieTimescale: number;
  edit: { start: number; length: number } | null;
}

const MOST_FRAMES = 2_000_000;
const TABLES_LIMIT = 256 * 2 ** 20;

/** `null` where there are no tables that can be read. */
export async function readMovie(file: Part): Promise<Movie | null> {
  try {
    let at = 0;
    while (at < file.size) {
      const head = new Reader(await file.read(at, Math.min(16, file.size - at)));
      const [short, name] = [head.u32(), head.name()];
      const [size, header] = short === 0 ? [file.size - at, 8] : short === 1 ? [head.u64(), 16] : [short, 8];
      if (size < header || at + size > file.size) return null;
      if (name === 'moov') return size <= TABLES_LIMIT ? movie(await file.read(at + header, size - header)) : null;
      at += size;
    }
  } catch {
    return null; // whatever is wrong with it, it cannot be read
  }
  return null;
}

function* boxes(body: Bytes): Generator<[string, Bytes]> {
  const reader = new Reader(body);
  while (reader.left >= 8) {
    const [size, name] = [reader.u32(), reader.name()];
    if (size < 8 || size - 8 > reader.left) return;
    yield [name, reader.bytes(size - 8)];
  }
}

function find(body: Bytes, ...path: string[]): Bytes | null {
  let found: Bytes | null = body;
  for (const wanted of path) {
    if (!found) return null;
    let next: Bytes | null = null;
    for (const [name, inner] of boxes(found)) {
      if (name === wanted) {
        next = inner;
        break;
      }
    }
    found = next;
  }
  return found;
}

function need(body: Bytes, ...path: string[]): Bytes {
  const found = find(body, ...path);
  if (!found) throw new Error(`no ${path.join('/')}`);
  return found;
}

function movie(body: Bytes): Movie {
  let video: Bytes | null = null;
  for (const [name, trak] of boxes(body)) {
    const handler = name === 'trak' ? find(trak, 'mdia', 'hdlr') : null;
    if (handler && String.fromCharCode(...handler.subarray(8, 12)) === 'vide') {
      video = trak;
      break;
    }
  }
  if (!video) throw new Error('no video');
  const stbl = need(video, 'mdia', 'minf', 'stbl');
  const list = find(video, 'edts', 'elst');
  const sizes = readSizes(need(stbl, 'stsz'));
  const durations = readDurations(need(stbl, 'stts'), sizes.length);
  const offsets = readOffsets(need(stbl, 'stsc'), chunkOffsets(stbl), sizes);
  return {
    descriptions: descriptions(need(stbl, 'stsd')),
    samples: sizes.map((size, at) => ({ size, offset: offsets[at]!, duration: durations[at]! })),
    timescale: timescale(need(video, 'mdia', 'mdhd')),
    movieTimescale: timescale(need(body, 'mvhd')),
    edit: list ? edit(list) : null,
  };
}

function edit(body: Bytes): Movie['edit'] {
  const reader = new Reader(body);
  const wide = reader.u32() >>> 24 === 1;
  const count = reader.u32();
  let shown: Movie['edit'] = null;
  for (let n = 0; n < count; n += 1) {
    const length = wide ? reader.u64() : reader.u32();
    const [high, low] = wide ? [reader.u32(), reader.u32()] : [0, reader.u32()];
    reader.u32();
    const empty = low === 0xffff_ffff && (!wide || high === 0xffff_ffff);
    if (empty) continue;
    if (shown) throw new Error('more than one edit');
    shown = { start: high * 2 ** 32 + low, length };
  }
  return shown;
}

function timescale(header: Bytes): number {
  const reader = new Reader(header);
  const wide = reader.u32() >>> 24 === 1;
  reader.bytes(wide ? 16 : 8);
  const scale = reader.u32();
  if (scale === 0) throw new Error('no timescale');
  return scale;
}

function descriptions(stsd: Bytes): Bytes[] {
  const reader = new Reader(stsd);
  reader.u32();
  const count = reader.u32();
  const all: Bytes[] = [];
  for (let n = 0; n < count; n += 1) {
    const length = new Reader(reader.bytes(4)).u32();
    if (length < 8) throw new Error('torn description');
    const rest = reader.bytes(length - 4);
    const entry = new Uint8Array(length);
    new DataView(entry.buffer).setUint32(0, length);
    entry.set(rest, 4);
    all.push(entry);
  }
  return all;
}

function readSizes(stsz: Bytes): number[] {
  const reader = new Reader(stsz);
  reader.u32();
  const [all, count] = [reader.u32(), reader.u32()];
  if (count > MOST_FRAMES) throw new Error('too many frames');
  return Array.from({ length: count }, () => (all === 0 ? reader.u32() : all));
}

function readDurations(stts: Bytes, frames: number): number[] {
  const reader = new Reader(stts);
  reader.u32();
  const runs = reader.u32();
  const all: number[] = [];
  for (let n = 0; n < runs; n += 1) {
    const [count, duration] = [reader.u32(), reader.u32()];
    if (count > frames - all.length) throw new Error('more durations than frames');
    for (let k = 0; k < count; k += 1) all.push(duration);
  }
  if (all.length !== frames) throw new Error('fewer durations than frames');
  return all;
}

function chunkOffsets(stbl: Bytes): number[] {
  const narrow = find(stbl, 'stco');
  const reader = new Reader(narrow ?? need(stbl, 'co64'));
  reader.u32();
  const count = reader.u32();
  if (count > MOST_FRAMES) throw new Error('too many chunks');
  return Array.from({ length: count }, () => (narrow ? reader.u32() : reader.u64()));
}

function readOffsets(stsc: Bytes, chunks: number[], sizes: number[]): number[] {
  const reader = new Reader(stsc);
  reader.u32();
  const count = Math.min(reader.u32(), MOST_FRAMES);
  const runs: { first: number; perChunk: number }[] = [];
  for (let n = 0; n < count; n += 1) {
    const [first, perChunk] = [reader.u32() - 1, reader.u32()];
    reader.u32();
    if (first < 0) throw new Error('chunk 0');
    runs.push({ first, perChunk });
  }
  const offsets: number[] = [];
  let run = 0;
  for (const [chunk, start] of chunks.entries()) {
    while (runs[run + 1] && runs[run + 1]!.first <= chunk) run += 1;
    const here = runs[run];
    if (!here || here.first > chunk) throw new Error('chunk without run');
    let at = start;
    for (let n = 0; n < here.perChunk; n += 1) {
      const size = sizes[offsets.length];
      if (size === undefined) throw new Error('more places than frames');
      offsets.push(at);
      at += size;
    }
  }
  if (offsets.length !== sizes.length) throw new Error('fewer places than frames');
  return offsets;
}
