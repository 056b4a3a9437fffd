/** LISTEN and NOTIFY between several clients: who hears what, in what order, while others use the servers. */
import { extended, flush, query, run, parse, sync } from '../messages.ts';
import { a, atOnce, b, c, script } from '../script.ts';

export const notifications = [
  script(
    'a listener hears while others share the servers',
    [
      a('LISTEN n_shared'),
      b("SET TimeZone = 'Asia/Tokyo'"),
      c("SET TimeZone = 'Europe/Rome'"),
      b("NOTIFY n_shared, 'one'"),
      a.hears('A'),
      c("NOTIFY n_shared, 'two'"),
      a.hears('A'),
      b('SHOW TimeZone'),
      c('SHOW TimeZone'),
      a('SHOW TimeZone; UNLISTEN *'),
    ],
    atOnce,
  ),
  script(
    'a listener knows what it has sent itself',
    [
      a('LISTEN n_own'),
      a("NOTIFY n_own, 'mine'"),
      b("NOTIFY n_own, 'yours'"),
      a.hears('A'),
      a(...extended("SELECT pg_notify('n_own', $1)", 'mine'), ...extended('SELECT 1'), sync),
      a("BEGIN; NOTIFY n_own, 'one'; NOTIFY n_own, 'two'; COMMIT"),
      a('UNLISTEN *'),
    ],
    atOnce,
  ),
  script(
    'two listeners, one sender',
    [
      a('LISTEN n_both'),
      b('LISTEN n_both'),
      c("BEGIN; NOTIFY n_both, 'one'; NOTIFY n_both, 'two'; COMMIT"),
      a.hears('A', 2),
      b.hears('A', 2),
      b('UNLISTEN *'),
      c("NOTIFY n_both, 'three'"),
      a.hears('A'),
      b('SELECT 1'),
      a('UNLISTEN *'),
    ],
    atOnce,
  ),
  script(
    'what comes in a transaction is heard behind it',
    [
      a('LISTEN n_late'),
      a('BEGIN'),
      b("NOTIFY n_late, 'meanwhile'"),
      a('SELECT 1'),
      a('SELECT 1/0'),
      a.starts('ROLLBACK'),
      a.hears('A'),
      a('UNLISTEN *'),
    ],
    // Told before or behind ReadyForQuery, as it happens: only what is always the same is compared here.
    ['session'],
  ),
  script(
    'NOTIFY in a prepared statement, in a batch, in a batch that fails',
    [
      a('LISTEN n_batch'),
      b(parse('n', "NOTIFY n_batch, 'prepared'"), ...run('n'), sync),
      a.hears('A'),
      b(...extended("NOTIFY n_batch, 'never'"), ...extended('SELECT 1/0'), sync),
      b(...extended("SELECT pg_notify('n_batch', $1)", 'value'), ...extended("NOTIFY n_batch, 'last'"), sync),
      a.hears('A', 2),
      a('UNLISTEN *'),
    ],
    atOnce,
  ),
  script(
    'NOTIFY at the end of a batch that is left open',
    [
      a('LISTEN n_open'),
      b(...extended("NOTIFY n_open, 'kept'"), flush),
      a('SELECT 1'),
      b(sync),
      a.hears('A'),
      a('UNLISTEN *'),
    ],
    atOnce,
  ),
  script('names and payloads of channels', [
    a(`LISTEN "Odd channel"; NOTIFY "Odd channel", 'it''s'; UNLISTEN "Odd channel"`),
    a(`NOTIFY ${'n'.repeat(70)}, 'x'`),
    a(`SELECT pg_notify('${'n'.repeat(70)}', 'x')`),
    a(`SELECT pg_notify('n', repeat('x', 8000))`),
    a(query('LISTEN n_q'), query("NOTIFY n_q, 'a'"), query('UNLISTEN n_q'), query("NOTIFY n_q, 'b'")),
    a('UNLISTEN nothing; UNLISTEN *'),
  ]),
  script(
    'DISCARD ALL and a failed LISTEN end and leave what they should',
    [
      a('LISTEN n_kept'),
      a('BEGIN; LISTEN n_other; SELECT 1/0'),
      a('ROLLBACK'),
      a('SELECT pg_listening_channels()'),
      b("NOTIFY n_kept, 'heard'"),
      a.hears('A'),
      a('DISCARD ALL'),
      b("NOTIFY n_kept, 'lost'"),
      a('SELECT pg_listening_channels()'),
    ],
    atOnce,
  ),
];
