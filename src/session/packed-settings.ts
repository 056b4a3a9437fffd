/**
 * Settings as plain data, for the hand-over of a session to another process (packed.ts).
 */
import type { Fields } from '../util/fields.ts';
import { Settings } from './settings.ts';

/** Name, SQL that sets it, plain value. */
export type PackedSettings = readonly (readonly [name: string, sql: string, plain: string])[];

export function packSettings(settings: Settings): PackedSettings {
  return [...settings.names()].map((name) => {
    const setting = settings.entry(name);
    return [name, setting?.sql ?? '', setting?.plain ?? ''];
  });
}

/** @throws ShapeError */
export function settingsIn(fields: Fields, name: string): Settings {
  return Settings.of(fields.rows(name, 3).map(([key = '', sql = '', plain = '']) => [key, { sql, plain }] as const));
}
