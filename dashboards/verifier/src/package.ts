// A package as it lies there: chosen files, or an archive. Nothing is kept in memory but what is asked for.
import { same, utf8, type Bytes } from './bytes';

/** One file of a package. */
export interface Part {
  size: number;
  read(at: number, length: number): Promise<Bytes>;
}

export interface Package {
  /** By name; folders are parted by `/`. */
  files: Map<string, Part>;
  /** Whether an archive is byte for byte as it was made, its files aside. */
  asPacked: boolean;
}

export class NotAPackage extends Error {}

export function ofBlob(blob: Blob): Part {
  return { size: blob.size, read: async (at, length) => new Uint8Array(await blob.slice(at, at + length).arrayBuffer()) };
}

export function ofBytes(bytes: Bytes): Part {
  return { size: bytes.length, read: async (at, length) => bytes.subarray(at, at + length) };
}

export async function whole(part: Part): Promise<Bytes> {
  return part.read(0, part.size);
}

/** Files that a person chose: the folder they all lie in is not part of their names. */
export function fromFiles(chosen: { path: string; part: Part }[]): Package {
  const top = chosen[0]?.path.match(/^[^/]*\//)?.[0] ?? '';
  const root = chosen.every(({ path }) => path.startsWith(top)) ? top : '';
  const files = new Map<string, Part>();
  for (const { path, part } of chosen) files.set(path.startsWith(root) ? path.slice(root.length) : path, part);
  return { files, asPacked: true };
}

const WIDE = 0xffff_ffff;
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;

interface Entry {
  name: string;
  bytes: number;
  crc: number;
  offset: number;
}

/** Little-endian bytes, as ZIP wants them. */
function zip(...fields: (['u16' | 'u32' | 'u64', number] | Bytes)[]): Bytes {
  const out: number[] = [];
  for (const field of fields) {
    if (field instanceof Uint8Array) out.push(...field);
    else {
      let value = field[1];
      for (let n = { u16: 2, u32: 4, u64: 8 }[field[0]]; n > 0; n -= 1, value = Math.floor(value / 256)) out.push(value % 256);
    }
  }
  return Uint8Array.from(out);
}

function common(entry: Entry): (['u16' | 'u32', number] | Bytes)[] {
  const size = Math.min(entry.bytes, WIDE);
  return [['u16', 45], ['u16', 0x0800], ['u16', 0], ['u16', 0], ['u16', 0x21], ['u32', entry.crc], ['u32', size], ['u32', size]];
}

function localHeader(entry: Entry): Bytes {
  const [name, wide] = [utf8(entry.name), entry.bytes >= WIDE];
  const head = zip(['u32', LOCAL], ...common(entry), ['u16', name.length], ['u16', wide ? 20 : 0], name);
  return wide ? zip(head, ['u16', 1], ['u16', 16], ['u64', entry.bytes], ['u64', entry.bytes]) : head;
}

function centralHeader(entry: Entry): Bytes {
  const name = utf8(entry.name);
  const sizes = entry.bytes >= WIDE ? zip(['u64', entry.bytes], ['u64', entry.bytes]) : new Uint8Array();
  const extra = entry.offset >= WIDE ? zip(sizes, ['u64', entry.offset]) : sizes;
  const head = zip(
    ['u32', CENTRAL], ['u16', 45], ...common(entry), ['u16', name.length], ['u16', extra.length && extra.length + 4],
    new Uint8Array(10), ['u32', Math.min(entry.offset, WIDE)], name,
  );
  return extra.length ? zip(head, ['u16', 1], ['u16', extra.length], extra) : head;
}

function trailer(entries: Entry[], at: number): Bytes {
  const directory = zip(...entries.map(centralHeader));
  const [count, length] = [entries.length, directory.length];
  const wide = zip(
    ['u32', END_64], ['u64', 44], ['u16', 45], ['u16', 45], new Uint8Array(8), ['u64', count], ['u64', count], ['u64', length], ['u64', at],
    ['u32', LOCATOR_64], ['u32', 0], ['u64', at + length], ['u32', 1],
  );
  return zip(
    directory, at >= WIDE ? wide : new Uint8Array(),
    ['u32', END], ['u32', 0], ['u16', count], ['u16', count], ['u32', Math.min(length, WIDE)], ['u32', Math.min(at, WIDE)], ['u16', 0],
  );
}

/** Opens an archive whose files are stored, not compressed. */
export async function fromArchive(archive: Part): Promise<Package> {
  const fault = (why: string) => new NotAPackage(why);
  const read = async (at: number, length: number) => {
    if (!(at >= 0 && length >= 0 && at + length <= archive.size)) throw fault('cut off');
    const bytes = await archive.read(at, length);
    if (bytes.length !== length) throw fault('cut off');
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  };
  const u64 = (view: DataView, at: number) => Number(view.getBigUint64(at, true));
  const from = Math.max(0, archive.size - 22 - 65_535);
  const tail = await read(from, archive.size - from);
  let place = tail.byteLength - 22;
  while (place >= 0 && tail.getUint32(place, true) !== END) place -= 1;
  if (place < 0) throw fault('not a ZIP archive');
  let [count, at] = [tail.getUint16(place + 10, true), tail.getUint32(place + 16, true)];
  if (at === WIDE) {
    const locator = await read(from + place - 20, 20);
    const end = await read(u64(locator, 8), 56);
    if (locator.getUint32(0, true) !== LOCATOR_64 || end.getUint32(0, true) !== END_64) throw fault('no ZIP64 end');
    [count, at] = [u64(end, 32), u64(end, 48)];
  }
  if (count > 10_000) throw fault('too many files');
  const entries: { entry: Entry; start: number }[] = [];
  for (let n = 0; n < count; n += 1) {
    const head = await read(at, 46);
    if (head.getUint32(0, true) !== CENTRAL) throw fault('damaged directory');
    const [nameLength, extraLength] = [head.getUint16(28, true), head.getUint16(30, true)];
    const rest = await read(at + 46, nameLength + extraLength);
    const name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new Uint8Array(rest.buffer, rest.byteOffset, nameLength));
    if (head.getUint16(10, true) !== 0) throw fault(`'${name}' is compressed: unpack the archive and choose its files`);
    const entry = { name, bytes: head.getUint32(24, true), crc: head.getUint32(16, true), offset: head.getUint32(42, true) };
    let wide = nameLength + 4;
    if (entry.bytes === WIDE) [entry.bytes, wide] = [u64(rest, wide), wide + 16];
    if (entry.offset === WIDE) entry.offset = u64(rest, wide);
    const local = await read(entry.offset, 30);
    if (local.getUint32(0, true) !== LOCAL) throw fault(`no file begins where '${name}' should`);
    const start = entry.offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
    if (start + entry.bytes > archive.size) throw fault(`'${name}' is cut off`);
    entries.push({ entry, start });
    at += 46 + nameLength + extraLength + head.getUint16(32, true);
  }
  const files = new Map<string, Part>();
  for (const { entry, start } of entries) {
    files.set(entry.name, { size: entry.bytes, read: (at, length) => archive.read(start + at, Math.min(length, entry.bytes - at)) });
  }
  if (files.size !== entries.length) throw fault('a name stands twice');
  return { files, asPacked: await isAsWritten(archive, entries) };
}

async function isAsWritten(archive: Part, entries: { entry: Entry; start: number }[]): Promise<boolean> {
  let at = 0;
  for (const { entry, start } of entries) {
    const header = localHeader(entry);
    if (entry.offset !== at || at + header.length !== start || !same(await archive.read(at, header.length), header)) return false;
    at = start + entry.bytes;
  }
  const end = trailer(entries.map(({ entry }) => entry), at);
  return at + end.length === archive.size && same(await archive.read(at, end.length), end);
}
