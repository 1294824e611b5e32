/**
 * The header before each picture on the socket; the table stands in crates/vong-wire/src/video.rs.
 */

export const HEADER_BYTES = 36;
const VERSION = 1;

export type PictureHeader = {
  key: boolean;
  tile: number;
  setup: number;
  /** Frames the server skipped just before this one because we were slow. */
  skipped: number;
  pts90k: number;
  /** When the server got its first byte, Unix microseconds. */
  receivedUs: number;
  /** When it was taken by the camera's clock; null when not known. */
  cameraUs: number | null;
};

/** A signed 64-bit integer as a number: exact up to 2^53, which microseconds reach in the year 2255. */
function int64(view: DataView, at: number): number {
  return view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
}

/** Null when this is no picture of a version we know. */
export function readHeader(message: ArrayBuffer): PictureHeader | null {
  if (message.byteLength < HEADER_BYTES) return null;
  const view = new DataView(message);
  if (view.getUint8(0) !== VERSION) return null;
  const camera = int64(view, 28);
  return {
    key: (view.getUint8(1) & 1) === 1,
    tile: view.getUint16(2),
    setup: view.getUint32(4),
    skipped: view.getUint32(8),
    pts90k: int64(view, 12),
    receivedUs: int64(view, 20),
    cameraUs: camera === -(2 ** 63) ? null : camera,
  };
}

export function fromHex(digits: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(digits.length >> 1);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
