/**
 * The queue of cases, the one on the desk, and the decision on its way.
 *
 * Invariants: one decision at a time; a decision is only of what was on screen; what its answer
 * changes is the case it was made for, never one that was chosen meanwhile.
 */
import type { Decision } from '../lib/api';
import type { ReviewCase } from '../lib/wire';

export type Told = { text: string; bad: boolean };

/** The page around it. */
export type Surroundings = {
  /** Whether the chosen case's picture is on screen, or there is none to wait for. */
  seen(): boolean;
  /** Resolves once the decision is durable. */
  send(of: ReviewCase, decision: Decision, note: string | null): Promise<unknown>;
  /** Brings `cases` up to date; never fails. */
  reload(): Promise<void>;
  /** Another case is on the desk. */
  opened(): void;
  /** Whether a decided case leaves the queue. */
  leaves(decision: Decision): boolean;
  words: {
    recorded(decision: Decision): string;
    failed(why: unknown): string;
    notSeen(): string;
    about(one: ReviewCase, text: string): string;
  };
};

export class Casework {
  cases = $state.raw<ReviewCase[]>([]);
  chosen = $state.raw<ReviewCase | null>(null);
  note = $state('');
  told = $state.raw<Told | null>(null);
  /** A decision is on its way. */
  deciding = $state(false);

  constructor(private readonly around: Surroundings) {}

  choose(id: string): void {
    const found = this.cases.find(({ alert_id }) => alert_id === id);
    if (found === undefined) return;
    this.chosen = found;
    this.note = '';
    this.told = null;
    this.around.opened();
  }

  move(step: number): void {
    const at = this.cases.findIndex(({ alert_id }) => alert_id === this.chosen?.alert_id);
    const next = this.cases[Math.max(0, Math.min(this.cases.length - 1, at < 0 ? 0 : at + step))];
    if (next && next.alert_id !== this.chosen?.alert_id) this.choose(next.alert_id);
  }

  async decide(decision: Decision): Promise<void> {
    const decided = this.chosen;
    const { words } = this.around;
    if (decided === null || this.deciding) return;
    if (!this.around.seen()) {
      this.told = { text: words.notSeen(), bad: true };
      return;
    }
    const isStill = () => this.chosen?.alert_id === decided.alert_id;
    const tell = (text: string, bad: boolean) => (this.told = { text: isStill() ? text : words.about(decided, text), bad });
    const before = this.cases.map(({ alert_id }) => alert_id);
    this.deciding = true;
    try {
      await this.around.send(decided, decision, this.note || null);
      tell(words.recorded(decision), false);
      if (isStill()) this.note = '';
      await this.around.reload();
      if (isStill()) this.#goOn(decided, decision, before);
    } catch (failure) {
      tell(words.failed(failure), true);
    } finally {
      this.deciding = false;
    }
  }

  /** To the next case where this one is done with, else its new state. */
  #goOn(decided: ReviewCase, decision: Decision, before: readonly string[]): void {
    const next = this.around.leaves(decision) ? following(decided.alert_id, before, this.cases) : undefined;
    if (next !== undefined) {
      const { told } = this;
      this.choose(next);
      this.told = told;
      return;
    }
    this.chosen = this.cases.find(({ alert_id }) => alert_id === decided.alert_id) ?? this.chosen;
  }
}

/** The case after `id` as the queue stood, of those that are still in it; else the one before. */
export function following(id: string, before: readonly string[], now: readonly ReviewCase[]): string | undefined {
  const still = new Set(now.map(({ alert_id }) => alert_id));
  const at = before.indexOf(id);
  const nearest = [...before.slice(at + 1), ...before.slice(0, Math.max(0, at)).reverse()];
  return nearest.find((other) => still.has(other)) ?? now.find(({ alert_id }) => alert_id !== id)?.alert_id;
}
