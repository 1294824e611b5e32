/**
 * One WebSocket that keeps several views alive.
 * Invariants: it never gives up connecting; a subscription that broke gets a new number, so that
 * messages still under way for the old one are ignored; what is on the screen stays there, greyed
 * by its age, until something newer is complete.
 */
import { PROTOCOL, type ClientMessage, type Fields, type ServerMessage, type View } from '../wire';
import { backoffMs } from './backoff';
import { ViewReplica } from './replica';

export type Phase = 'connecting' | 'open' | 'waiting';

/** The outside world, given so that tests can hold it still. */
export type Environment = {
  url: string;
  open: (url: string, protocol: string) => WebSocket;
  now: () => number;
  chance: () => number;
  setTimer: (run: () => void, ms: number) => number;
  clearTimer: (timer: number) => void;
};

export type Status = {
  phase: Phase;
  /** Local time of the last sign of life, 0 before the first. */
  heardAt: number;
  /** Local time of the next attempt while waiting. */
  retryAt: number;
  /** Server clock minus local clock, ms. */
  clockOffset: number;
  simulated: boolean;
  watermarkMs: number | null;
  epoch: string | null;
  seq: number;
  reconnects: number;
  /** Times a view had to be taken anew because something was missing. */
  resyncs: number;
};

type Subscription = {
  view: View;
  sid: number;
  replica: ViewReplica<unknown>;
  onChange: () => void;
  /** Local time at which it last had to be taken anew. */
  brokenAt: number;
};

/** The server marks every second; this long without a word means the connection is dead. */
const SILENCE_MS = 12_000;
const ACK_MS = 1_000;
/** A view that keeps breaking is asked for no more often than this. */
const RESYNC_MS = 2_000;

export class LiveClient {
  readonly status: Status = {
    phase: 'connecting',
    heardAt: 0,
    retryAt: 0,
    clockOffset: 0,
    simulated: false,
    watermarkMs: null,
    epoch: null,
    seq: 0,
    reconnects: 0,
    resyncs: 0,
  };
  #socket: WebSocket | null = null;
  #subscriptions: Subscription[] = [];
  #nextSid = 1;
  #attempt = 0;
  #retryHint: number | null = null;
  #timer: number | null = null;
  #watchdog: number | null = null;
  #ackedAt = 0;
  #closed = false;

  constructor(
    private readonly environment: Environment,
    private readonly onStatus: () => void,
  ) {}

  watch<T>(view: View, decode: (fields: Fields) => T, onChange: () => void): ViewReplica<T> {
    const replica = new ViewReplica(decode);
    const subscription = { view, sid: this.#nextSid++, replica, onChange, brokenAt: 0 };
    this.#subscriptions.push(subscription as Subscription);
    if (this.status.phase === 'open') this.#subscribe(subscription as Subscription);
    return replica;
  }

  start(): void {
    this.#connect();
  }

  stop(): void {
    this.#closed = true;
    this.#clearTimers();
    this.#socket?.close();
    this.#socket = null;
  }

  /** The network came back or the page woke up: do not sit out the rest of a long wait. */
  retryNow(): void {
    if (this.#closed || this.status.phase !== 'waiting') return;
    this.#clearTimers();
    this.#connect();
  }

  #connect(): void {
    this.#setPhase('connecting');
    let socket: WebSocket;
    try {
      socket = this.environment.open(this.environment.url, PROTOCOL);
    } catch {
      this.#wait();
      return;
    }
    this.#socket = socket;
    this.#armWatchdog();
    socket.onmessage = (event: MessageEvent) => {
      if (socket === this.#socket) this.#message(event.data);
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #lost(): void {
    this.#clearTimers();
    this.#socket = null;
    for (const { replica } of this.#subscriptions) replica.interrupted();
    if (!this.#closed) this.#wait();
  }

  #wait(): void {
    const hint = this.#retryHint;
    this.#retryHint = null;
    const own = backoffMs(this.#attempt, this.environment.chance());
    const ms = hint === null ? own : Math.max(own, hint);
    this.#attempt += 1;
    this.status.retryAt = this.environment.now() + ms;
    this.#setPhase('waiting');
    this.#timer = this.environment.setTimer(() => this.#connect(), ms);
  }

  #armWatchdog(): void {
    if (this.#watchdog !== null) this.environment.clearTimer(this.#watchdog);
    this.#watchdog = this.environment.setTimer(() => {
      const socket = this.#socket;
      this.#lost();
      // A half-open connection may never report its end: it is left first, then closed.
      socket?.close();
    }, SILENCE_MS);
  }

  #clearTimers(): void {
    if (this.#timer !== null) this.environment.clearTimer(this.#timer);
    if (this.#watchdog !== null) this.environment.clearTimer(this.#watchdog);
    this.#timer = null;
    this.#watchdog = null;
  }

  #message(data: unknown): void {
    if (typeof data !== 'string') return;
    let message: ServerMessage;
    try {
      message = JSON.parse(data) as ServerMessage;
    } catch {
      return;
    }
    this.status.heardAt = this.environment.now();
    this.#armWatchdog();
    switch (message.type) {
      case 'welcome':
        this.#welcome(message);
        return;
      case 'bye':
        this.#retryHint = message.retry_ms;
        return;
      default:
        this.#viewMessage(message);
    }
  }

  #welcome(message: Extract<ServerMessage, { type: 'welcome' }>): void {
    const { status } = this;
    if (status.epoch !== null) status.reconnects += 1;
    status.epoch = message.epoch;
    status.simulated = message.simulated;
    status.clockOffset = message.server_time_ms - this.environment.now();
    this.#attempt = 0;
    this.#setPhase('open');
    for (const subscription of this.#subscriptions) this.#subscribe(subscription);
  }

  #viewMessage(message: Extract<ServerMessage, { sid: number }>): void {
    const subscription = this.#subscriptions.find(({ sid }) => sid === message.sid);
    if (subscription === undefined) return;
    const outcome = subscription.replica.accept(message);
    if (message.type === 'mark') {
      this.status.clockOffset = message.server_time_ms - this.environment.now();
      this.status.watermarkMs = message.watermark_ms;
      this.status.seq = Math.max(this.status.seq, message.seq);
      this.#acknowledge();
      this.onStatus();
    }
    if (outcome === 'changed') subscription.onChange();
    if (outcome === 'resubscribe') this.#takeAnew(subscription);
  }

  #takeAnew(subscription: Subscription): void {
    const now = this.environment.now();
    const again = now - subscription.brokenAt < RESYNC_MS;
    subscription.brokenAt = now;
    this.status.resyncs += 1;
    this.#send({ type: 'unsub', sid: subscription.sid });
    const sid = this.#nextSid++;
    subscription.sid = sid;
    const subscribe = () => {
      if (subscription.sid === sid && this.status.phase === 'open') this.#subscribe(subscription);
    };
    if (again) this.environment.setTimer(subscribe, RESYNC_MS);
    else subscribe();
  }

  #subscribe({ sid, view, replica }: Subscription): void {
    const since = replica.resumePoint();
    this.#send(since ? { type: 'sub', sid, view, since } : { type: 'sub', sid, view });
  }

  #acknowledge(): void {
    const now = this.environment.now();
    if (now - this.#ackedAt < ACK_MS) return;
    this.#ackedAt = now;
    for (const { sid, replica } of this.#subscriptions) {
      if (replica.ready) this.#send({ type: 'ack', sid, seq: replica.seq });
    }
  }

  #send(message: ClientMessage): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #setPhase(phase: Phase): void {
    this.status.phase = phase;
    this.onStatus();
  }
}
