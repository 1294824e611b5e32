/**
 * One tile's decoder. What goes wrong ends with the next key frame; what waits is bounded; every
 * byte that was fed is reported as taken once, whether it became a picture or not.
 */
import type { PictureHeader } from './picture';

/** A frame that waits longer than this shows that the machine cannot keep up: on to the next key frame. */
const LATEST_MS = 1_000;

type Waiting = { timestamp: number; bytes: number; at: number; header: PictureHeader };

export type DecoderEvents = {
  picture(frame: VideoFrame, header: PictureHeader): void;
  taken(bytes: number): void;
};

export class TileDecoder {
  /** Frames left out because this machine could not keep up. */
  left = 0;
  #config: VideoDecoderConfig | null = null;
  #decoder: VideoDecoder | null = null;
  #waiting: Waiting[] = [];
  #needsKey = true;
  #count = 0;

  constructor(private readonly events: DecoderEvents) {}

  setUp(config: VideoDecoderConfig): void {
    this.#config = config;
    this.#end();
  }

  close(): void {
    this.#config = null;
    this.#end();
  }

  feed(header: PictureHeader, payload: Uint8Array<ArrayBuffer>): void {
    const now = performance.now();
    const oldest = this.#waiting[0];
    if (oldest !== undefined && now - oldest.at > LATEST_MS) {
      this.left += this.#waiting.length;
      this.#end();
    }
    const decoder = header.key && this.#needsKey ? this.#begin() : this.#decoder;
    if (decoder === null || (this.#needsKey && !header.key)) {
      this.left += this.#config === null ? 0 : 1;
      this.events.taken(payload.byteLength);
      return;
    }
    this.#needsKey = false;
    this.#count += 1;
    const timestamp = this.#count;
    this.#waiting.push({ timestamp, bytes: payload.byteLength, at: now, header });
    try {
      decoder.decode(new EncodedVideoChunk({ type: header.key ? 'key' : 'delta', timestamp, data: payload }));
    } catch {
      this.#end();
    }
  }

  #begin(): VideoDecoder | null {
    if (this.#config === null) return null;
    const decoder = new VideoDecoder({
      output: (frame) => this.#decoded(decoder, frame),
      error: () => {
        if (decoder === this.#decoder) this.#end();
      },
    });
    try {
      decoder.configure(this.#config);
    } catch {
      return null;
    }
    this.#decoder = decoder;
    return decoder;
  }

  #decoded(decoder: VideoDecoder, frame: VideoFrame): void {
    if (decoder !== this.#decoder) {
      frame.close();
      return;
    }
    // Pictures come in order: what was fed before this one and gave none will give none.
    let shown: Waiting | undefined;
    while (this.#waiting[0] !== undefined && this.#waiting[0].timestamp <= frame.timestamp) {
      shown = this.#waiting.shift();
      this.events.taken(shown?.bytes ?? 0);
    }
    if (shown === undefined) frame.close();
    else this.events.picture(frame, shown.header);
  }

  #end(): void {
    for (const { bytes } of this.#waiting) this.events.taken(bytes);
    this.#waiting = [];
    this.#needsKey = true;
    const decoder = this.#decoder;
    this.#decoder = null;
    if (decoder !== null && decoder.state !== 'closed') decoder.close();
  }
}
