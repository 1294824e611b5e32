/**
 * Pictures that the server makes, one at a time: the newest that is wanted follows the one on its way.
 * Invariant: `shown` says of which frame its picture is; at most one picture is held.
 */
import { explain } from '../lib/api';

/** A picture on screen. */
export type Still = { url: string; picture: Blob; frame: number; address: string };

export class Stills {
  shown = $state.raw<Still | null>(null);
  error = $state<string | null>(null);

  #wanted: { address: string; frame: number } | null = null;
  /** What could not be had last: not asked for again until something else was wanted. */
  #refused = '';
  #onItsWay: AbortController | null = null;
  #closed = false;

  /** The picture at `address`, which is of `frame`; true when it was asked for at once. */
  want(address: string, frame: number): boolean {
    this.#wanted = { address, frame };
    if (this.#closed || this.#onItsWay !== null) return false;
    return this.#goOn();
  }

  close(): void {
    this.#closed = true;
    this.#onItsWay?.abort();
    this.#let(null);
  }

  #goOn(): boolean {
    const wanted = this.#wanted;
    if (wanted === null || wanted.address === this.#refused) return false;
    if (this.#isThere) {
      this.#refused = '';
      this.error = null;
      return false;
    }
    void this.#load(wanted.address, wanted.frame);
    return true;
  }

  /** What is wanted is on screen. */
  get #isThere(): boolean {
    return this.shown !== null && this.shown.address === this.#wanted?.address;
  }

  async #load(address: string, frame: number): Promise<void> {
    const stop = new AbortController();
    this.#onItsWay = stop;
    try {
      const picture = await bytesOf(address, stop.signal);
      if (this.#closed) return;
      // Left and come back to in the meantime: then the newer picture is no longer wanted.
      if (!this.#isThere) this.#let({ url: URL.createObjectURL(picture), picture, frame, address });
      this.#refused = '';
      this.error = null;
    } catch (failure) {
      if (this.#closed) return;
      this.#refused = address;
      this.error = explain(failure);
    }
    this.#onItsWay = null;
    this.#goOn();
  }

  #let(still: Still | null): void {
    if (this.shown !== null) URL.revokeObjectURL(this.shown.url);
    this.shown = still;
  }
}

async function bytesOf(address: string, signal: AbortSignal): Promise<Blob> {
  const response = await fetch(address, { signal });
  if (response.ok) return response.blob();
  const said = await response.json().catch(() => ({}));
  throw new Error((said as { message?: string }).message ?? `HTTP ${response.status}`);
}
