/** ignore_startup_parameters: named parameters are dropped, wherever the client gives them; all others stay as they are. */
import { describe, expect, it } from 'vitest';
import { dropIgnored } from '../../src/session/ignored-parameters.ts';
import { parseOptions } from '../../src/session/startup.ts';

function dropped(parameters: Record<string, string>, ignored: readonly string[]): Record<string, string> {
  const map = new Map(Object.entries(parameters));
  dropIgnored(map, ignored);
  return Object.fromEntries(map);
}

describe('dropIgnored', () => {
  it('drops what is named, in any case, and nothing else', () => {
    const given = { extra_float_digits: '3', Search_Path: 'a', timezone: 'UTC' };
    expect(dropped(given, ['Extra_Float_Digits', 'search_path'])).toEqual({ timezone: 'UTC' });
    expect(dropped(given, [])).toEqual(given);
  });

  it('drops what is named inside the options, and keeps values with spaces and backslashes', () => {
    const left = dropped({ options: '-c geqo=off --my.name=a\\ b\\\\c' }, ['geqo']);
    expect(parseOptions(left['options'] ?? '')).toEqual([['my.name', 'a b\\c']]);
    expect(dropped({ options: '-c geqo=off' }, ['geqo'])).toEqual({});
  });

  it('with options in the list, keeps of the options what PgBouncer tracks, and what is for Weir', () => {
    const left = dropped({ options: '-c geqo=off -c timezone=UTC -c weir.route=primary', geqo: 'on' }, ['options']);
    expect(parseOptions(left['options'] ?? '')).toEqual([
      ['timezone', 'UTC'],
      ['weir.route', 'primary'],
    ]);
    expect(left['geqo']).toBe('on');
  });
});
