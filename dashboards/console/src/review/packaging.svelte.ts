/**
 * One package of evidence, from asking for it until it can be fetched. One per case: what was typed
 * and made for one case never shows under another.
 */
import { beginEvidence, evidence, explain, type Package } from '../lib/api';

const POLL_MS = 700;

export class Packaging {
  file = $state('');
  purpose = $state('');
  by = $state('');
  made = $state.raw<Package | null>(null);
  error = $state<string | null>(null);
  #asking = $state(false);
  #stopped = false;

  constructor(readonly alertId: string) {}

  get isMaking(): boolean {
    return this.#asking;
  }

  /** Goes on while its dialog is closed; ends with `stop`. */
  async make(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    this.error = null;
    try {
      let made = await beginEvidence({ alert_id: this.alertId, case: this.file, purpose: this.purpose, by: this.by });
      this.made = made;
      while (made.state === 'making' && !this.#stopped) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        made = await evidence(made.package_id);
        this.made = made;
      }
      if (made.state === 'failed') this.error = made.error;
    } catch (failure) {
      this.made = null;
      this.error = explain(failure);
    } finally {
      this.#asking = false;
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}
