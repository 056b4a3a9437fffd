/**
 * The current weir.* settings of a session, and their start values, which RESET ALL and DISCARD ALL restore.
 */
import type { Plan, Tag } from '../../binding/plan.ts';
import type { Consistency } from '../../config/config.ts';
import type { Priority } from '../../pool/waiter.ts';
import { packPreferences, preferencesIn, type PackedPreferences } from '../packed-preferences.ts';
import type { CacheWish, Defaults, Forced, Preferences } from '../preferences.ts';
import type { Concern } from './concern.ts';

/** What it needs of its session. */
interface Owner {
  readonly startPreferences: Preferences;
}

export class SessionPreferences implements Concern {
  private readonly start: Preferences;
  private now: Preferences;

  constructor({ startPreferences }: Owner) {
    this.start = this.now = startPreferences;
  }

  get route(): Forced {
    return this.now.route;
  }

  /** Source of the route, as text. */
  get routeBy(): string {
    return this.now.routeBy;
  }

  get consistency(): Consistency | undefined {
    return this.now.consistency;
  }

  get cache(): CacheWish | undefined {
    return this.now.cache;
  }

  get priority(): Priority | undefined {
    return this.now.priority;
  }

  get key(): string | undefined {
    return this.now.key;
  }

  get tags(): readonly Tag[] | undefined {
    return this.now.tags;
  }

  /**
   * @param value undefined: back to the default
   * @throws WeirError unknown_weir_setting, invalid_weir_setting
   */
  set(name: string, value: string | undefined): void {
    this.now = this.now.with(name, value);
  }

  show(name: string, defaults: Defaults): string {
    return this.now.show(name, defaults);
  }

  /* ---- moments ---- */

  effectsDone({ effects }: Plan): void {
    if (effects.discards === 'all' || effects.resetsAll) this.now = this.start;
  }

  pack(): PackedPreferences | undefined {
    return this.now === this.start ? undefined : packPreferences(this.now);
  }

  unpack(packed: unknown): void {
    this.now = preferencesIn('the preferences', packed);
  }
}
