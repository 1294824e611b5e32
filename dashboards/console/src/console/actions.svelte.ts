/**
 * What the operator did and how far it has come.
 * Invariant: an act counts as done only when the server says that it is durable; a failed one keeps
 * its command id, so that trying again cannot do it twice.
 */
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import * as api from '../lib/api';
import type { AlertRow } from '../lib/rows';

export type Act = {
  command: api.Command;
  commandId: string;
  phase: 'pending' | 'recorded' | 'failed';
  error: string | null;
};

export class Actions {
  /** The latest act per alert. */
  readonly byAlert = new SvelteMap<string, Act>();

  /** Alerts that were already over when somebody acknowledged them: the engine has no step left for these. */
  readonly seen = new SvelteSet<string>();

  async run(alertId: string, command: api.Command, reason: string | null = null, untilMs: number | null = null): Promise<boolean> {
    const before = this.byAlert.get(alertId);
    if (before?.phase === 'pending') return false;
    const repeated = before?.phase === 'failed' && before.command === command;
    const commandId = repeated ? before.commandId : api.newCommandId();
    this.byAlert.set(alertId, { command, commandId, phase: 'pending', error: null });
    try {
      await api.command(alertId, command, { command_id: commandId, reason, until_ms: untilMs });
      this.byAlert.set(alertId, { command, commandId, phase: 'recorded', error: null });
      return true;
    } catch (failure) {
      this.byAlert.set(alertId, { command, commandId, phase: 'failed', error: api.explain(failure) });
      return false;
    }
  }

  /** Forgets acts whose effect has come back through the live view, and those of alerts long gone. */
  settle(alerts: ReadonlyMap<string, AlertRow>): void {
    for (const id of this.seen) {
      if (alerts.get(id)?.state !== 'resolved') this.seen.delete(id);
    }
    for (const [id, act] of this.byAlert) {
      const alert = alerts.get(id);
      if (alert === undefined ? act.phase !== 'pending' : act.phase === 'recorded' && happened(act.command, alert)) {
        if (act.command === 'acknowledge' && alert?.state === 'resolved') this.seen.add(id);
        this.byAlert.delete(id);
      }
    }
  }
}

function happened(command: api.Command, alert: AlertRow): boolean {
  switch (command) {
    case 'acknowledge':
      return alert.acknowledged || alert.state === 'resolved';
    case 'shelve':
      return alert.state === 'shelved';
    case 'unshelve':
      return alert.state !== 'shelved';
    case 'comment':
      return true;
  }
}
