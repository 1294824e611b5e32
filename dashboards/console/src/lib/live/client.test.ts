import { describe, expect, it } from 'vitest';
import type { ClientMessage, ServerMessage } from '../wire';
import { backoffMs } from './backoff';
import { LiveClient, type Environment } from './client';

class FakeSocket {
  readyState = 1;
  sent: ClientMessage[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  send(text: string) {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }
  close() {
    this.readyState = 3;
    this.onclose?.();
  }
  say(message: ServerMessage) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

/** A world whose clock and timers move only when told to. */
function world() {
  const sockets: FakeSocket[] = [];
  const timers = new Map<number, { at: number; run: () => void }>();
  let now = 1_000_000;
  let next = 1;
  const environment: Environment = {
    url: 'ws://test',
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    now: () => now,
    chance: () => 0.999,
    setTimer: (run, ms) => {
      timers.set(next, { at: now + ms, run });
      return next++;
    },
    clearTimer: (timer) => void timers.delete(timer),
  };
  function advance(ms: number) {
    const until = now + ms;
    for (;;) {
      const due = [...timers].filter(([, t]) => t.at <= until).sort((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      timers.delete(due[0]);
      now = due[1].at;
      due[1].run();
    }
    now = until;
  }
  return { sockets, environment, advance };
}

function welcome(): ServerMessage {
  return { type: 'welcome', protocol: 'vong.live.v1', epoch: 'e1', head: 5, server_time_ms: 1_007_000, mark_ms: 1000, simulated: true };
}

function started() {
  const w = world();
  let changes = 0;
  const client = new LiveClient(w.environment, () => {});
  const replica = client.watch('alerts', (f) => f, () => (changes += 1));
  client.start();
  return { ...w, client, replica, changes: () => changes };
}

describe('LiveClient', () => {
  it('subscribes after the welcome and learns the server clock', () => {
    const { sockets, client } = started();
    expect(sockets[0]!.sent).toEqual([]);
    sockets[0]!.say(welcome());
    expect(sockets[0]!.sent).toEqual([{ type: 'sub', sid: 1, view: 'alerts' }]);
    expect(client.status.clockOffset).toBe(7_000);
    expect(client.status.simulated).toBe(true);
  });

  it('resumes where it was after the connection broke', () => {
    const { sockets, client, advance, replica } = started();
    sockets[0]!.say(welcome());
    sockets[0]!.say({ type: 'snap', sid: 1, epoch: 'e1', seq: 5, part: 1, parts: 1, rows: [['a', 5, {}]], count: 1 });
    sockets[0]!.say({ type: 'delta', sid: 1, from: 5, to: 8, n: 1, ops: [['+', 'b', 8, {}]] });
    sockets[0]!.close();
    expect(client.status.phase).toBe('waiting');
    expect(replica.rows.size).toBe(2);
    advance(600);
    sockets[1]!.say(welcome());
    expect(sockets[1]!.sent).toEqual([{ type: 'sub', sid: 1, view: 'alerts', since: { epoch: 'e1', seq: 8 } }]);
    expect(client.status.reconnects).toBe(1);
  });

  it('takes a view anew under a new number when a delta is missing, and ignores the old number', () => {
    const { sockets, client, replica } = started();
    const socket = sockets[0]!;
    socket.say(welcome());
    socket.say({ type: 'snap', sid: 1, epoch: 'e1', seq: 5, part: 1, parts: 1, rows: [], count: 0 });
    socket.say({ type: 'delta', sid: 1, from: 6, to: 7, n: 1, ops: [['+', 'lost', 7, {}]] });
    expect(socket.sent.slice(1)).toEqual([{ type: 'unsub', sid: 1 }, { type: 'sub', sid: 2, view: 'alerts' }]);
    socket.say({ type: 'delta', sid: 1, from: 5, to: 9, n: 1, ops: [['+', 'stray', 9, {}]] });
    expect(replica.rows.size).toBe(0);
    expect(client.status.resyncs).toBe(1);
  });

  it('waits as long as the server asks before coming back', () => {
    const { sockets, advance } = started();
    sockets[0]!.say(welcome());
    sockets[0]!.say({ type: 'bye', code: 'shutdown', retry_ms: 4_000, detail: '' });
    sockets[0]!.close();
    advance(3_900);
    expect(sockets.length).toBe(1);
    advance(200);
    expect(sockets.length).toBe(2);
  });

  it('gives up a connection that has gone silent', () => {
    const { sockets, client, advance } = started();
    sockets[0]!.say(welcome());
    advance(12_100);
    expect(client.status.phase).not.toBe('open');
    expect(sockets[0]!.readyState).toBe(3);
    advance(600);
    expect(sockets.length).toBe(2);
  });

  it('survives text that is no message', () => {
    const { sockets, client } = started();
    sockets[0]!.onmessage?.({ data: '{not json' });
    sockets[0]!.say(welcome());
    expect(client.status.phase).toBe('open');
  });
});

describe('backoffMs', () => {
  it('grows to fifteen seconds and never falls below a fifth of a second', () => {
    expect([0, 1, 2, 3, 4, 5, 50].map((attempt) => backoffMs(attempt, 1))).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000]);
    expect(backoffMs(9, 0)).toBe(200);
  });
});
