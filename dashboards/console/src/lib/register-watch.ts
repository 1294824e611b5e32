/**
 * When the register has to be fetched anew: what live facts name is no longer what it lists.
 * Invariant: an id that the register does not know, however often it is named, is asked about once.
 */

/** Changes come in bunches: asked once nothing has changed for `QUIET_MS`, at the latest after `LONGEST_MS`. */
const QUIET_MS = 2_000;
const LONGEST_MS = 10_000;

export class RegisterWatch {
  #cameras: ReadonlySet<string> | null = null;
  #asked = new Set<string>();
  #since: number | null = null;
  #last = 0;

  /**
   * `cameras`: ids of the live view, null before it is there; `named`: every id that live facts name.
   * True when the register is to be fetched now.
   */
  look(now: number, cameras: Iterable<string> | null, named: Iterable<string>, isKnown: (id: string) => boolean): boolean {
    const isOther = this.#compare(cameras);
    const isNews = this.#strangers(named, isKnown);
    if (isOther || isNews) {
      this.#since ??= now;
      this.#last = now;
    }
    if (this.#since === null || (now - this.#last < QUIET_MS && now - this.#since < LONGEST_MS)) return false;
    this.#since = null;
    return true;
  }

  /** The first list is where it begins. */
  #compare(cameras: Iterable<string> | null): boolean {
    if (cameras === null) return false;
    const before = this.#cameras;
    const now = new Set(cameras);
    this.#cameras = now;
    return before !== null && (before.size !== now.size || [...now].some((id) => !before.has(id)));
  }

  #strangers(named: Iterable<string>, isKnown: (id: string) => boolean): boolean {
    const strangers = new Set([...named].filter((id) => !isKnown(id)));
    const isNews = [...strangers].some((id) => !this.#asked.has(id));
    this.#asked = strangers;
    return isNews;
  }
}
