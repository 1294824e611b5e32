// Bytes, numbers in them, and hexadecimal in one spelling only.
import { sha256 } from '@noble/hashes/sha2.js';

export type Bytes = Uint8Array;

export const hash = (...parts: Bytes[]): Bytes => {
  const hasher = sha256.create();
  for (const part of parts) hasher.update(part);
  return hasher.digest();
};

export const hex = (bytes: Bytes): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** `length` in bytes, any if left out; `null` for anything but lower-case digits. */
export function unhex(text: unknown, length?: number): Bytes | null {
  if (typeof text !== 'string' || text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return null;
  if (length !== undefined && text.length !== length * 2) return null;
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(at * 2, at * 2 + 2), 16));
}

export const utf8 = (text: string): Bytes => new TextEncoder().encode(text);

/** Text, or `null` where the bytes are none. */
export function text(bytes: Bytes): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

export const same = (a: Bytes, b: Bytes): boolean => a.length === b.length && a.every((byte, at) => byte === b[at]);

/** Big-endian numbers one after the other, for hashing. */
export class Writer {
  private readonly parts: Bytes[] = [];

  bytes(bytes: Bytes): this {
    this.parts.push(bytes);
    return this;
  }

  u8 = (value: number) => this.bytes(Uint8Array.of(value));
  u16 = (value: number) => this.view(2, (view) => view.setUint16(0, value));
  u32 = (value: number) => this.view(4, (view) => view.setUint32(0, value));
  i64 = (value: bigint) => this.view(8, (view) => view.setBigInt64(0, value));

  hash = (): Bytes => hash(...this.parts);

  private view(length: number, fill: (view: DataView) => void): this {
    const bytes = new Uint8Array(length);
    fill(new DataView(bytes.buffer));
    return this.bytes(bytes);
  }
}

/** Thrown where bytes end too early; caught where a file is judged. */
export class Torn extends Error {}

/** Reads big-endian numbers front to back. */
export class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly all: Bytes) {
    this.view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  }

  get left(): number {
    return this.all.length - this.at;
  }

  bytes(length: number): Bytes {
    if (!(length >= 0 && length <= this.left)) throw new Torn();
    this.at += length;
    return this.all.subarray(this.at - length, this.at);
  }

  u32(): number {
    this.bytes(4);
    return this.view.getUint32(this.at - 4);
  }

  u64(): number {
    const [high, low] = [this.u32(), this.u32()];
    const value = high * 2 ** 32 + low;
    if (!Number.isSafeInteger(value)) throw new Torn();
    return value;
  }

  name(): string {
    return String.fromCharCode(...this.bytes(4));
  }
}
