/**
 * A copy of one view, kept by applying the server's messages in order.
 * Invariant: `rows` is always the whole state of the view at `seq`, never a part of one:
 * a snapshot in several parts is collected aside and replaces the rows when it is complete,
 * and a delta that does not continue at `seq` is refused.
 */
import type { Fields, Op, Row, ServerMessage, Since } from '../wire';

/** What the caller has to do after a message. */
export type Outcome =
  /** Nothing to draw. */
  | 'unchanged'
  /** Rows changed. */
  | 'changed'
  /** Something is missing; subscribe again from `resumePoint()`. */
  | 'resubscribe';

/** Parts count from 1. */
type Collecting = { epoch: string; seq: number; parts: number; next: number; rows: Row[] };

export class ViewReplica<T> {
  /** Decoded rows by key. Replaced values are new objects, so identity tells change. */
  readonly rows = new Map<string, T>();
  #fields = new Map<string, Fields>();
  #epoch: string | null = null;
  /** End of the last snapshot or delta: what a delta must continue from. */
  #seq = 0;
  /** The view is known not to have changed between `#seq` and here. */
  #alive = 0;
  #collecting: Collecting | null = null;
  /** A resumed subscription that broke is started afresh the next time. */
  #distrusted = false;
  /** Source changes seen, folded ones included. */
  folded = 0;

  constructor(private readonly decode: (fields: Fields) => T) {}

  get ready(): boolean {
    return this.#epoch !== null;
  }

  get seq(): number {
    return this.#alive;
  }

  /** From where to go on after a reconnect; null when a snapshot is needed. */
  resumePoint(): Since | undefined {
    if (this.#epoch === null || this.#distrusted) return undefined;
    return { epoch: this.#epoch, seq: this.#alive };
  }

  /** The connection was lost: half a snapshot is worth nothing. */
  interrupted(): void {
    this.#collecting = null;
  }

  accept(message: Extract<ServerMessage, { sid: number }>): Outcome {
    switch (message.type) {
      case 'snap':
        return this.#snap(message);
      case 'delta':
        return this.#delta(message);
      case 'mark':
        return this.#mark(message);
      case 'gap':
        // A snapshot follows; the old rows stay on the screen until it is complete.
        this.#collecting = null;
        return 'unchanged';
    }
  }

  #snap(message: Extract<ServerMessage, { type: 'snap' }>): Outcome {
    const { epoch, seq, part, parts, rows, count } = message;
    if (part === 1) this.#collecting = { epoch, seq, parts, next: 1, rows: [] };
    const collecting = this.#collecting;
    const fits =
      collecting !== null &&
      collecting.epoch === epoch &&
      collecting.seq === seq &&
      collecting.next === part;
    if (!fits) return this.#broken();
    collecting.rows.push(...rows);
    collecting.next += 1;
    if (collecting.next <= parts) return 'unchanged';
    this.#collecting = null;
    if (collecting.rows.length !== count) return this.#broken();
    this.#replace(collecting);
    return 'changed';
  }

  #replace(snapshot: Collecting): void {
    this.rows.clear();
    this.#fields.clear();
    for (const [key, , fields] of snapshot.rows) {
      this.#fields.set(key, fields);
      this.rows.set(key, this.decode(fields));
    }
    this.#epoch = snapshot.epoch;
    this.#seq = snapshot.seq;
    this.#alive = snapshot.seq;
    this.#distrusted = false;
  }

  #delta(message: Extract<ServerMessage, { type: 'delta' }>): Outcome {
    // Between a gap and the end of its snapshot nothing else may come.
    const continues =
      this.#epoch !== null &&
      this.#collecting === null &&
      message.from >= this.#seq &&
      message.from <= this.#alive &&
      message.to >= message.from;
    if (!continues) return this.#broken();
    if (!this.#canApply(message.ops)) return this.#broken();
    for (const op of message.ops) this.#apply(op);
    this.#seq = message.to;
    this.#alive = Math.max(this.#alive, message.to);
    this.folded += message.n;
    return message.ops.length > 0 ? 'changed' : 'unchanged';
  }

  /** A patch needs something to patch; checked before anything is touched. */
  #canApply(ops: Op[]): boolean {
    const put = new Set<string>();
    const removed = new Set<string>();
    for (const [kind, key] of ops) {
      if (kind === '~' && !put.has(key) && (removed.has(key) || !this.#fields.has(key))) return false;
      if (kind === '+') put.add(key);
      if (kind === '-') {
        put.delete(key);
        removed.add(key);
      }
    }
    return true;
  }

  #apply([kind, key, , fields]: Op): void {
    if (kind === '-') {
      this.#fields.delete(key);
      this.rows.delete(key);
      return;
    }
    const whole = kind === '~' ? { ...this.#fields.get(key), ...fields } : fields;
    this.#fields.set(key, whole);
    this.rows.set(key, this.decode(whole));
  }

  #mark(message: Extract<ServerMessage, { type: 'mark' }>): Outcome {
    if (this.#epoch === null) return 'unchanged';
    this.#alive = Math.max(this.#alive, message.seq);
    return 'unchanged';
  }

  #broken(): Outcome {
    this.#collecting = null;
    this.#distrusted = true;
    return 'resubscribe';
  }
}
