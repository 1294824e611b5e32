/** Files that leave the browser: a clip with the bytes counted as they come, a picture of one frame. */
import { t } from '../lib/i18n/i18n.svelte';

export type Progress = { done: number; all: number };

/** Fetches all of `url`; tells how far it has come. */
export async function download(url: string, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<Blob> {
  const response = await fetch(url, { signal });
  if (!response.ok || response.body === null) throw new Error(`${t().review.exportFailed}: HTTP ${response.status}`);
  const all = Number(response.headers.get('content-length') ?? 0);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done: over, value } = await reader.read();
    if (over) break;
    parts.push(value as Uint8Array<ArrayBuffer>);
    done += value.length;
    onProgress({ done, all });
  }
  if (all > 0 && done !== all) throw new Error(t().review.exportFailed);
  return new Blob(parts, { type: response.headers.get('content-type') ?? 'application/octet-stream' });
}

/** Hands a file to the browser's downloads. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The frame on screen in its full size, as PNG. */
export function snapshot(video: HTMLVideoElement): Promise<Blob> {
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d')?.drawImage(video, 0, 0);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error(t().review.snapshotFailed))), 'image/png');
  });
}

/** `CAM-01_20261122-140327.400`: camera and city time, safe in every file system. */
export function fileName(camera: string, wallUs: number): string {
  const shifted = new Date(wallUs / 1000 + 7 * 3_600_000).toISOString();
  return `${camera}_${shifted.slice(0, 23).replace(/-|:/g, '').replace('T', '-')}`;
}
