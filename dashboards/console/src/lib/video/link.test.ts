import { describe, expect, test } from 'vitest';
import type { VideoServerMessage } from '../wire';
import { VideoLink, type LinkWorld } from './link';
import { fromHex } from './picture';

class Socket {
  binaryType = '';
  said: string[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  send(text: string): void {
    this.said.push(text);
  }
  close(): void {
    this.closed = true;
  }
}

/** A link in a world whose time the test moves. */
class Stage {
  now = 0;
  sockets: Socket[] = [];
  timers = new Map<number, { at: number; run: () => void }>();
  seen: string[] = [];
  #timer = 0;
  link: VideoLink;

  constructor() {
    const world: LinkWorld = {
      open: () => {
        const socket = new Socket();
        this.sockets.push(socket);
        return socket as unknown as WebSocket;
      },
      now: () => this.now,
      chance: () => 0.5,
      setTimer: (run, ms) => {
        this.#timer += 1;
        this.timers.set(this.#timer, { at: this.now + ms, run });
        return this.#timer;
      },
      clearTimer: (timer) => void this.timers.delete(timer),
    };
    this.link = new VideoLink('ws://x', world, {
      opened: () => this.seen.push('opened'),
      closed: () => this.seen.push('closed'),
      told: (message) => this.seen.push(message.type),
      picture: ({ tile }, payload) => this.seen.push(`${tile}:${payload.byteLength}`),
    });
  }

  get socket(): Socket {
    return this.sockets.at(-1) as Socket;
  }

  tell(message: VideoServerMessage): void {
    this.socket.onmessage?.({ data: JSON.stringify(message) });
  }

  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      this.timers.delete(due[0]);
      this.now = due[1].at;
      due[1].run();
    }
    this.now = end;
  }
}

const TILE = { tile: 0, camera_id: 'CAM-01', stream: 'sub', mode: 'full', keep: false } as const;
const MARK: VideoServerMessage = { type: 'mark', server_time_ms: 0 };

describe('link', () => {
  test('says its tiles when it is open, and again only when they change', () => {
    const stage = new Stage();
    stage.link.show('frames', ['h264'], [TILE]);
    expect(stage.socket.said).toEqual([]);
    stage.socket.onopen?.();
    for (let i = 0; i < 2; i += 1) stage.link.show('frames', ['h264'], [TILE]);
    stage.link.show('frames', ['h264'], [{ ...TILE, mode: 'off' }]);
    expect(stage.socket.said.map((text) => (JSON.parse(text) as { tiles: { mode: string }[] }).tiles[0]?.mode)).toEqual(['full', 'off']);
  });

  test('reports what was taken in portions, soon, and from zero on a new connection', () => {
    const stage = new Stage();
    stage.socket.onopen?.();
    stage.link.taken(1_000);
    stage.link.taken(2_000);
    expect(stage.socket.said).toEqual([]);
    stage.pass(100);
    expect(stage.socket.said).toEqual(['{"type":"taken","bytes":3000}']);
    stage.link.taken(200_000);
    expect(stage.socket.said[1]).toBe('{"type":"taken","bytes":203000}');
    stage.socket.onclose?.();
    stage.pass(2_000);
    stage.socket.onopen?.();
    stage.link.taken(5);
    stage.pass(100);
    expect(stage.socket.said).toEqual(['{"type":"taken","bytes":5}']);
  });

  test('comes back after a close and after silence', () => {
    const stage = new Stage();
    stage.socket.onopen?.();
    for (let second = 0; second < 20; second += 1) {
      stage.pass(1_000);
      stage.tell(MARK);
    }
    expect(stage.sockets.length).toBe(1);
    stage.pass(7_000);
    expect(stage.sockets.length).toBe(2);
    expect(stage.sockets[0]?.closed).toBe(true);
    stage.socket.onopen?.();
    expect(stage.seen.filter((word) => word !== 'mark')).toEqual(['opened', 'closed', 'opened']);
  });

  test('hands on pictures and passes over what it does not know', () => {
    const stage = new Stage();
    stage.socket.onopen?.();
    const header = '010102030000000400000005fffffffffffffffe00060a24181e40018000000000000000';
    stage.socket.onmessage?.({ data: fromHex(`${header}0a0b`).buffer });
    stage.socket.onmessage?.({ data: fromHex(`09${header.slice(2)}`).buffer });
    stage.socket.onmessage?.({ data: 'no json' });
    expect(stage.seen).toEqual(['opened', '515:2']);
  });
});
