/**
 * What a reload replaces while everything goes on: the configuration and the users that are in force. Made by app.ts,
 * written by reload.ts only. Types only.
 */
import type { Config } from '../config/config.ts';

export interface Current {
  config: Config;
  /** Secrets by user name; the same map for ever, so that everybody may hold it. */
  readonly users: Map<string, string>;
}
