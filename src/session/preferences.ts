/**
 * A session's settings for routing, caching and waiting: weir.route, weir.consistency, weir.cache, weir.priority, weir.key,
 * weir.tags. An immutable value.
 */
import type { Consistency } from '../config/config.ts';
import { WeirError } from '../errors/errors.ts';
import type { Tag } from '../binding/plan.ts';
import { priorities, type Priority } from '../pool/waiter.ts';
import { maxTagChars, maxTags } from '../sql/hints.ts';

export type Forced = 'auto' | 'primary' | 'replica';
/** 'on', 'off', or a time to live in ms. */
export type CacheWish = 'on' | 'off' | number;

/** Names for SET and SHOW. weir.last_route is not here, because it can only be shown. */
export const weirSettingNames = [
  'weir.route',
  'weir.consistency',
  'weir.cache',
  'weir.priority',
  'weir.key',
  'weir.tags',
] as const;

/** As long as the key of a hint may be. */
const keyCharsMax = 200;

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** @returns milliseconds: 30000 for "30s"; undefined if the text is not a duration */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * (unitMs[match[2] as string] as number);
}

/** What is so without a setting of the session. */
export interface Defaults {
  readonly consistency: Consistency;
  readonly isCacheEnabled: boolean;
  readonly priority: Priority;
  /** Of load_balance_hosts = hash: the user. */
  readonly key: string;
}

interface Values {
  readonly route: Forced;
  /** Source of the route, as text. */
  readonly routeBy: string;
  readonly consistency: Consistency | undefined;
  readonly cache: CacheWish | undefined;
  /** Undefined: as the configuration says of the user. */
  readonly priority: Priority | undefined;
  /** Undefined: the user's name is the key. */
  readonly key: string | undefined;
  /** Of every answer that is cached for the session, with the prefix `t:`; undefined: none. */
  readonly tags: readonly Tag[] | undefined;
}

export class Preferences implements Values {
  readonly route: Forced;
  readonly routeBy: string;
  readonly consistency: Consistency | undefined;
  readonly cache: CacheWish | undefined;
  readonly priority: Priority | undefined;
  readonly key: string | undefined;
  readonly tags: readonly Tag[] | undefined;

  private constructor({ route, routeBy, consistency, cache, priority, key, tags }: Values) {
    this.route = route;
    this.routeBy = routeBy;
    this.consistency = consistency;
    this.cache = cache;
    this.priority = priority;
    this.key = key;
    this.tags = tags;
  }

  static readonly none = new Preferences({
    route: 'auto',
    routeBy: '',
    consistency: undefined,
    cache: undefined,
    priority: undefined,
    key: undefined,
    tags: undefined,
  });

  static of(values: Values): Preferences {
    return new Preferences(values);
  }

  /**
   * @param value undefined: back to the default
   * @throws WeirError unknown_weir_setting, invalid_weir_setting
   */
  with(name: string, value: string | undefined): Preferences {
    const plain = value?.trim().toLowerCase();
    switch (name) {
      case 'weir.route': {
        const route = plain ?? 'auto';
        if (route !== 'auto' && route !== 'primary' && route !== 'replica')
          throw invalid(name, value, 'auto, primary, replica');
        return new Preferences({ ...this, route, routeBy: 'weir.route' });
      }
      case 'weir.consistency': {
        if (plain !== undefined && plain !== 'eventual' && plain !== 'session' && plain !== 'strict') {
          throw invalid(name, value, 'eventual, session, strict');
        }
        return new Preferences({ ...this, consistency: plain });
      }
      case 'weir.cache': {
        const cache = plain === undefined || plain === 'on' || plain === 'off' ? plain : parseDurationMs(plain);
        if (plain !== undefined && cache === undefined)
          throw invalid(name, value, 'on, off, or a time to live such as 30s');
        return new Preferences({ ...this, cache });
      }
      case 'weir.priority': {
        if (plain !== undefined && plain !== 'high' && plain !== 'normal' && plain !== 'low')
          throw invalid(name, value, priorities.join(', '));
        return new Preferences({ ...this, priority: plain });
      }
      case 'weir.key':
        if (value !== undefined && (value === '' || value.length > keyCharsMax))
          throw invalid(name, value.slice(0, keyCharsMax), `1 to ${keyCharsMax} characters`);
        return new Preferences({ ...this, key: value });
      case 'weir.tags':
        return new Preferences({ ...this, tags: tagsIn(name, value) });
      default:
        throw new WeirError('unknown_weir_setting', { name });
    }
  }

  /** Applies libpq's target_session_attrs. @throws WeirError invalid_weir_setting */
  withTarget(value: string): Preferences {
    const routes: Readonly<Record<string, Forced>> = {
      any: 'auto',
      'read-write': 'primary',
      primary: 'primary',
      'read-only': 'replica',
      standby: 'replica',
      'prefer-standby': 'replica',
    };
    const route = routes[value.trim().toLowerCase()];
    if (route === undefined) throw invalid('target_session_attrs', value, Object.keys(routes).join(', '));
    return new Preferences({ ...this, route, routeBy: 'target_session_attrs' });
  }

  /** As SHOW prints it. */
  show(name: string, defaults: Defaults): string {
    switch (name) {
      case 'weir.route':
        return this.route;
      case 'weir.consistency':
        return this.consistency ?? defaults.consistency;
      case 'weir.cache':
        return typeof this.cache === 'number'
          ? `${this.cache}ms`
          : (this.cache ?? (defaults.isCacheEnabled ? 'on' : 'off'));
      case 'weir.priority':
        return this.priority ?? defaults.priority;
      case 'weir.key':
        return this.key ?? defaults.key;
      case 'weir.tags':
        return (this.tags ?? []).map((tag) => tag.slice(2)).join(',');
      default:
        throw new WeirError('unknown_weir_setting', { name });
    }
  }
}

/** @param value names with commas between; undefined or blank: none */
function tagsIn(name: string, value: string | undefined): readonly Tag[] | undefined {
  const names = new Set((value ?? '').split(',').map((tag) => tag.trim()));
  names.delete('');
  if (names.size > maxTags) throw invalid(name, `${names.size} tags`, `at most ${maxTags} tags`);
  for (const tag of names) {
    if (tag.length <= maxTagChars) continue;
    throw invalid(name, tag.slice(0, maxTagChars), `tags of at most ${maxTagChars} characters`);
  }
  return names.size === 0 ? undefined : [...names].map((tag) => `t:${tag}`);
}

function invalid(name: string, value: string | undefined, allowed: string): WeirError {
  return new WeirError('invalid_weir_setting', { name, value: value ?? '', allowed: `Allowed: ${allowed}.` });
}
