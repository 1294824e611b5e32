/**
 * The page's one connection for pictures: says which tiles there are, hands on what comes, reports
 * what was taken, and never stops trying.
 */
import { backoffMs } from '../live/backoff';
import { VIDEO_PROTOCOL, type VideoClientMessage, type VideoCodec, type VideoServerMessage, type VideoTile } from '../wire';
import { HEADER_BYTES, readHeader, type PictureHeader } from './picture';

/** The server says something every second; silent for this long it is gone. */
const SILENCE_MS = 5_000;
/** What was taken is told in portions of this size, or after this time. */
const TELL_BYTES = 128 * 1024;
const TELL_MS = 100;

export type LinkEvents = {
  /** A new connection: what was set up before is void. */
  opened(): void;
  closed(): void;
  told(message: VideoServerMessage): void;
  picture(header: PictureHeader, payload: Uint8Array<ArrayBuffer>): void;
};

export type LinkWorld = {
  open(url: string, protocol: string): WebSocket;
  now(): number;
  chance(): number;
  setTimer(run: () => void, ms: number): number;
  clearTimer(timer: number): void;
};

export class VideoLink {
  #socket: WebSocket | null = null;
  #isOpen = false;
  #attempt = 0;
  #heardAt = 0;
  #said = '';
  #taken = 0;
  #told = 0;
  #telling: number | null = null;

  constructor(
    private readonly url: string,
    private readonly world: LinkWorld,
    private readonly events: LinkEvents,
  ) {
    this.#connect();
    this.#watch();
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Says which tiles there are, unless that is what was said last. */
  show(form: 'frames' | 'fragments', plays: VideoCodec[], tiles: VideoTile[]): void {
    const text = JSON.stringify({ type: 'show', plays, form, tiles } satisfies VideoClientMessage);
    if (!this.#isOpen || text === this.#said) return;
    this.#said = text;
    this.#socket?.send(text);
  }

  /** `bytes` of payload were decoded or left out: the server may send as many more. */
  taken(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken - this.#told >= TELL_BYTES) this.#tell();
    else this.#telling ??= this.world.setTimer(() => this.#tell(), TELL_MS);
  }

  #tell(): void {
    if (this.#telling !== null) this.world.clearTimer(this.#telling);
    this.#telling = null;
    if (!this.#isOpen || this.#taken === this.#told) return;
    this.#told = this.#taken;
    this.#socket?.send(JSON.stringify({ type: 'taken', bytes: this.#taken } satisfies VideoClientMessage));
  }

  #connect(): void {
    const socket = this.world.open(this.url, VIDEO_PROTOCOL);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#heardAt = this.world.now();
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      this.#isOpen = true;
      this.#said = '';
      this.#taken = 0;
      this.#told = 0;
      this.events.opened();
    };
    socket.onmessage = (event: MessageEvent) => {
      if (socket !== this.#socket) return;
      this.#heardAt = this.world.now();
      if (typeof event.data === 'string') this.#hear(event.data);
      else this.#receive(event.data as ArrayBuffer);
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#again();
    };
  }

  #hear(text: string): void {
    let message: VideoServerMessage;
    try {
      message = JSON.parse(text) as VideoServerMessage;
    } catch {
      return;
    }
    if (message.type === 'mark') this.#attempt = 0;
    this.events.told(message);
  }

  #receive(message: ArrayBuffer): void {
    const header = readHeader(message);
    if (header !== null) this.events.picture(header, new Uint8Array(message, HEADER_BYTES));
  }

  #again(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    if (this.#isOpen) {
      this.#isOpen = false;
      this.events.closed();
    }
    this.world.setTimer(() => this.#connect(), backoffMs(this.#attempt, this.world.chance()));
    this.#attempt += 1;
  }

  #watch(): void {
    this.world.setTimer(() => {
      if (this.#socket !== null && this.world.now() - this.#heardAt > SILENCE_MS) this.#again();
      this.#watch();
    }, 1_000);
  }
}
